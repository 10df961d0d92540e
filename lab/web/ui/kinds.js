// The charts over time: what each shows, and which are worth drawing.

import { duration, number, percent } from "./format.js";

const rate = (n) => `${number(n)}/s`;

/** A band that is one less another, and no less than 0. */
function difference(a, b) {
  const of = (key) => a[key].map((v, i) => Math.max(0, v - b.mid[i]));
  return { low: of("low"), mid: of("mid"), high: of("high") };
}

/**
 * Charts: { key, title, unit, of(policy) => band, text(value), log, most, reference, own }. Own are those of parts that
 * not every policy has.
 */
export const CHARTS = [
  { key: "requests", title: "Load that the callee is offered", unit: "requests a second", of: (p) => p.series.requests, text: rate,
    reference: "calls" },
  { key: "goodput", title: "Goodput", unit: "calls a second that succeed", of: (p) => p.series.goodput, text: rate, reference: "calls" },
  { key: "p50", title: "Latency, median", unit: "of calls that end, log scale", of: (p) => p.series.p50, text: duration, log: true },
  { key: "p99", title: "Latency, p99", unit: "of calls that end, log scale", of: (p) => p.series.p99, text: duration, log: true },
  { key: "retries", title: "Retries and copies", unit: "requests a second beyond calls", of: (p) => difference(p.series.requests,
    p.series.calls), text: rate },
  { key: "failed", title: "Calls that fail", unit: "calls a second", of: (p) => p.series.failed, text: rate },
  { key: "waiting", title: "Queue of the callee", unit: "requests that wait", of: (p) => p.series.waiting, text: number },
  { key: "tokens", title: "Budget", unit: "retries that it still allows", of: (p) => p.series.tokens, text: number, own: true },
  { key: "open", title: "Breakers that are not closed", unit: "share of the clients", of: (p) => p.series.open, text: percent, most: 1,
    own: true },
];

/** Whether anything of a chart is above 0. */
export function moves(kind, report) {
  return report.policies.some((p) => kind.of(p).high.some((v) => v > 0));
}

/** Whether a policy has what a chart shows. */
export function has(kind, policy) {
  return !kind.own || kind.of(policy).high.some((v) => v > 0);
}

/** How many intervals are worth drawing: without those at the end in which nothing happens any more, if they are many. */
export function length(report) {
  const all = report.policies.flatMap((p) => ["calls", "requests", "goodput", "failed", "waiting"].map((key) => p.series[key].high));
  const points = all[0].length;
  const last = Math.max(...all.map((values) => values.findLastIndex((v) => v > 0)));
  const needed = Math.min(points, Math.max(12, Math.ceil((last + 1) * 1.05)));
  return needed < 0.8 * points ? needed : points;
}

/** The smallest and largest values that are drawn, 0 aside for the smallest. */
export function extent(bands) {
  let min = Infinity;
  let max = 0;
  for (const band of bands) {
    for (const v of band.high) if (v > max) max = v;
    for (const v of band.low) if (v > 0 && v < min) min = v;
  }
  return { min: min === Infinity ? 0 : min, max };
}

/** The values of all policies at an interval, as a text: "three retries 840/s, with a budget 300/s". */
export function valuesAt(kind, policies, i) {
  return policies.map((p) => {
    const v = kind.of(p).mid[i];
    return { name: p.name, text: v >= 0 ? kind.text(v) : "–" };
  });
}

/** The largest median of each policy. */
export function highest(kind, policies) {
  return policies.map((p) => {
    const most = Math.max(...kind.of(p).mid);
    return { name: p.name, text: most >= 0 ? kind.text(most) : "–" };
  });
}
