// The section of guards: breakers first, then every other policy that is no retry.

import { el, setFigure } from "./dom.js";
import { count, duration, figure, number, percent, words } from "./format.js";
import { guardState, minuteRate, minuteSum, ranked } from "./figures.js";
import { BREAKER, chart, strip, stripLabel } from "./charts.js";
import { breakdown, countTable, figureCell, framed, legend } from "./cells.js";
import { stateColumn } from "./rows.js";
import { MAX_VALUES } from "./state.js";

/** The kinds in their order, and the level that the history of each shows. */
const KINDS = new Map([
  ["breaker", { level: "failure ratio", max: 1, format: percent }],
  ["bulkhead", { level: "calls that run", format: number }],
  ["throttle", { level: "rejection ratio", max: 1, format: percent }],
  ["adaptive", { level: "allowed calls a second", format: number }],
  ["ratelimit", { level: "allowed calls a second", format: number }],
  ["delays", { level: "factor of delays", format: number }],
  ["timeout", { level: "", format: number }],
  ["hedge", { level: "delay before the next copy", format: duration }],
  ["fallback", { level: "", format: number }],
]);

const kind = (guard) => KINDS.get(guard.kind) ?? { level: "level", format: number };
const rank = (guard) => ([...KINDS.keys()].indexOf(guard.kind) + KINDS.size + 1) % (KINDS.size + 1);

const RATIOS = /ratio$/;

export const guards = {
  id: "guards",
  title: "Breakers and other guards",
  singular: "Guard",
  noun: "guard",
  key: (guard) => `guard/${guard.kind}/${guard.name}`,
  attributes: (guard) => ({ "data-guard": guard.name, "data-kind": guard.kind }),
  state: guardState,
  compare: (a, b) => rank(a.item) - rank(b.item) || (a.name < b.name ? -1 : Number(a.name > b.name)),
  texts: (guard) => [guard.name, "guard", guard.kind, words(guard.state),
    ...ranked(guard.results).flatMap(([key]) => [key, words(key)])],
  legend: () => legend([
    ["strip-closed", "breaker closed"], ["strip-half", "half open"], ["strip-open", "open"], ["line level", "level of other guards"],
  ]),
  empty: () => el("p", {}),
  details,
  columns: [
    { label: "Kind", className: "c-kind", make: kindCell },
    stateColumn,
    { label: "Calls/s", group: "Last minute", className: "num", make: () => rateCell("calls") },
    { label: "Rejected/s", group: "Last minute", className: "num", make: () => rateCell("rejected") },
    { label: "Levels now", className: "c-levels", make: levels },
    { label: "Five minutes", className: "c-chart", make: sparkline },
    { label: "Results", group: "Since the start", className: "c-outcomes", make: results },
  ],
};

function kindCell(guard) {
  return { element: el("span", { "data-field": "kind", "data-value": guard.kind }, words(guard.kind)) };
}

function rateCell(series) {
  return figureCell(series, (guard, state) => [
    figure(minuteRate(guard.history[series], state.interval)), minuteSum(guard.history[series], state.interval),
  ]);
}

/** A level as text: ratios in percent, delays as durations. */
export function levelText(level, value) {
  if (RATIOS.test(level)) return percent(value);
  return level === "delay" ? duration(value) : number(value);
}

function levels() {
  const list = el("ul", { class: "levels" });
  const figures = new Map();
  return {
    element: list,
    update(guard) {
      const now = Object.entries(guard.levels ?? {});
      for (const [level, value] of now) {
        if (!figures.has(level)) {
          const shown = el("span", { class: "figure", "data-field": level });
          figures.set(level, shown);
          list.append(el("li", {}, `${words(level)} `, shown));
        }
        setFigure(figures.get(level), levelText(level, value), value);
      }
    },
  };
}

function sparkline(guard) {
  if (guard.kind === "breaker") {
    const states = strip("spark", BREAKER);
    return { element: states.element, draw: (item, state) => states.draw(item.history.state ?? [], statesLabel(item, state)) };
  }
  if (!kind(guard).level) return { element: el("span", {}) };
  const small = chart([{ key: "level", shape: "line" }], "spark");
  return { element: small.element, draw: (item) => small.draw(item.history, levelLabel(item), kind(item).max) };
}

function statesLabel(guard, state) {
  return stripLabel("States", guard.history.state, state.interval);
}

function levelLabel(guard) {
  const { level, format } = kind(guard);
  return `Last five minutes: ${level}, now ${format(guard.history.level?.at(-1))}`;
}

function results() {
  const parts = breakdown("data-result", resultClass);
  return { element: parts.element, update: (guard) => parts.update(resultsOf(guard)) };
}

// Good ones first, whatever there is most of, so that the parts keep their places.
function resultsOf(guard) {
  const order = ["success", "saved", "aside", "failed"];
  return ranked(guard.results).sort((a, b) => order.indexOf(resultClass(a[0])) - order.indexOf(resultClass(b[0])));
}

const RESULT_CLASSES = new Map([
  ["success", "success"], ["admitted", "success"], ["completed", "success"], ["primary", "success"],
  ["ignored", "aside"], ["canceled", "aside"], ["hedge", "saved"], ["fallback", "saved"],
]);

function resultClass(result) {
  return RESULT_CLASSES.get(result) ?? "failed";
}

function details(guard) {
  const { level, max: fixed, format } = kind(guard);
  const calls = chart([{ key: "rejected", shape: "area" }, { key: "calls", shape: "line" }], "large");
  const callsFrame = framed(calls, "Calls and rejected calls a second");
  const levelChart = chart([{ key: "level", shape: "line" }], "large");
  const levelFrame = framed(levelChart, `${level.charAt(0).toUpperCase()}${level.slice(1)}`);
  const states = guard.kind === "breaker" ? strip("large", BREAKER) : null;
  const stateFrame = states && framed(states, "State");
  const resultTable = countTable("Results of calls");
  const eventTable = countTable(guard.kind === "breaker" ? "Changes of state to" : "Copies", { shares: false });
  const hasEvents = guard.kind === "breaker" || guard.kind === "hedge";
  return {
    element: el("div", { class: "detail" },
      el("div", { class: "detail-charts several" },
        el("div", {}, callsFrame.element, legend([["line calls", "calls"], ["area failed", "rejected"]])),
        level ? levelFrame.element : "", stateFrame ? stateFrame.element : ""),
      el("div", { class: "detail-tables" }, resultTable.element, hasEvents ? eventTable.element : "")),
    update(item) {
      resultTable.update(resultsOf(item));
      eventTable.update(ranked(item.events));
    },
    draw(item, state) {
      const from = `${duration(MAX_VALUES * state.interval)} ago`;
      const most = calls.draw(item.history, `${count(minuteSum(item.history.rejected, state.interval))} rejected in the last minute`);
      callsFrame.label(number(most / state.interval), from);
      levelFrame.label(format(levelChart.draw(item.history, levelLabel(item), fixed)), from);
      states?.draw(item.history.state ?? [], statesLabel(item, state));
      stateFrame?.label("", from);
    },
  };
}
