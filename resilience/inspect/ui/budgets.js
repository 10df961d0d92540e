// The section of budgets.

import { el, setFigure, setHidden } from "./dom.js";
import { count, duration, number, plural } from "./format.js";
import { budgetState, minuteSum } from "./figures.js";
import { chart, meter } from "./charts.js";
import { countTable, figureCell, framed, legend } from "./cells.js";
import { stateColumn } from "./rows.js";
import { MAX_VALUES } from "./state.js";

const TOKENS = [{ key: "tokens", shape: "line" }];
const ASKED = [{ key: "denied", shape: "area" }, { key: "granted", shape: "dashed", sparse: true }];
const MEANING = new Map([
  ["granted", "Retries that the budget paid for."],
  ["denied", "Retries that were not sent, as the budget was empty."],
  ["refunded", "Retries that were paid for and never sent."],
]);

export const budgets = {
  id: "budgets",
  title: "Retry budgets",
  singular: "Budget",
  noun: "budget",
  key: (budget) => `budget/${budget.name}`,
  attributes: (budget) => ({ "data-budget": budget.name, "data-kind": "budget" }),
  state: budgetState,
  texts: (budget) => [budget.name, "budget", ...(budget.denied > 0 ? ["denied"] : [])],
  empty: () => el("p", {}),
  details,
  columns: [
    stateColumn,
    { label: "Tokens", className: "c-tokens", make: tokens },
    { label: "Granted", card: "Granted, 1 min", group: "Last minute", className: "num", make: () => minuteCell("granted") },
    { label: "Denied", card: "Denied, 1 min", group: "Last minute", className: "num", make: () => minuteCell("denied") },
    { label: "Tokens, five minutes", className: "c-chart", make: sparkline },
    { label: "Granted", card: "Granted in all", group: "Since the start", className: "num", make: () => totalCell("granted") },
    { label: "Denied", card: "Denied in all", group: "Since the start", className: "num", make: () => totalCell("denied") },
    { label: "Refunded", card: "Refunded in all", group: "Since the start", className: "num", make: () => totalCell("refunded") },
  ],
};

function minuteCell(series) {
  return figureCell(`${series}-minute`, (budget, state) => {
    const n = minuteSum(budget.history[series], state.interval);
    return [count(n), n];
  });
}

function totalCell(field) {
  return figureCell(field, (budget) => [count(budget[field] ?? 0), budget[field] ?? 0]);
}

function tokens() {
  const bar = meter();
  const figure = el("span", { class: "figure", "data-field": "tokens" });
  const capacity = el("span", { "data-field": "capacity" });
  const of = el("span", { class: "of" }, " of ", capacity);
  return {
    element: el("div", { class: "tokens" }, el("p", {}, figure, of), bar.element),
    update(budget) {
      setFigure(figure, number(budget.tokens), budget.tokens);
      setFigure(capacity, number(budget.capacity), budget.capacity);
      setHidden(bar.element, typeof budget.tokens !== "number");
      bar.draw(budget.tokens / budget.capacity);
    },
  };
}

function sparkline() {
  const small = chart(TOKENS, "spark");
  return { element: small.element, draw: (budget) => small.draw(budget.history, tokensLabel(budget), budget.capacity) };
}

function tokensLabel(budget) {
  const known = (budget.history.tokens ?? []).filter((v) => v !== null);
  if (!known.length) return "Tokens of the last five minutes: not known";
  return `Tokens of the last five minutes: ${number(Math.min(...known))} to ${number(Math.max(...known))} of ${number(budget.capacity)}`;
}

function details() {
  const level = chart(TOKENS, "large");
  const asked = chart(ASKED, "large");
  const levelFrame = framed(level, "Tokens");
  const askedFrame = framed(asked, "Retries granted and denied a second");
  const table = countTable("Retries that were asked for", { meaning: MEANING, shares: false });
  return {
    element: el("div", { class: "detail" },
      el("div", { class: "detail-charts several" }, levelFrame.element,
        el("div", {}, askedFrame.element, legend([["dashed granted", "granted"], ["area failed", "denied"]]))),
      el("div", { class: "detail-tables" }, table.element)),
    update(budget) {
      table.update([...MEANING.keys()].map((key) => [key, budget[key] ?? 0]).filter(([, n]) => n > 0));
    },
    draw(budget, state) {
      const from = `${duration(MAX_VALUES * state.interval)} ago`;
      level.draw(budget.history, tokensLabel(budget), budget.capacity);
      levelFrame.label(number(budget.capacity), from);
      const denied = minuteSum(budget.history.denied, state.interval);
      const max = asked.draw(budget.history, `${plural(denied, "retry", "retries")} denied in the last minute`);
      askedFrame.label(number(max / state.interval), from);
    },
  };
}
