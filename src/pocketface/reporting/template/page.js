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
  body.append(...rows.filter((row) => !fixed.includes(row)).sort(order), ...fixed);
}

function unmark(table) {
  table.querySelectorAll("th[aria-sort]").forEach((head) => head.removeAttribute("aria-sort"));
}

document.querySelectorAll("table.sortable").forEach((table) => {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      unmark(table);
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      arrange(table, (a, b) => {
        const difference = compare(a.cells[column], b.cells[column]);
        if (difference === null) return Number.isNaN(number(a.cells[column])) ? 1 : -1;
        return sign * difference;
      });
    });
  });
});

document.querySelectorAll("select[data-orders]").forEach((select) => {
  const table = document.getElementById(select.dataset.orders).querySelector("table[data-model]");
  const rank = (row) => Number(row.dataset.ranks.split(" ")[select.value]);
  const act = () => {
    unmark(table);
    arrange(table, (a, b) => rank(a) - rank(b));
  };
  select.addEventListener("change", act);
  act();
});

document.querySelectorAll("select[data-shows]").forEach((select) => {
  const choices = select.closest("p").nextElementSibling.children;
  select.addEventListener("change", () => {
    [...choices].forEach((choice, i) => { choice.hidden = i !== Number(select.value); });
  });
});
