// Figures: drawn when they come near the window, in the colours of the theme, with switches between views.
// The event "figure" says that one has been drawn for the first time: event.target is its element.
"use strict";
{
  const specs = new Map();
  const drawn = new Map();

  const template = () => {
    const [ink, soft, line, raised] = ["--ink", "--soft", "--line", "--raised"].map(report.colour);
    const axis = {gridcolor: line, zerolinecolor: line, linecolor: line, tickcolor: line, automargin: true, title: {standoff: 10}};
    const clear = "rgba(0,0,0,0)";
    return {layout: {
      paper_bgcolor: clear, plot_bgcolor: clear, font: {color: ink, family: "system-ui, sans-serif", size: 13},
      colorway: [1, 2, 3, 4, 5, 6, 7, 8].map((i) => report.colour(`--c${i}`)),
      xaxis: axis, yaxis: axis, margin: {l: 56, r: 16, t: 16, b: 48}, hovermode: "closest",
      legend: {orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: clear},
      hoverlabel: {bgcolor: raised, bordercolor: line, font: {color: ink}, align: "left"},
      modebar: {bgcolor: clear, color: soft, activecolor: report.colour("--accent")},
      colorscale: {sequential: [[0, report.colour("--card")], [1, report.colour("--c1")]]},
    }};
  };

  /** A copy in which each "var(--name)" is the colour that it stands for. */
  const coloured = (value) => {
    if (typeof value === "string") return value.startsWith("var(--") ? report.colour(value.slice(4, -1)) : value;
    if (Array.isArray(value)) return value.length > 200 && typeof value[0] === "number" ? value : value.map(coloured);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, coloured(one)]));
  };

  const merged = (base, patch) => {
    if (patch === null || typeof patch !== "object" || Array.isArray(patch)) return patch;
    const made = {...base};
    for (const [name, value] of Object.entries(patch)) made[name] = merged(made[name] ?? {}, value);
    return made;
  };

  const current = (id) => {
    const spec = specs.get(id);
    let {data, layout, frames} = spec;
    for (const view of Object.values(spec.chosen)) {
      data = data.map((trace, i) => merged(trace, view.data[i] ?? {}));
      layout = merged(layout, view.layout);
    }
    layout = {uirevision: Object.values(spec.chosen).map((view) => view.label).join(), ...coloured(layout), template: template()};
    // plotly has a button that sends a figure's data to its makers: this page sends nothing.
    const left = ["sendChartToCloud", "select2d", "lasso2d", "autoScale2d"];
    const config = {responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "", modeBarButtonsToRemove: left};
    return {data: coloured(data), layout, config, frames: frames && coloured(frames)};
  };

  const draw = (element) => {
    const id = element.id;
    if (drawn.has(id)) return drawn.get(id);
    drawn.set(id, report.unpacked(document.querySelector(`script[data-figure="${id}"]`)).then(async (spec) => {
      spec.chosen = {};
      for (const view of spec.views) spec.chosen[view.group] ??= view;
      specs.set(id, spec);
      await Plotly.newPlot(element, current(id));
      element.dispatchEvent(new CustomEvent("figure", {bubbles: true}));
      return element;
    }));
    return drawn.get(id);
  };
  const redraw = (id) => drawn.get(id).then((element) => Plotly.react(element, current(id)));

  /** Draw a figure now; a promise of its element. */
  report.figure = (id) => draw(document.getElementById(id));
  /** Show a view of a figure: report.view("scores", "scale", 1) is the second of its group. */
  report.view = async (id, group, index) => {
    await report.figure(id);
    const spec = specs.get(id);
    spec.chosen[group] = spec.views.filter((view) => view.group === group)[index];
    return redraw(id);
  };

  const watcher = new IntersectionObserver((entries) => entries.forEach(({isIntersecting, target}) => {
    if (!isIntersecting) return;
    watcher.unobserve(target);
    draw(target);
  }), {rootMargin: "400px"});
  document.querySelectorAll(".figure").forEach((element) => watcher.observe(element));

  document.addEventListener("theme", () => [...drawn.keys()].forEach(redraw));
  addEventListener("beforeprint", () => document.querySelectorAll(".figure").forEach(draw));

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-view]");
    if (!button) return;
    const {figure, group, view} = button.dataset;
    button.parentElement.querySelectorAll("button").forEach((one) => one.setAttribute("aria-pressed", one === button));
    report.view(figure, group, Number(view));
  });
  document.addEventListener("change", (event) => {
    const {figure, group} = event.target.dataset;
    if (figure && group) report.view(figure, group, event.target.selectedIndex);
  });
}
