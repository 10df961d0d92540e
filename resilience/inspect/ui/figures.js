// What the figures of the last minute say: who is in trouble, and how to say that in one sentence.

import { plural, words } from "./format.js";

/** From this share of failed calls a policy is in trouble. */
export const FAILING_SHARE = 0.01;

/** From this many retries a call a policy is in trouble: the load that retries add. */
export const RETRYING = 0.1;

/** For how many seconds all must be well before a policy is recovering, and a budget no longer empty. */
export const RECOVERING = 10;

/** Levels of trouble, worst first. */
export const BAD = 0;
export const WARN = 1;
export const FINE = 2;
export const IDLE = 3;

/** Outcomes of calls of policies, in the order in which they are shown, and what they mean. */
export const OUTCOMES = new Map([
  ["success", "The first attempt succeeded."],
  ["success_after_retry", "A later attempt succeeded."],
  ["exhausted", "The last attempt that the policy allows failed."],
  ["not_retryable", "An attempt failed with a permanent error."],
  ["unclassified", "An attempt failed with an error that nobody classified."],
  ["budget_exhausted", "The budget denied the retry."],
  ["deadline", "The time that was left was too short for a retry."],
  ["refused", "Another policy refused, or the caller forbade retries."],
  ["panic", "The operation panicked or left its goroutine."],
  ["canceled", "The caller cancelled the call."],
  ["not_started", "The context was done before the first attempt."],
]);

/** The values of the last minute of a history, those that are known. */
export function lastMinute(values, interval) {
  return (values ?? []).slice(-Math.max(1, Math.round(60 / interval))).filter((v) => v !== null);
}

/** The sum of the last minute, or null if nothing of it is known. */
export function minuteSum(values, interval) {
  const known = lastMinute(values, interval);
  return known.length ? known.reduce((a, b) => a + b, 0) : null;
}

/** The average each second of the last minute, or null if nothing of it is known. */
export function minuteRate(values, interval) {
  const known = lastMinute(values, interval);
  return known.length ? known.reduce((a, b) => a + b, 0) / (known.length * interval) : null;
}

/** a / b, or null where that says nothing. */
export function ratio(a, b) {
  return a === null || b === null || !(b > 0) ? null : a / b;
}

/** The sum of the counts of an object. */
export function total(counts) {
  return Object.values(counts ?? {}).reduce((a, b) => a + b, 0);
}

