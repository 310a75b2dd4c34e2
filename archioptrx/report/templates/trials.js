// Trials wherever they are met: what one looks like in words, as a card, at a point of a figure, in a dialog.
"use strict";
{
  const make = report.element;
  const digits = (value, least, most) => value.toLocaleString("en-US", {minimumFractionDigits: least, maximumFractionDigits: most});
  const duration = (seconds) => {
    if (seconds < 60) return `${seconds.toFixed(1)} s`;
    const minutes = Math.floor(Math.round(seconds) / 60);
    return minutes < 60 ? `${minutes} min ${Math.round(seconds) % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  };
  const kinds = {
    count: (value) => digits(value, 0, 0),
    metric: (value) => value.toFixed(5),
    cost: (value) => value >= 100 ? digits(value, 0, 0) : value.toPrecision(3),
    seconds: duration,
    trial: (value) => String(value).padStart(4, "0"),
    value: (value) => typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(3))) : String(value),
    text: String,
  };
  /** A value as a table says it. */
  report.said = (kind, value) => value === null || value === undefined ? "–" : kinds[kind](value);

  let trials = null;
  /** All trials, see `trial_data` of the report. */
  report.trials = () => trials ??= report.packed("trials").then((data) => {
    const brief = data.columns.find((column) => column.kind === "brief");
    if (brief) Object.assign(brief, {kind: "text", values: data.text.map((number) => data.texts[number][0]), wide: true});
    data.brief = (i) => data.texts[data.text[i]][0];
    return data;
  });

  const pairs = (entries) => make("dl", {class: "pairs"}, ...entries.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  const drawing = (i) => {
    const kept = document.querySelector(`[data-drawing="${i}"]`);
    if (!kept) return null;
    const copy = (kept.content ?? kept).querySelector("svg").cloneNode(true);
    return make("div", {class: "drawing"}, copy);
  };
  const command = (text) => make("div", {class: "command"}, make("code", {}, text), make("button", {type: "button", class: "button", "data-copy": text}, "Copy"));

  /** A trial with all that the page knows: nodes that may be put anywhere. */
  report.card = (data, i) => {
    const title = make("h3", {}, `Trial ${data.id[i]}`, make("span", {class: `badge ${data.status[i]}`}, data.status[i]));
    const facts = data.columns.filter((column) => !column.wide && column.kind !== "value" && !["trial", "status"].includes(column.head))
      .map((column) => [column.head, report.said(column.kind, column.values[i])]);
    const error = data.errors[data.error[i]];
    const settings = Object.entries(data.hyperparameters[data.setting[i]]).map(([name, value]) => [name, report.said("value", value)]);
    const metrics = Object.entries(data.metrics).filter(([, values]) => values[i] !== null).map(([name, values]) => [name, String(Number(values[i].toPrecision(6)))]);
    const more = data.kept[i] ? make("p", {}, make("a", {href: `#trial-${data.kept[i]}`, class: "more"}, "Training curves and details")) : null;
    return [
      title, pairs(facts), error ? make("p", {class: "error"}, error) : null, drawing(i),
      make("pre", {tabindex: "0"}, data.texts[data.text[i]][1]),
      make("h4", {}, "Hyperparameters"), settings.length ? pairs(settings) : make("p", {class: "soft"}, "none"),
      metrics.length ? make("details", {}, make("summary", {}, "All metrics, on validation events"), pairs(metrics)) : null,
      make("h4", {}, "Train this trial again"), command(`archioptrx train ${data.run}/${data.id[i]}`), more,
    ].filter((node) => node !== null);
  };

  const dialog = document.getElementById("trial");
  /** Open a trial in a dialog. */
  report.open = async (i) => {
    const data = await report.trials();
    const close = make("button", {type: "button", class: "button close", "aria-label": "Close"}, "✕");
    close.addEventListener("click", () => dialog.close());
    dialog.replaceChildren(close, ...report.card(data, i));
    dialog.querySelector("h3").id = "trial-title";
    dialog.showModal();
    dialog.scrollTop = 0;
  };
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  // A link to something that is folded away unfolds it.
  const unfold = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    target.closest("details")?.setAttribute("open", "");
    target.scrollIntoView();
  };
  document.addEventListener("click", (event) => {
    if (!event.target.closest("a.more")) return;
    dialog.close();
    setTimeout(unfold);
  });
  addEventListener("hashchange", unfold);
  unfold();

  // Figures of trials: `meta` is "trials", and each point's customdata the place of its trial.
  const hover = document.getElementById("hover-card");
  const at = (event) => event.points.map((point) => point.customdata).find((place) => typeof place === "number");
  const show = async (event) => {
    const place = at(event);
    if (place === undefined) return;
    const data = await report.trials();
    const facts = data.columns.slice(0, 6).filter((column) => column.head !== "trial" && column.values[place] !== null);
    hover.replaceChildren(
      make("strong", {}, `Trial ${data.id[place]}`), ` ${data.status[place]}`,
      make("div", {class: "soft"}, facts.map((column) => `${column.head} ${report.said(column.kind, column.values[place])}`).join(" · ")),
      make("div", {}, data.brief(place)));
    hover.hidden = false;
    const {clientX: x, clientY: y} = event.event;
    const {width, height} = hover.getBoundingClientRect();
    hover.style.left = `${Math.max(8, Math.min(x + 16, innerWidth - width - 8))}px`;
    hover.style.top = `${y + 16 + height > innerHeight ? Math.max(8, y - height - 16) : y + 16}px`;
  };
  document.addEventListener("figure", ({target}) => {
    if (target.layout.meta !== "trials") return;
    target.on("plotly_hover", show);
    target.on("plotly_unhover", () => { hover.hidden = true; });
    target.on("plotly_click", (event) => {
      const place = at(event);
      hover.hidden = true;
      if (place === undefined) return;
      // Who listens to "trial" shows it, and prevents the dialog.
      if (target.dispatchEvent(new CustomEvent("trial", {detail: place, cancelable: true}))) report.open(place);
    });
  });
}
