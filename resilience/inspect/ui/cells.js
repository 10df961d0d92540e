// Cells and lists that several sections use.

import { el, name, setAttribute, setFigure, setText } from "./dom.js";
import { count, percent, words } from "./format.js";
import { stackedBar } from "./charts.js";
import { ranked } from "./figures.js";

/** A cell with a single figure: show returns its text and its exact value. */
export function figureCell(field, show) {
  const element = el("span", { class: "figure", "data-field": field });
  return {
    element,
    update(item, state) {
      const [text, value] = show(item, state);
      setFigure(element, text, value);
      element.classList.toggle("zero", !value);
    },
  };
}

/** A list of counts as text, changed in place: entries are [name, count] in their order. */
export function countList(attribute, className, text = words) {
  const element = el("ul", { class: "counts" });
  const known = new Map();
  return {
    element,
    update(entries, most = entries.length) {
      const wanted = new Set(entries.slice(0, most).map(([key]) => key));
      for (const [key, entry] of known) {
        if (wanted.has(key)) continue;
        entry.item.remove();
        known.delete(key);
      }
      entries.slice(0, most).forEach(([key, n], i) => {
        let entry = known.get(key);
        if (!entry) {
          const figure = el("span", { class: "n" });
          const item = el("li", { [attribute]: key }, el("span", { class: `key ${className(key)}`, "aria-hidden": "true" }),
            figure, " ", name(text(key)));
          entry = { item, figure };
          known.set(key, entry);
        }
        setText(entry.figure, count(n));
        setAttribute(entry.item, "data-value", n);
        if (element.children[i] !== entry.item) element.insertBefore(entry.item, element.children[i] ?? null);
      });
    },
  };
}

/** A bar of counts with the counts as text below it. */
export function breakdown(attribute, className) {
  const bar = stackedBar();
  const list = countList(attribute, className);
  return {
    element: el("div", { class: "breakdown" }, bar.element, list.element),
    update(entries) {
      bar.draw(entries.map(([key, n]) => ({ className: className(key), n })));
      bar.element.hidden = entries.length === 0;
      list.update(entries);
    },
  };
}

/** A table of counts, for details. Shares are those of their sum; text and meaning say what an entry is. */
export function countTable(caption, { shares = true, meaning, text = words } = {}) {
  const body = el("tbody");
  const element = el("table", { class: "plain" }, el("caption", {}, caption), body);
  let shown = "";
  return {
    element,
    update(entries) {
      const shape = JSON.stringify(entries);
      if (shape === shown) return;
      shown = shape;
      const sum = entries.reduce((a, [, n]) => a + n, 0);
      body.replaceChildren(...entries.map(([key, n]) => el("tr", {},
        el("th", { scope: "row" }, name(text(key))),
        el("td", { class: "num" }, count(n)),
        shares ? el("td", { class: "num" }, percent(n / sum)) : "",
        meaning?.has(key) ? el("td", { class: "what" }, meaning.get(key)) : "")));
      if (!entries.length) body.append(el("tr", {}, el("td", {}, "none so far")));
    },
  };
}

/** The largest counts, and how many more there are. */
export function topCounts(attribute, most) {
  const list = countList(attribute, () => "none", (key) => key);
  const more = el("span", { class: "more" });
  return {
    element: el("div", {}, list.element, more),
    update(counts) {
      const entries = ranked(counts);
      list.update(entries, most);
      const others = entries.slice(most).reduce((sum, [, n]) => sum + n, 0);
      setText(more, others ? `and ${count(others)} of other types` : "");
    },
  };
}

/** A sample of a drawn series with its name. */
export function legend(entries) {
  return el("ul", { class: "legend" },
    ...entries.map(([className, text]) => el("li", {}, el("span", { class: `sample ${className}` }), text)));
}

/** A large chart with a scale and with the time below it. */
export function framed(chart, title) {
  const max = el("span", { class: "max" });
  const from = el("span", {});
  const element = el("figure", { class: "framed" }, el("figcaption", {}, title),
    el("div", { class: "plot" }, max, chart.element), el("div", { class: "times", "aria-hidden": "true" }, from, el("span", {}, "now")));
  return {
    element,
    label(maxText, fromText) {
      setText(max, maxText);
      setText(from, fromText);
    },
  };
}
