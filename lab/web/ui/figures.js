// The table of figures: what stands in which column, and how.

import { NEVER, duration, factor, number, percent, recovery, words } from "./format.js";

/** Columns: { key, title, help, of(policy) => { low, mid, high }, text(value) }. */
export const COLUMNS = [
  { key: "amplification", title: "Requests a call", help: "all requests by all calls", of: figure("amplification"), text: factorOf },
  { key: "peak", title: "At the peak", help: "in the worst interval", of: figure("peak_amplification"), text: factorOf },
  { key: "success", title: "Calls that succeed", help: "of all that ended", of: figure("success"), text: percent },
  { key: "recovery", title: "Recovery", help: "from the end of the last fault", of: figure("recovery_seconds"), text: recovery },
  { key: "p99", title: "Worst p99", help: "latency in the worst interval", of: worst("p99"), text: duration },
  { key: "wasted", title: "Served in vain", help: "requests whose caller had gone", of: figure("wasted"), text: number },
];

function factorOf(n) {
  return n >= 0 ? `${n < 9.95 ? n.toFixed(2) : factor(n)} ×` : "–";
}

function figure(name) {
  return (policy) => policy.figures[name] ?? { low: NaN, mid: NaN, high: NaN };
}

/** The largest value of each line of a band. */
function worst(name) {
  return (policy) => {
    const band = policy.series[name];
    const of = (values) => values.reduce((most, v) => (v >= 0 && !(v <= most) ? v : most), NaN);
    return { low: of(band.low), mid: of(band.mid), high: of(band.high) };
  };
}

/** A figure as text, and its range over the seeds if there is one. */
export function cell(column, policy) {
  const { low, mid, high } = column.of(policy);
  const text = column.text(mid);
  const from = column.text(low);
  const to = column.text(high);
  return { value: mid, text, range: from === to ? "" : `${from} to ${to}` };
}

/** Which columns say something: a recovery only if there is something to recover from. */
export function columns(report) {
  return COLUMNS.filter((c) => c.key !== "recovery" || (report.faults.length > 0 && report.policies.some((p) => c.of(p).mid !== 0)));
}

/** Which policies have the best value of a column, if they differ: indices. */
export function best(column, report) {
  const values = report.policies.map((p) => Math.min(column.of(p).mid, NEVER));
  const good = column.key === "success" ? Math.max(...values) : Math.min(...values);
  const texts = new Set(values.map((v) => column.text(v)));
  return texts.size < 2 ? [] : values.flatMap((v, i) => (column.text(v) === column.text(good) ? [i] : []));
}

/** Why calls failed, the most frequent reason first: [{ reason, n, share }]. */
export function reasons(policy) {
  const all = Object.entries(policy.reasons ?? {}).filter(([, n]) => n > 0);
  const sum = all.reduce((a, [, n]) => a + n, 0);
  return all.sort((a, b) => b[1] - a[1]).map(([reason, n]) => ({ reason: words(reason), n, share: n / sum }));
}
