// A troubled call as a timeline: what it did when, to scale.

import { el, name, svg } from "./dom.js";
import { age, clock, count, duration, plural, words } from "./format.js";
import { traceAddress } from "./link.js";
import { outcomeClass } from "./figures.js";

/** How much of the width an attempt takes whose start is not known, as a share. */
const STUB = 0.06;

/**
 * Computes the rows of a timeline. Places are shares of the width, times are seconds.
 * A row is an attempt { number, from, to, open, errorType, error, took, wait: { from, to, seconds, pushback } | null },
 * or { left } for attempts that were not kept.
 */
export function layout(call) {
  const attempts = call.timeline ?? [];
  const open = attempts.some((a) => a.start_seconds === null || a.start_seconds === undefined);
  const zero = open ? STUB : 0;
  const end = Math.max(call.duration_seconds || 0, ...attempts.map((a) => a.end_seconds || 0), 1e-9);
  const place = (seconds) => zero + Math.min(1, Math.max(0, seconds / end)) * (1 - zero);
  const rows = [];
  attempts.forEach((a, i) => {
    const skipped = a.attempt - (attempts[i - 1]?.attempt ?? 0) - 1;
    if (skipped > 0) rows.push({ left: skipped });
    const unknown = a.start_seconds === null || a.start_seconds === undefined;
    rows.push({
      number: a.attempt,
      from: unknown ? Math.max(0, place(a.end_seconds) - STUB) : place(a.start_seconds),
      to: place(a.end_seconds),
      open: unknown,
      errorType: a.error_type || "",
      error: a.error || "",
      took: unknown ? null : a.end_seconds - a.start_seconds,
      wait: waitAfter(a, attempts[i + 1], place),
    });
  });
  const after = call.attempts - (attempts.at(-1)?.attempt ?? 0);
  if (after > 0) rows.push({ left: after });
  return { rows, zero, end, open };
}

// The wait ends where the next attempt begins, whatever was asked for.
function waitAfter(attempt, next, place) {
  if (typeof attempt.delay_seconds !== "number") return null;
  const adjacent = next?.attempt === attempt.attempt + 1 && typeof next.start_seconds === "number";
  const until = adjacent ? next.start_seconds : attempt.end_seconds + attempt.delay_seconds;
  return { from: place(attempt.end_seconds), to: place(until), seconds: attempt.delay_seconds, pushback: attempt.pushback === true };
}

/** Round marks for the axis up to end: about four of them. */
export function ticks(end) {
  if (end < 1e-6) return [];
  const rough = end / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const all = [];
  for (let i = 0; i * step <= end * 1.0001; i++) all.push(i * step);
  return all;
}

/** Makes the element of a call. Its age is kept up to date by [showAge]. */
export function callElement(call, state) {
  const failed = outcomeClass(call.outcome) === "failed";
  const ended = Date.parse(call.began) + (call.duration_seconds || 0) * 1000;
  const when = el("time", { datetime: call.began, title: `began ${new Date(call.began).toString()}`, "data-ended": ended });
  const chart = layout(call);
  const head = el("p", { class: "call-head" },
    el("strong", { class: failed ? "outcome failed" : "outcome" }, `${failed ? "✕" : "↻"} ${words(call.outcome)}`),
    el("span", {}, attemptsText(call)),
    el("span", {}, durationText(call, chart)),
    when, el("span", { class: "clock" }, clock(ended, state.now)));
  if (call.reason) head.append(el("span", {}, `reason ${words(call.reason)}`));
  if (call.budget) head.append(el("span", {}, "budget ", name(call.budget)));
  if (call.nested) head.append(el("span", { class: "nested" }, "inside of another retry"));
  return el("li", { class: "call", "data-call": call.id, "data-outcome-of": call.outcome },
    head, rowsElement(chart), traceElement(call, state));
}

function attemptsText(call) {
  const made = plural(call.attempts, "attempt");
  return call.max > 0 ? `${made} of ${count(call.max)}` : made;
}

function durationText(call, chart) {
  if (!chart.open) return duration(call.duration_seconds);
  return call.attempts > 1 ? `${duration(call.duration_seconds)} after the first attempt` : "not timed";
}

/** Brings the ages below an element up to date. */
export function showAge(element, now) {
  for (const when of element.querySelectorAll("time[data-ended]")) {
    const text = age(Number(when.dataset.ended), now);
    if (when.textContent !== text) when.textContent = text;
  }
}

function rowsElement(chart) {
  const list = el("ol", { class: "attempts" });
  let last = "";
  for (const row of chart.rows) {
    if (row.left) {
      list.append(el("li", { class: "left-out" }, `… ${plural(row.left, "attempt")} not kept`));
      continue;
    }
    list.append(el("li", { class: "attempt", "data-attempt": row.number }, ...attemptCells(row, chart, last)));
    last = row.error;
  }
  return el("div", { class: "gantt" }, list, axis(chart));
}

function attemptCells(row, chart, lastError) {
  const took = row.open ? "start not timed" : duration(row.took);
  const result = row.errorType
    ? el("span", { class: "type" }, "✕ ", name(row.errorType))
    : el("span", { class: "type ok" }, "✓ success");
  const cells = [
    el("span", { class: "no" }, `${row.number}`), result, el("span", { class: "took" }, took), track(row, chart),
    el("span", { class: "then" }, row.wait ? `wait ${duration(row.wait.seconds)}${row.wait.pushback ? ", as asked" : ""}` : ""),
  ];
  if (row.error && row.error !== lastError) cells.push(el("span", { class: "error" }, name(row.error)));
  return cells;
}

const share = (x) => `${Math.round(x * 1e4) / 100}%`;

function track(row, chart) {
  const width = Math.max(row.to - row.from, 0.006); // so that the shortest attempt can be seen
  const from = Math.min(row.from, 1 - width);
  const parts = ticks(chart.end).map((t) => {
    const x = share(chart.zero + (t / chart.end) * (1 - chart.zero));
    return svg("line", { class: "grid", x1: x, x2: x, y1: 0, y2: "100%" });
  });
  if (row.wait && row.wait.to > row.wait.from) {
    parts.push(svg("line", { class: "wait", x1: share(row.wait.from), x2: share(row.wait.to), y1: "50%", y2: "50%" }));
  }
  const kind = `${row.errorType ? "failed" : "ok"}${row.open ? " open" : ""}`;
  parts.push(svg("rect", { class: `attempt-bar ${kind}`, x: share(from), width: share(width), y: "12%", height: "76%" }));
  return svg("svg", { class: "track", "aria-hidden": "true" }, ...parts);
}

function axis(chart) {
  const marks = ticks(chart.end).map((t) => {
    const mark = el("span", { class: "tick" }, t === 0 ? "0" : duration(t));
    mark.style.left = share(chart.zero + (t / chart.end) * (1 - chart.zero));
    return mark;
  });
  return el("div", { class: "axis", "aria-hidden": "true" }, ...marks);
}

function traceElement(call, state) {
  if (!call.trace_id) return el("p", { class: "trace" }, "not traced");
  const address = traceAddress(state.traceURL, call.trace_id, call.span_id);
  const id = address
    ? el("a", { href: address, target: "_blank", rel: "noopener noreferrer", class: "id" }, call.trace_id)
    : el("code", { class: "id" }, call.trace_id);
  return el("p", { class: "trace" }, "trace ", id);
}
