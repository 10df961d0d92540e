// The section of policies.

import { el, setFigure, setText } from "./dom.js";
import { UNKNOWN, count, duration, figure, number, percent, plural, words } from "./format.js";
import { OUTCOMES, minuteRate, minuteSum, outcomeClass, outcomes, policyState, ranked, ratio, total } from "./figures.js";
import { chart, largest } from "./charts.js";
import { breakdown, countTable, figureCell, framed, legend, topCounts } from "./cells.js";
import { troubledCalls } from "./troubled.js";
import { stateColumn } from "./rows.js";
import { MAX_VALUES } from "./state.js";

const SERIES = [
  { key: "failed", shape: "area" },
  { key: "calls", shape: "line" },
  { key: "retries", shape: "dashed", sparse: true },
];
const LEGEND = [["line calls", "calls"], ["dashed retries", "retries"], ["area failed", "failed calls"]];

export const policies = {
  id: "policies",
  title: "Retry policies",
  singular: "Policy",
  noun: "policy",
  always: true,
  key: (policy) => `policy/${policy.name}`,
  attributes: (policy) => ({ "data-policy": policy.name, "data-kind": "retry" }),
  state: policyState,
  texts: (policy) => [policy.name, "retry", ...withWords(outcomes(policy.calls)), ...withWords(ranked(policy.errors))],
  legend: () => legend(LEGEND),
  empty,
  details,
  columns: [
    stateColumn,
    { label: "Calls/s", group: "Last minute", className: "num", make: () => minuteRateCell("calls") },
    { label: "Failed/s", group: "Last minute", className: "num", make: () => minuteRateCell("failed") },
    { label: "Failed", group: "Last minute", className: "num", make: () => perCallCell("failed-share", "failed", percent) },
    { label: "Retried", group: "Last minute", className: "num", make: () => perCallCell("retry-rate", "retried", percent) },
    { label: "Saved", group: "Last minute", className: "num", make: () => perCallCell("success-after-retry", "saved", percent) },
    {
      label: "Retries/call", group: "Last minute", className: "num",
      make: () => perCallCell("retries-per-call", "retries", figure),
    },
    { label: "Five minutes", className: "c-chart", make: sparkline },
    { label: "Calls", group: "Since the start", className: "c-outcomes", make: totals },
    { label: "Failed attempts", group: "Since the start", className: "c-errors", make: errors },
  ],
};

function withWords(entries) {
  return entries.flatMap(([key]) => [key, words(key)]);
}

function minuteRateCell(series) {
  return figureCell(series, (policy, state) => [
    figure(minuteRate(policy.history[series], state.interval)), minuteSum(policy.history[series], state.interval),
  ]);
}

function perCallCell(field, series, format) {
  return figureCell(field, (policy, state) => {
    const share = ratio(minuteSum(policy.history[series], state.interval), minuteSum(policy.history.calls, state.interval));
    return [format(share), share];
  });
}

function sparkline() {
  const small = chart(SERIES, "spark");
  return { element: small.element, draw: (policy, state) => small.draw(policy.history, chartLabel(policy, state)) };
}

function chartLabel(policy, state) {
  const most = (series) => number(largest([policy.history[series]]) / state.interval);
  return `Last five minutes, at most: ${most("calls")} calls, ${most("retries")} retries and ${most("failed")} failed calls a second`;
}

function totals() {
  const calls = el("span", { "data-field": "calls-total" });
  const attempts = el("span", { "data-field": "attempts-total" });
  const retries = el("span", { "data-field": "retries-total" });
  const parts = breakdown("data-outcome", outcomeClass);
  return {
    element: el("div", {}, el("p", { class: "totals" }, calls, ", ", attempts, ", ", retries), parts.element),
    update(policy) {
      const sum = total(policy.calls);
      setFigure(calls, plural(sum, "call"), sum);
      setFigure(attempts, plural(policy.attempts ?? 0, "attempt"), policy.attempts ?? 0);
      setFigure(retries, plural(policy.retries ?? 0, "retry", "retries"), policy.retries ?? 0);
      parts.update(outcomes(policy.calls));
    },
  };
}

function errors() {
  const top = topCounts("data-error", 3);
  return { element: top.element, update: (policy) => top.update(policy.errors) };
}

function details() {
  const large = chart(SERIES, "large");
  const frame = framed(large, "Calls, retries and failed calls a second");
  const five = fiveFigures();
  const outcomeTable = countTable("Outcomes of calls", { meaning: OUTCOMES });
  const errorTable = countTable("Error types of failed attempts", { text: (type) => type });
  const calls = troubledCalls();
  return {
    element: el("div", { class: "detail" },
      el("div", { class: "detail-charts" }, frame.element, legend(LEGEND), five.element),
      el("div", { class: "detail-tables" }, outcomeTable.element, errorTable.element),
      calls.element),
    update(item, state) {
      five.update(item, state);
      outcomeTable.update(outcomes(item.calls));
      errorTable.update(ranked(item.errors));
      calls.update(item, state);
    },
    draw(item, state) {
      const max = large.draw(item.history, chartLabel(item, state));
      frame.label(number(max / state.interval), `${duration(MAX_VALUES * state.interval)} ago`);
    },
  };
}

// The five figures by which to judge retries.
function fiveFigures() {
  const body = el("tbody");
  const labels = ["Calls that were retried", "Saved by a retry", "Exhausted", "Retries a call", "Added by retries, a retried call"];
  const rows = labels.map((label) => {
    const cells = [el("td", { class: "num" }), el("td", { class: "num" })];
    body.append(el("tr", {}, el("th", { scope: "row" }, label), ...cells));
    return cells;
  });
  const element = el("table", { class: "plain" }, el("caption", {}, "Five figures"),
    el("thead", {}, el("tr", {}, el("td"),
      el("th", { scope: "col" }, "last minute"), el("th", { scope: "col" }, "since the start"))), body);
  return {
    element,
    update(policy, state) {
      const minute = (series) => minuteSum(policy.history[series], state.interval);
      const calls = total(policy.calls);
      const values = [
        [percent(ratio(minute("retried"), minute("calls"))), percent(ratio(policy.retried ?? null, calls))],
        [percent(ratio(minute("saved"), minute("calls"))), percent(ratio(policy.calls?.success_after_retry ?? 0, calls))],
        [count(minute("exhausted")), count(policy.calls?.exhausted ?? 0)],
        [figure(ratio(minute("retries"), minute("calls"))), figure(ratio(policy.retries ?? 0, calls))],
        [duration(ratio(minute("retry_latency_seconds"), minute("retried"))),
          duration(ratio(policy.retry_latency_seconds ?? null, policy.retried))],
      ];
      values.forEach((texts, i) => texts.forEach((text, j) => setText(rows[i][j], text)));
    },
  };
}

function empty() {
  return el("div", { class: "empty" },
    el("p", {}, "No retry policy was made yet in this process. This makes one:"),
    el("pre", {}, el("code", {}, 'var inventory = retry.MustNew("inventory.get")')));
}
