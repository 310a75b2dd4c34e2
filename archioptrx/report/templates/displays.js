// Event displays: x-y and r-z of one event, lines by class and score, a frame for each pass of the model's loop.
// All lines of one look are one SVG path (a shape of plotly): 35,000 of them are drawn and zoomed without waiting.
"use strict";
{
  const OPACITY = {right: [0, .12, .22, .4, .5, .75, 1], scores: [0, .07, .15, .28, .45, .7, 1], faint: [0, .3, .55, .9, 1, 1, 1]};
  const PACE = 900;
  const degrees = (phi) => `${Math.round(phi * 180 / Math.PI)}°`;
  const number = (value) => value.toLocaleString("en");
  const score = (value) => value === null || value === undefined ? "–" : value.toFixed(4);

  /** Places of the hits in both views, and what has to be known to choose a sector. */
  const prepared = (event) => {
    const [x, y, z] = event.pos;
    const r = x.map((one, i) => Math.hypot(one, y[i]));
    const phi = x.map((one, i) => Math.atan2(y[i], one));
    const flat = z.every((one) => one === z[0]);
    return {...event, x, y, r, phi, flat, along: flat ? phi : z};
  };

  const inSector = (event, at) => {
    if (at < 0) return () => true;
    // The outermost limits are open: places are rounded, and may lie beyond them by a little.
    const low = at ? event.sectors[at] : -Infinity, high = at < event.sectors.length - 2 ? event.sectors[at + 1] : Infinity;
    return (hit) => event.phi[hit] >= low && event.phi[hit] < high;
  };

  /** Numbers of the rows of a sector by letter. */
  const grouped = (event, at, frame) => {
    const within = inSector(event, at), groups = new Map(), letters = event.passes[frame];
    for (let row = 0; row < letters.length; row++) {
      if (!within(event.rows[0][row])) continue;
      const code = letters.charCodeAt(row) - 48;
      if (!groups.has(code)) groups.set(code, []);
      groups.get(code).push(row);
    }
    return groups;
  };

  const path = (event, rows, u, v, digits, around) => {
    const parts = [];
    for (const row of rows) {
      const hits = event.rows.map((ends) => ends[row]);
      if (around && Math.abs(u[hits[0]] - u[hits.at(-1)]) > Math.PI) continue;  // a line across the whole picture
      hits.forEach((hit, k) => parts.push(`${k ? "L" : "M"}${u[hit].toFixed(digits)},${v[hit].toFixed(1)}`));
    }
    return parts.join("");
  };

  const span = (values, room = .04) => {
    const [low, high] = values.reduce(([a, b], one) => [Math.min(a, one), Math.max(b, one)], [Infinity, -Infinity]);
    const more = (high - low || 1) * room;
    return [low - more, high + more];
  };

  /** What is drawn: looks, each with the rows that have it, and the entries of the legend. */
  const looks = (state, groups) => {
    const dark = document.documentElement.dataset.theme === "dark" ? 1 : 0, ink = report.colour("--ink");
    const found = [], legend = [], {styles, darkness} = state.content;
    const add = (key, label, colour, dash, width, codes, opacity, faded = 1) => {
      const parts = codes.map(([code, bin]) => [groups.get(code) ?? [], opacity(bin)]).filter(([rows]) => rows.length);
      const count = parts.reduce((sum, [rows]) => sum + rows.length, 0);
      legend.push({key, label: `${label}: ${number(count)}`, count, colour, dash, faded});
      const thin = Math.min(1, Math.max(.55, Math.sqrt(500 / Math.max(1, count))));  // a few mistakes stand out
      if (!state.off.has(key)) parts.forEach(([rows, opacity]) => found.push({rows, colour, dash, width: thin * width, opacity}));
    };
    const bins = darkness.map((_, i) => i + 1);
    if (state.mode === "scores") {
      bins.forEach((bin, i) => {
        const label = `score ${darkness[i]} … ${darkness[i + 1] ?? 1}`;
        const codes = styles.map((_, kind) => [8 * kind + bin, bin]);
        add(label, label, ink, "solid", 1.1, codes, (one) => OPACITY.scores[one], OPACITY.scores[bin]);
      });
      return {found, legend};
    }
    styles.forEach((style, kind) => {
      const opacity = (bin) => style.candidate ? OPACITY.faint[bin] : style.by_score ? OPACITY.right[bin] : .95;
      const codes = (style.candidate ? bins : [0, ...bins]).map((bin) => [8 * kind + bin, bin]);
      add(style.label, style.label, style.colour[dark], style.dash, style.width, codes, opacity);
    });
    return {found, legend};
  };

  const figure = (state) => {
    const event = state.event, groups = grouped(event, state.sector, state.frame), {found, legend} = looks(state, groups);
    const [ink, soft, line, ground] = ["--ink", "--soft", "--line", "--ground"].map(report.colour);
    const views = [[event.x, event.y, "", 1, false], [event.along, event.r, "2", event.flat ? 4 : 1, event.flat]];
    const shapes = found.flatMap((look) => views.map(([u, v, axis, digits, around]) => ({
      type: "path", xref: `x${axis}`, yref: `y${axis}`, layer: "above", path: path(event, look.rows, u, v, digits, around),
      line: {color: look.colour, width: look.width, dash: look.dash}, opacity: look.opacity,
    }))).filter((shape) => shape.path);
    if (state.placed !== `${state.number}/${state.sector}`) {
      const within = inSector(event, state.sector);
      const hits = event.r.map((_, i) => i).filter(within);
      state.hits = views.map(([u, v]) => [hits.map((i) => u[i]), hits.map((i) => v[i])]);
      state.placed = `${state.number}/${state.sector}`;
    }
    const marker = {size: state.hits[0][0].length > 3000 ? 2 : 3, color: soft, opacity: .7};
    const points = state.hits.map(([u, v], i) => ({
      type: "scatter", mode: "markers", x: u, y: v, marker, showlegend: false, xaxis: ["x", "x2"][i], yaxis: ["y", "y2"][i],
      hovertemplate: [`x %{x:.1f} mm<br>y %{y:.1f} mm<extra></extra>`, `${event.flat ? "φ %{x:.3f} rad" : "z %{x:.1f} mm"}<br>r %{y:.1f} mm<extra></extra>`][i],
    }));
    const entries = legend.map((entry) => ({
      type: "scatter", mode: "lines", x: [null], y: [null], name: entry.label, meta: entry.key, opacity: entry.faded,
      line: {color: entry.colour, dash: entry.dash, width: 2.5}, visible: state.off.has(entry.key) ? "legendonly" : true,
    }));
    const axis = {showgrid: false, zeroline: false, linecolor: line, showline: true, mirror: true, ticks: "outside", tickcolor: line, automargin: true};
    const layout = {
      paper_bgcolor: ground, plot_bgcolor: ground, font: {color: ink, family: "system-ui, sans-serif", size: 13}, shapes,
      xaxis: {...axis, domain: [0, .46], anchor: "y", title: {text: "x [mm]"}, range: span(state.hits[0][0])},
      yaxis: {...axis, anchor: "x", scaleanchor: "x", title: {text: "y [mm]"}, range: span(state.hits[0][1])},
      xaxis2: {...axis, domain: [.55, 1], anchor: "y2", title: {text: event.flat ? "φ [rad]" : "z [mm]"}, range: span(state.hits[1][0])},
      yaxis2: {...axis, anchor: "x2", title: {text: "r [mm]"}, range: span(state.hits[1][1])},
      margin: {l: 60, r: 16, t: 10, b: 60}, uirevision: state.placed, hovermode: "closest", dragmode: "zoom",
      legend: {orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)", itemsizing: "constant", itemdoubleclick: false},
      modebar: {bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: report.colour("--accent")},
      hoverlabel: {bgcolor: report.colour("--raised"), bordercolor: line, font: {color: ink}},
    };
    return {data: [...points, ...entries], layout, legend};
  };

  const draw = (state) => {
    const {data, layout, legend} = figure(state), root = state.root;
    const config = {responsive: true, displaylogo: false, scrollZoom: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
      toImageButtonOptions: {filename: `event-display-iteration-${state.frame}`, scale: 2}};
    const at = state.content.scores[state.frame], last = state.event.passes.length - 1;
    const turn = last ? `After iteration ${state.frame} of ${last}, on` : "On";
    const part = state.event.part < 1 ? ` Of this event ${Math.round(100 * state.event.part)} % in φ are shown: more would make this page too large.` : "";
    state.find("said").textContent = `${turn} all held-out events: AUC ${score(at.auc)}; at cut 0.5: efficiency ${score(at.efficiency)}, purity ${score(at.purity)}.${part}`;
    root.dataset.frame = state.frame;
    root.dataset.drawn = JSON.stringify(Object.fromEntries(legend.filter(({key}) => !state.off.has(key)).map(({key, count}) => [key, count])));
    return Plotly.react(state.find("plot"), data, layout, config);
  };

  const choose = (state, number) => {
    state.number = number;
    state.event = prepared(state.content.events[number]);
    const count = state.event.sectors.length - 1, select = state.find("sector");
    const names = state.event.sectors.slice(0, -1).map((low, i) => `${i + 1} of ${count}: ${degrees(low)} … ${degrees(state.event.sectors[i + 1])}`);
    select.replaceChildren(...(count > 1 ? names : []).map((name) => report.element("option", {}, name)), report.element("option", {}, "all"));
    select.parentElement.hidden = count < 2;
    select.selectedIndex = 0;
    state.sector = count > 1 ? 0 : -1;
  };

  const stop = (state) => {
    clearInterval(state.playing);
    state.playing = null;
    if (state.find("play")) state.find("play").textContent = "▶ Play";
  };

  const play = (state) => {
    if (state.playing) return stop(state);
    const last = state.event.passes.length - 1, slider = state.find("frame");
    const show = (frame) => { state.frame = frame; slider.value = frame; draw(state); };
    show(state.frame === last ? 0 : state.frame + 1);
    state.find("play").textContent = "❚❚ Pause";
    state.playing = setInterval(() => { show(state.frame + 1); if (state.frame >= last) stop(state); }, PACE);
  };

  const start = async (root) => {
    const find = (part) => root.querySelector(`[data-part="${part}"]`);
    const content = await report.packed(`${root.id}-data`);
    const state = {root, find, content, mode: "marked", off: new Set(), playing: null};
    choose(state, 0);
    state.frame = state.event.passes.length - 1;
    root.addEventListener("change", ({target}) => {
      if (target === find("event")) choose(state, target.selectedIndex);
      else if (target === find("sector")) state.sector = target.selectedIndex === target.length - 1 ? -1 : target.selectedIndex;
      else return;
      draw(state);
    });
    find("frame")?.addEventListener("input", ({target}) => { stop(state); state.frame = Number(target.value); draw(state); });
    find("play")?.addEventListener("click", () => play(state));
    for (const mode of ["marked", "scores"]) find(mode).addEventListener("click", () => {
      for (const one of ["marked", "scores"]) find(one).setAttribute("aria-pressed", one === mode);
      state.mode = mode;
      draw(state);
    });
    document.addEventListener("theme", () => draw(state));
    await draw(state);
    find("plot").on("plotly_legendclick", ({data, curveNumber}) => {
      const key = data[curveNumber].meta;
      if (!state.off.delete(key)) state.off.add(key);
      draw(state);
      return false;
    });
    root.dataset.ready = "true";
  };

  const watcher = new IntersectionObserver((entries) => entries.forEach(({isIntersecting, target}) => {
    if (!isIntersecting) return;
    watcher.unobserve(target);
    start(target);
  }), {rootMargin: "400px"});
  document.querySelectorAll(".event-display").forEach((element) => watcher.observe(element));
}
