"use strict";
// Without this script the page shows all; with it, tables sort and selections act.

function number(cell) {
  if ("sort" in cell.dataset) return Number(cell.dataset.sort);
  return parseFloat(cell.textContent.trim().replace(/,/g, "").replace("\u2212", "-").replace("±", ""));
}

function compare(a, b) {
  const [x, y] = [number(a), number(b)];
  if (Number.isNaN(x) && Number.isNaN(y)) return a.textContent.trim().localeCompare(b.textContent.trim());
  if (Number.isNaN(x) || Number.isNaN(y)) return null; // the one without a number stays last
  return x - y;
}

function arrange(table, order) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const fixed = rows.filter((row) => row.classList.contains("fixed"));
  const blocks = []; // a row without a name belongs to the one above
  rows.filter((row) => !fixed.includes(row)).forEach((row) => {
    if (row.cells[0].textContent.trim() || !blocks.length) blocks.push([]);
    blocks.at(-1).push(row);
  });
  body.append(...blocks.sort(([a], [b]) => order(a, b)).flat(), ...fixed);
}

document.querySelectorAll("table.sortable").forEach((table) => {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      arrange(table, (a, b) => {
        const difference = compare(a.cells[column], b.cells[column]);
        if (difference === null) return Number.isNaN(number(a.cells[column])) ? 1 : -1;
        return sign * difference;
      });
    });
  });
});

// Paper shows all: what is folded opens for the print and closes again.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((part) => { part.open = true; });
});
addEventListener("afterprint", () => { folded.forEach((part) => { part.open = false; }); });