/** The entries of counts that are not 0, largest first. */
export function ranked(counts) {
  return Object.entries(counts ?? {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

/** The outcomes that are not 0, in their order; unknown ones last. */
export function outcomes(calls) {
  const order = [...OUTCOMES.keys()];
  const rank = (name) => (order.includes(name) ? order.indexOf(name) : order.length);
  return Object.entries(calls ?? {}).filter(([, n]) => n > 0).sort((a, b) => rank(a[0]) - rank(b[0]));
}

/** How an outcome is drawn: as success, as saved by a retry, as failed or as aside. */
export function outcomeClass(outcome) {
  if (outcome === "success") return "success";
  if (outcome === "success_after_retry") return "saved";
  return outcome === "canceled" || outcome === "not_started" ? "aside" : "failed";
}

/** The state of a policy: its level, and a word for it. */
export function policyState(policy, interval) {
  const calls = minuteSum(policy.history.calls, interval);
  const failed = minuteSum(policy.history.failed, interval);
  const retries = minuteSum(policy.history.retries, interval);
  if (!calls && !failed && !retries) return { level: IDLE, word: "idle" };
  if (failed > 0 && failed >= calls * FAILING_SHARE) {
    return recovered(policy.history, interval) ? { level: WARN, word: "recovering" } : { level: BAD, word: "failing" };
  }
  if (retries > 0 && retries >= calls * RETRYING) return { level: WARN, word: "retrying" };
  return { level: FINE, word: "fine" };
}

// Whether calls succeed again: for some seconds they came, and none failed.
function recovered(history, interval) {
  const latest = (series) => (series ?? []).slice(-Math.max(1, Math.round(RECOVERING / interval)));
  return latest(history.calls).every((n) => n > 0) && latest(history.failed).every((n) => n === 0);
}

/**
 * The state of a budget: empty means that it denies retries now. One that replicas share may hold no token of its own, and
 * tells where it decides: closed means that it denies all retries, as its store is not there.
 */
export function budgetState(budget, interval) {
  const mode = budget.shared?.mode;
  if (mode === "closed") return { level: BAD, word: "closed" };
  const state = tokensState(budget, interval);
  return mode === "local" && state.level > WARN ? { level: WARN, word: "local" } : state;
}

function tokensState(budget, interval) {
  if (typeof budget.tokens !== "number") return { level: FINE, word: "unknown" };
  const denied = budget.history.denied ?? [];
  const all = budget.shared?.mode === "shared" ? budget.shared.tokens : null;
  const none = budget.tokens < 1 && !(all >= 1);
  if (none || denied.slice(-Math.max(1, Math.round(RECOVERING / interval))).some((n) => n > 0)) {
    return { level: BAD, word: "empty" };
  }
  if (minuteSum(denied, interval) > 0) return { level: WARN, word: "denying" };
  return { level: FINE, word: "fine" };
}

/** The state of a guard: that of a breaker, and whether others reject calls. */
export function guardState(guard, interval) {
  const rejected = minuteSum(guard.history.rejected, interval);
  const rejecting = rejected > 0 && rejected >= minuteSum(guard.history.calls, interval) * FAILING_SHARE;
  switch (guard.state) {
    case "open": case "forced_open": return { level: BAD, word: words(guard.state) };
    case "half_open": case "disabled": return { level: WARN, word: words(guard.state) };
    case "closed": return { level: FINE, word: "closed" };
    default: return rejecting ? { level: WARN, word: REJECTING.get(guard.kind) ?? "rejecting" } : { level: FINE, word: "fine" };
  }
}

/** What the calls are that a guard's history counts as rejected, where they are not rejected in so many words. */
export const REJECTING = new Map([["timeout", "timing out"], ["hedge", "hedging"], ["fallback", "falling back"]]);

/** The state of the process in one sentence. Items are those of rows: kind, name and state. */
export function sentence(items) {
  if (!items.length) return "Nothing to watch yet.";
  const policies = items.filter((i) => i.section === "policies" && i.state.level <= WARN);
  const open = items.filter((i) => i.section === "guards" && i.state.level === BAD);
  const budgets = (word) => items.filter((i) => i.section === "budgets" && i.state.word === word);
  const parts = [];
  if (policies.length) parts.push(`${plural(policies.length, "policy", "policies")} in trouble`);
  if (open.length) parts.push(`${plural(open.length, "breaker")} open`);
  for (const word of ["closed", "empty"]) {
    const those = budgets(word);
    if (those.length === 1) parts.push(`budget ${isolated(those[0].name)} is ${word}`);
    if (those.length > 1) parts.push(`${plural(those.length, "budget")} are ${word}`);
  }
  if (!parts.length) parts.push(...warned(items));
  return parts.length ? `${parts.join(", ")}.` : "All quiet.";
}

// Budgets and guards that stand out, those of one kind and state together.
function warned(items) {
  const groups = new Map();
  for (const { kind, state } of items.filter((i) => i.state.level === WARN)) {
    const key = JSON.stringify([words(kind), state.word]);
    groups.set(key, (groups.get(key) ?? 0) + 1);
  }
  return [...groups].map(([key, n]) => {
    const [kind, word] = JSON.parse(key);
    return `${plural(n, kind)} ${word}`;
  });
}

// A name within a sentence: its direction of writing stays its own, and it is not the whole of the sentence.
function isolated(name) {
  return `\u2068${name.length > 60 ? `${name.slice(0, 60)}…` : name}\u2069`;
}

/** Whether an item is what the reader searches: each word of the query in its texts. */
export function matches(texts, query) {
  const all = texts.join("\n").toLowerCase();
  return query.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}
