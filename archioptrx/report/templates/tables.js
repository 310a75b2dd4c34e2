// Headings that sort: by a click or a key, numbers as numbers, what is missing last either way.
"use strict";

/** Order of two values; null, undefined and "" are missing. `sign` -1: descending. */
report.compare = (a, b, sign) => {
  const [noA, noB] = [a, b].map((value) => value === null || value === undefined || value === "");
  if (noA || noB) return noA - noB;
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", {numeric: true});
};

/** Make each heading's text a button; `sort(column, sign)` is called when one is pressed. */
report.headings = (table, sort) => {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = report.element("button", {type: "button"}, head.textContent.trim());
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      // Numbers: the largest first.
      const next = now ? (now === "descending" ? "ascending" : "descending") : head.dataset.first ?? "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", next);
      sort(column, next === "ascending" ? 1 : -1);
    });
  });
};

document.querySelectorAll("table.sortable").forEach((table) => {
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    if (text === "" || text === "–") return null;
    const number = Number(text.replaceAll(",", "").split(" ± ")[0]);
    return Number.isNaN(number) ? text : number;
  };
  report.headings(table, (column, sign) => {
    const rows = [...table.tBodies[0].rows].map((row) => [value(row, column), row]);
    rows.sort(([a], [b]) => report.compare(a, b, sign));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  });
});
