// The leaderboard: of all trials twenty-five at a time are in the page.
"use strict";
(async () => {
  const size = 25;
  const data = await report.trials();
  const [table, filter, shown, previous, next] = ["table", "filter", "shown", "previous", "next"].map((name) => document.getElementById(`leaderboard-${name}`));
  const make = report.element;
  const text = (column) => column.kind === "text";
  let order = data.id.map((_, i) => i);
  let [found, status, page] = [order, "", 0];

  for (const column of data.columns) {
    const head = make("th", {scope: "col", class: text(column) ? "left" : null}, column.head.replaceAll("_", " "));
    head.dataset.first = text(column) || ["place", "front", "trial"].includes(column.head) ? "ascending" : "descending";
    table.tHead.rows[0].append(head);
  }
  const cell = (column, i) => {
    const said = report.said(column.kind, column.values[i]);
    if (column.head === "trial") return make("td", {}, make("button", {type: "button", class: "link"}, said));
    if (column.head === "status") return make("td", {class: "left"}, make("i", {class: `dot ${data.status[i]}`}), said);
    return make("td", {class: column.wide ? "left brief" : text(column) ? "left" : null, title: column.wide ? said : null}, said);
  };
  const show = () => {
    const rows = found.slice(page * size, (page + 1) * size).map((i) => {
      const row = make("tr", {}, ...data.columns.map((column) => cell(column, i)));
      row.dataset.trial = i;
      return row;
    });
    const empty = make("tr", {}, make("td", {colspan: data.columns.length, class: "left empty"}, "No trial matches the filter."));
    table.tBodies[0].replaceChildren(...(rows.length ? rows : [empty]));
    const [from, to] = [page * size + 1, page * size + rows.length].map((n) => n.toLocaleString("en-US"));
    const of = found.length === order.length ? "" : ` (of ${order.length.toLocaleString("en-US")})`;
    shown.textContent = rows.length ? `${from}–${to} of ${found.length.toLocaleString("en-US")} trials${of}` : `0 trials${of}`;
    previous.disabled = page === 0;
    next.disabled = (page + 1) * size >= found.length;
    previous.hidden = next.hidden = found.length <= size;
  };

  // Words have to occur in a trial's text form, or in one of its cells that is text; texts are searched once each.
  const cells = data.columns.filter((column) => text(column) && !column.wide);
  const select = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter((word) => word);
    const inTexts = words.map((word) => data.texts.map((forms) => forms.some((form) => form.toLowerCase().includes(word))));
    const fits = (i) => words.every((word, w) => inTexts[w][data.text[i]] || data.id[i].includes(word) || cells.some((column) => String(column.values[i]).toLowerCase().includes(word)));
    found = order.filter((i) => (!status || data.status[i] === status) && fits(i));
    page = 0;
    show();
  };
  report.headings(table, (column, sign) => {
    const {values} = data.columns[column];
    order = data.id.map((_, i) => i).sort((a, b) => report.compare(values[a], values[b], sign) || a - b);
    select();
  });
  filter.addEventListener("input", select);
  document.querySelectorAll("#leaderboard [data-status]").forEach((button, _, all) => button.addEventListener("click", () => {
    all.forEach((one) => one.setAttribute("aria-pressed", one === button));
    status = button.dataset.status;
    select();
  }));
  previous.addEventListener("click", () => { page -= 1; show(); });
  next.addEventListener("click", () => { page += 1; show(); });
  table.tBodies[0].addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-trial]");
    if (row && !getSelection().toString()) report.open(Number(row.dataset.trial));
  });
  show();
})();
