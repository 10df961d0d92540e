// The fields of the forms: where each stands in a scenario, and what changes there. A change is an edit for the
// server, { path, value }; null removes the field, so that its default holds.

import { formatDuration, parseDuration } from "./durations.js";

/** The groups of a policy's card. One that can be switched off is left out of the policy then. */
export const GROUPS = [
  {
    title: "Retries", path: ["retry"], fields: [
      { path: ["retry", "max_retries"], label: "Max retries", usual: "3" },
      { path: ["delays"], label: "Delays", options: ["exponential", "decorrelated", "constant"] },
      { path: ["retry", "initial_delay"], label: "First delay", usual: "1s" },
      { path: ["retry", "max_delay"], label: "Longest delay", usual: "1m" },
      { path: ["retry", "jitter"], label: "Jitter", options: ["full", "equal", "none"] },
      { path: ["retry", "attempt_timeout"], label: "Attempt timeout", usual: "none" },
    ],
  },
  {
    title: "Budget", path: ["budget"], fields: [
      { path: ["budget", "ratio"], label: "Retries a call", usual: "0.1" },
      { path: ["budget", "floor"], label: "Retries a second", usual: "1" },
      { path: ["budget", "burst"], label: "Burst", usual: "100" },
      { path: ["budget", "shared"], label: "Shared by all clients", flag: true },
    ],
  },
  {
    title: "Breaker", path: ["breaker"], fields: [
      { path: ["breaker", "failure_ratio"], label: "Share of failures", usual: "0.5" },
      { path: ["breaker", "min_calls"], label: "Calls at least", usual: "20" },
      { path: ["breaker", "window"], label: "Window", usual: "30s" },
      { path: ["breaker", "open_time"], label: "Stays open", usual: "5s" },
    ],
  },
  { title: "Throttle that learns", path: ["throttle"], fields: [] },
  { title: "Rate limit that learns", path: ["adaptive_rate"], fields: [] },
  {
    title: "Hedge", path: ["hedge"], fields: [
      { path: ["hedge", "delay"], label: "After", usual: "learned" },
      { path: ["hedge", "copies"], label: "Copies at most", usual: "2" },
    ],
  },
];

/** The value at a path, or undefined. */
export function at(tree, path) {
  return path.reduce((node, key) => node?.[key], tree);
}

/** Whether a group is on: its key is there with something else than nothing. */
export const isOn = (policy, group) => at(policy, group.path) !== undefined && at(policy, group.path) !== null;

/** What was written into a field, as the value of an edit: a number where it is one. */
export function parseField(text) {
  const s = text.trim();
  if (s === "") return null;
  return /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(s) ? Number(s) : s;
}

/** A policy in a few words: "3 retries, timeout 1s · budget 10 %, shared · breaker". */
export function summary(policy) {
  const all = [];
  const retry = policy?.retry;
  if (!retry) all.push("no retries");
  else {
    const n = retry.max_retries ?? 3;
    const times = n === 0 ? "no retries" : `${n} ${n === 1 ? "retry" : "retries"}`;
    const delays = policy.delays && policy.delays !== "exponential" ? `, ${policy.delays}` : "";
    all.push(times + (n === 0 ? ""
      : `${delays}, from ${retry.initial_delay ?? "1s"}, ${retry.jitter === "none" ? "no" : retry.jitter ?? "full"} jitter`) +
      (retry.attempt_timeout ? `, timeout ${retry.attempt_timeout}` : ""));
  }
  if (policy?.budget) {
    all.push(`budget ${Number(((policy.budget.ratio ?? 0.1) * 100).toPrecision(6))} %${policy.budget.shared ? ", shared" : ""}`);
  }
  for (const [key, word] of [["breaker", "breaker"], ["throttle", "throttle"], ["adaptive_rate", "rate limit"], ["hedge", "hedge"]]) {
    if (policy?.[key]) all.push(word);
  }
  return all.join(" · ");
}

/** The kinds of outages that the knobs offer: what stands in the fault. */
export const OUTAGES = [
  { key: "none", label: "none" },
  { key: "hang", label: "serves nothing", fault: { capacity: 0 } },
  { key: "down", label: "fails at once", fault: { down: true } },
  { key: "fail", label: "half of it fails", fault: { failures: 0.5 } },
  { key: "slow", label: "10 times slower", fault: { slow: 10 } },
  { key: "other", label: "as in the YAML" },
];

/** The kind of the first fault. */
export function outageOf(tree) {
  const fault = tree?.faults?.[0];
  if (!fault) return "none";
  const { from: _, to: __, shard: ___, ...rest } = fault;
  const is = (o) => o.fault && JSON.stringify(o.fault) === JSON.stringify(rest);
  return OUTAGES.find(is)?.key ?? "other";
}

/** How long the first fault lasts, as a text, "" if there is none. */
export function outageLength(tree) {
  const fault = tree?.faults?.[0];
  const seconds = parseDuration(fault?.to) - parseDuration(fault?.from ?? "0");
  return Number.isNaN(seconds) ? "" : formatDuration(seconds);
}

/** The edits for another kind of outage. */
export function setOutage(tree, key) {
  const fault = tree?.faults?.[0];
  const { fault: kind } = OUTAGES.find((o) => o.key === key) ?? {};
  if (key === "none") return fault ? [{ path: ["faults", "0"], value: null }] : [];
  if (!kind) return [];
  const span = parseDuration(tree?.duration) || 60;
  const { from = formatDuration(Math.round(span / 3)), to = formatDuration(Math.round(span / 2)), shard } = fault ?? {};
  return [{ path: ["faults", "0"], value: { from, to, ...(shard === undefined ? {} : { shard }), ...kind } }];
}

/** The edits for another length of the outage. What is no duration is left to the server to refuse. */
export function setOutageLength(tree, text) {
  const fault = tree?.faults?.[0];
  if (!fault) return [];
  const seconds = parseDuration(text);
  const to = Number.isNaN(seconds) ? text : formatDuration(parseDuration(fault.from ?? "0") + seconds);
  return [{ path: ["faults", "0", "to"], value: to }];
}

/** The knobs: { key, label, get(tree), edits(tree, text) }, or with options. */
export const KNOBS = [
  { key: "rate", label: "Calls a second", shown: (t) => Boolean(t?.callers?.open), path: ["callers", "open", "rate"] },
  { key: "workers", label: "Workers a client", shown: (t) => Boolean(t?.callers?.closed), path: ["callers", "closed", "workers"],
    usual: "1" },
  { key: "clients", label: "Clients", path: ["callers", "clients"], usual: "1" },
  { key: "outage", label: "Outage", options: OUTAGES, get: outageOf, edits: setOutage },
  { key: "length", label: "Outage lasts", shown: (t) => Boolean(t?.faults?.[0]), get: outageLength, edits: setOutageLength },
  { key: "seeds", label: "Seeds", path: ["seeds"], usual: "5" },
].map((knob) => ({
  get: (tree) => at(tree, knob.path),
  edits: (_, text) => [{ path: knob.path, value: parseField(text) }],
  shown: () => true,
  ...knob,
}));

/** A name for another policy that none has. */
export function freshName(policies, base) {
  const names = new Set((policies ?? []).map((p) => p?.name));
  for (let i = 2; ; i++) if (!names.has(`${base} ${i}`)) return `${base} ${i}`;
}
