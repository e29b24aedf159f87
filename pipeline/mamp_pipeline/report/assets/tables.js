// Tables that sort and filter. Cells are text or elements; nothing is ever read as markup.
"use strict";

const ROWS_SHOWN = 200;

/**
 * Fill an element with a table.
 * columns: [{title, numeric, show}], `show` turns a value into text or an element.
 * rows: arrays of values, one for each column; rows for which `keep` returns false are left out.
 * Returns {refresh}, to be called when the result of `keep` changes.
 */
function createTable(container, label, columns, rows, keep = () => true) {
  const state = { sorted: -1, descending: false, all: false };
  const filter = element("input", "", { type: "search", placeholder: "Filter", "aria-label": `Filter ${label}` });
  const rowCount = element("span", "", { class: "soft", "aria-live": "polite" });
  const more = element("button", "Show all", { type: "button" });
  const tools = element("div", "", { class: "table-tools" });
  tools.append(filter, rowCount, more);
  const head = element("tr");
  const body = element("tbody");
  const table = element("table", "", { "aria-label": label });
  const header = element("thead");
  header.append(head);
  table.append(header, body);
  const scroll = element("div", "", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": label });
  scroll.append(table);
  container.replaceChildren(tools, scroll);

  const textOf = (value) => (value === null || value === undefined ? "" : String(value));
  const shown = (value, column) => (column.show && value !== null && value !== undefined ? column.show(value) : textOf(value));

  function filterRows() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matching = rows.filter((row) => {
      const text = row.map(textOf).join(" ").toLowerCase();
      return keep(row) && words.every((word) => text.includes(word));
    });
    if (state.sorted >= 0) {
      const sign = state.descending ? -1 : 1;
      matching.sort((a, b) => sign * compare(a[state.sorted], b[state.sorted], columns[state.sorted].numeric));
    }
    return matching;
  }

  function refresh() {
    const matching = filterRows();
    const limit = state.all ? matching.length : ROWS_SHOWN;
    body.replaceChildren(
      ...matching.slice(0, limit).map((row) => {
        const line = element("tr");
        columns.forEach((column, i) => {
          const cell = element("td", "", column.numeric ? { class: "number" } : {});
          cell.append(shown(row[i], column));
          line.append(cell);
        });
        return line;
      }),
    );
    const left = matching.length - limit;
    rowCount.textContent = `${(left > 0 ? limit : matching.length).toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows`;
    more.hidden = left <= 0;
  }

  columns.forEach((column, i) => {
    const cell = element("th", "", { scope: "col", ...(column.numeric ? { class: "number" } : {}) });
    const button = element("button", column.title, { type: "button" });
    button.addEventListener("click", () => {
      state.descending = state.sorted === i ? !state.descending : Boolean(column.numeric);
      state.sorted = i;
      for (const other of head.children) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
      refresh();
    });
    cell.append(button);
    head.append(cell);
  });
  filter.addEventListener("input", refresh);
  more.addEventListener("click", () => {
    state.all = true;
    refresh();
  });
  refresh();
  return { refresh };
}

/** Compare two cells; missing ones come last when ascending. */
function compare(a, b, numeric) {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1;
  if (b === null || b === undefined) return -1;
  return numeric ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
}
