// Rows of the tables: made once, then changed in place. What a row shows is said by its section: policies.js,
// budgets.js and guards.js.

import { el, name, reorder, setAttribute, setHidden, setText } from "./dom.js";
import { showAge } from "./timeline.js";
import { WARN, matches } from "./figures.js";

const SYMBOLS = ["▲", "◆", "●", "○"]; // of the levels of trouble

/** The column of the state: a symbol and a word, so that nobody needs the colour. */
export const stateColumn = { label: "State", className: "c-state", make: stateCell };

function stateCell() {
  const symbol = el("span", { class: "symbol", "aria-hidden": "true" });
  const word = el("span", { "data-field": "state" });
  const element = el("span", { class: "state" }, symbol, " ", word);
  return {
    element,
    update(_item, _state, state) {
      setText(symbol, SYMBOLS[state.level]);
      setText(word, state.word);
      setAttribute(word, "data-value", state.word);
      setAttribute(element, "data-level", state.level);
    },
  };
}

/** A row and, while it is open, its details. */
class Row {
  constructor(section, item, page) {
    this.section = section;
    this.page = page;
    this.item = item;
    this.key = section.key(item);
    this.name = item.name;
    this.details = null;
    this.button = el("button", { type: "button", class: "open", "aria-expanded": "false" }, name(item.name || "(no name)"));
    this.cells = section.columns.map((column) => column.make(item));
    this.line = el("tr", { class: "line" },
      el("th", { scope: "row", role: "rowheader", class: "name" }, this.button),
      ...this.cells.map((cell, i) => el("td", {
        role: "cell", class: section.columns[i].className, "data-label": section.columns[i].card ?? section.columns[i].label,
      }, cell.element)));
    this.line.setAttribute("role", "row");
    this.element = el("tbody", { role: "rowgroup", ...section.attributes(item) }, this.line);
    this.line.addEventListener("click", (event) => this.#clicked(event));
    page.visible.watch(this.element, (inView) => this.show(inView));
  }

  // The whole line opens the row, but not where the reader selects text or follows a link.
  #clicked(event) {
    if (event.target.closest("a") || (!event.target.closest("button") && String(getSelection()) !== "")) return;
    this.page.toggled(this.key, !this.details);
    this.setOpen(!this.details);
  }

  /** Takes what is new about the item and judges it. */
  update(item, state) {
    this.item = item;
    this.state = this.section.state(item, state.interval);
  }

  /** Shows what is known about the item; what is drawn only if it is in view. */
  show(inView) {
    const state = this.page.state();
    setAttribute(this.element, "data-level", this.state.level);
    for (const cell of this.cells) {
      cell.update?.(this.item, state, this.state);
      if (inView) cell.draw?.(this.item, state);
    }
    if (!this.details) return;
    this.details.update(this.item, state);
    showAge(this.details.row, state.now);
    if (inView) this.details.draw?.(this.item, state);
  }

  setOpen(open) {
    if (open === (this.details !== null)) return;
    this.button.setAttribute("aria-expanded", open);
    if (!open) {
      this.details.row.remove();
      this.details = null;
      return;
    }
    this.details = this.section.details(this.item);
    this.details.row = el("tr", { class: "details", role: "row" },
      el("td", { colspan: this.section.columns.length + 1, role: "cell" }, this.details.element));
    this.element.append(this.details.row);
    this.show(true);
  }

  remove() {
    this.page.visible.forget(this.element);
    this.element.remove();
  }
}

/** The table of a section with its rows. The page says what is open and what is searched. */
export class Table {
  constructor(section, page) {
    this.section = section;
    this.page = page;
    this.rows = new Map();
    this.order = "";
    this.table = el("table", { role: "table", class: section.id, "aria-labelledby": `${section.id}-title` },
      head(section));
    this.empty = section.empty();
    setHidden(this.empty, true); // until an answer says so
    this.count = el("span", { class: "count" });
    this.element = el("section", { id: section.id, "aria-labelledby": `${section.id}-title` },
      el("h2", { id: `${section.id}-title`, tabindex: "-1" }, section.title, " ", this.count),
      section.legend?.() ?? "", this.table, this.empty);
  }

  /** Brings all rows up to date: in trouble first, then by name. */
  update(items, state) {
    for (const [key, row] of this.rows) {
      if (!items.has(row.itemKey)) {
        row.remove();
        this.rows.delete(key);
      }
    }
    for (const [itemKey, item] of items) {
      const key = this.section.key(item);
      const known = this.rows.get(key);
      const row = known ?? new Row(this.section, item, this.page);
      row.itemKey = itemKey;
      row.update(item, state);
      if (known) continue;
      this.rows.set(key, row);
      row.show(false);
    }
    const compare = this.section.compare ?? byName;
    const sorted = [...this.rows.values()].sort((a, b) => a.state.level - b.state.level || compare(a, b));
    const order = sorted.map((row) => row.key).join("\n");
    if (order !== this.order) reorder(this.table, sorted.map((row) => row.element), this.table.tBodies[0] ?? null);
    this.order = order;
  }

  /** Shows the rows that the reader looks for. Returns how many. */
  filter(view) {
    const elsewhere = view.show !== "all" && view.show !== "trouble" && view.show !== this.section.id;
    const searched = view.query.trim() !== "";
    let shown = 0;
    for (const row of this.rows.values()) {
      const wanted = view.show !== "trouble" || row.state.level <= WARN;
      const show = !elsewhere && wanted && (!searched || matches(this.section.texts(row.item), view.query));
      setHidden(row.element, !show);
      if (show) shown++;
    }
    const filtered = searched || view.show === "trouble";
    setHidden(this.element, elsewhere || (filtered && shown === 0) || (this.rows.size === 0 && !this.section.always));
    setHidden(this.table, this.rows.size === 0);
    setHidden(this.empty, this.rows.size > 0);
    setText(this.count, shown === this.rows.size ? String(shown) : `${shown} of ${this.rows.size}`);
    return elsewhere ? 0 : shown;
  }

  /** Opens and closes rows as the address says. */
  open(keys) {
    for (const [key, row] of this.rows) row.setOpen(keys.has(key));
  }
}

function byName(a, b) {
  return a.name < b.name ? -1 : Number(a.name > b.name);
}

function head(section) {
  const groups = [];
  for (const column of section.columns) {
    const last = groups.at(-1);
    if (last && column.group && last.label === column.group) last.span++;
    else groups.push({ label: column.group ?? "", span: 1 });
  }
  return el("thead", { role: "rowgroup" },
    el("tr", { role: "row", class: "groups" }, el("td", { role: "cell" }), ...groups.map(groupHead)),
    el("tr", { role: "row", class: "heads" }, el("th", { role: "columnheader", scope: "col", class: "name" }, section.singular),
      ...section.columns.map((c) => el("th", { role: "columnheader", scope: "col", class: c.className }, c.label))));
}

function groupHead(group) {
  const cell = group.label
    ? el("th", { role: "columnheader", scope: "colgroup", colspan: group.span }, group.label)
    : el("td", { role: "cell", colspan: group.span });
  cell.style.gridColumn = `span ${group.span}`;
  return cell;
}
