// The section of budgets.

import { el, setFigure, setHidden, setText } from "./dom.js";
import { count, duration, number, plural } from "./format.js";
import { budgetState, minuteSum, ranked } from "./figures.js";
import { SHARED, chart, meter, strip, stripLabel } from "./charts.js";
import { countTable, figureCell, framed, legend } from "./cells.js";
import { stateColumn } from "./rows.js";
import { MAX_VALUES } from "./state.js";

const TOKENS = [{ key: "tokens", shape: "line" }];
const SHARED_TOKENS = [{ key: "shared_tokens", shape: "line" }];
const ASKED = [{ key: "denied", shape: "area" }, { key: "granted", shape: "dashed", sparse: true }];
const MEANING = new Map([
  ["granted", "Retries that the budget paid for."],
  ["denied", "Retries that were not sent, as the budget granted none."],
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
  texts: (budget) => [budget.name, "budget", ...(budget.denied > 0 ? ["denied"] : []), ...(budget.shared ? ["shared", budget.shared.mode] : [])],
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
  const held = el("p", { class: "held", "data-field": "held" });
  return {
    element: el("div", { class: "tokens" }, el("p", {}, figure, of), bar.element, held),
    update(budget) {
      const { tokens: now, capacity: full } = bucket(budget);
      setFigure(figure, number(now), now);
      setFigure(capacity, number(full), full);
      setHidden(bar.element, typeof now !== "number");
      bar.draw(now / full);
      setHidden(held, !budget.shared);
      setText(held, heldText(budget));
    },
  };
}

/** The bucket that decides: that of all replicas, that of the process, or none. */
function bucket(budget) {
  return budget.shared && budget.shared.mode !== "local" ? budget.shared : budget;
}

function heldText(budget) {
  switch (budget.shared?.mode) {
    case "shared": return `of all replicas, ${number(budget.tokens)} held here`;
    case "local": return "of this process: no store";
    case "closed": return "no store: denies all retries";
    default: return "ended";
  }
}

function sparkline(budget) {
  const all = Boolean(budget.shared);
  const small = chart(all ? SHARED_TOKENS : TOKENS, "spark");
  return { element: small.element, draw: (item) => (all ? drawShared : drawOwn)(small, item) };
}

function drawOwn(tokens, { history, capacity }) {
  tokens.draw(history, tokensLabel("Tokens", history.tokens, capacity), capacity);
}

// While the store is not there nobody knows the tokens of all replicas, and the line has a gap.
function drawShared(tokens, { history, shared }) {
  tokens.draw(history, tokensLabel("Tokens of all replicas", history.shared_tokens, shared?.capacity), shared?.capacity);
}

function modesLabel(budget, state) {
  return stripLabel("Modes", budget.history.mode, state.interval);
}

function tokensLabel(what, values, capacity) {
  const known = (values ?? []).filter((v) => v !== null);
  if (!known.length) return `${what} of the last five minutes: not known`;
  return `${what} of the last five minutes: ${number(Math.min(...known))} to ${number(Math.max(...known))} of ${number(capacity)}`;
}

function details(budget) {
  const shared = budget.shared ? sharedDetails() : null;
  const level = chart(TOKENS, "large");
  const asked = chart(ASKED, "large");
  const levelFrame = framed(level, shared ? "Tokens held here" : "Tokens");
  const askedFrame = framed(asked, "Retries granted and denied a second");
  const table = countTable("Retries that were asked for", { meaning: MEANING, shares: false });
  return {
    element: el("div", { class: "detail" },
      el("div", { class: "detail-charts several" }, ...(shared?.charts ?? []), levelFrame.element,
        el("div", {}, askedFrame.element, legend([["dashed granted", "granted"], ["area failed", "denied"]]))),
      el("div", { class: "detail-tables" }, table.element, ...(shared?.tables ?? []))),
    update(item) {
      table.update([...MEANING.keys()].map((key) => [key, item[key] ?? 0]).filter(([, n]) => n > 0));
      shared?.update(item);
    },
    draw(item, state) {
      const from = `${duration(MAX_VALUES * state.interval)} ago`;
      shared?.draw(item, state, from);
      drawOwn(level, item);
      levelFrame.label(number(item.capacity), from);
      const denied = minuteSum(item.history.denied, state.interval);
      const max = asked.draw(item.history, `${plural(denied, "retry", "retries")} denied in the last minute`);
      askedFrame.label(number(max / state.interval), from);
    },
  };
}

// What a budget has beside that if replicas share it.
function sharedDetails() {
  const modes = strip("large", SHARED);
  const modesFrame = framed(modes, "Mode: where it decides");
  const all = chart(SHARED_TOKENS, "large");
  const allFrame = framed(all, "Tokens of all replicas");
  const exchanges = countTable("Exchanges with the store");
  const changes = countTable("Changes of mode to", { shares: false });
  const trouble = el("p", { class: "trouble", "data-field": "shared-error" });
  return {
    charts: [modesFrame.element, allFrame.element],
    tables: [exchanges.element, changes.element, trouble],
    update(budget) {
      exchanges.update(ranked(budget.shared?.exchanges));
      changes.update(ranked(budget.shared?.changes));
      setText(trouble, budget.shared?.error ? `The latest exchange failed: ${budget.shared.error}` : "");
      setHidden(trouble, !budget.shared?.error);
    },
    draw(budget, state, from) {
      modes.draw(budget.history.mode ?? [], modesLabel(budget, state));
      modesFrame.label("", from);
      drawShared(all, budget);
      allFrame.label(number(budget.shared?.capacity), from);
    },
  };
}
