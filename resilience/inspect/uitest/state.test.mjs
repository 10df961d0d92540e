import { test } from "node:test";
import assert from "node:assert/strict";
import { MAX_TROUBLED, MAX_VALUES, emptyState, merge } from "../ui/state.js";

const answer = (more) => ({
  title: "shop", now: "2026-11-24T17:20:00Z", since: "2026-11-24T17:00:00Z", interval_seconds: 2, cursor: "a", full: false,
  trace_url: "", policies: [], budgets: [], guards: [], warnings: [], ...more,
});
const policy = (name, calls, troubled = []) => ({ name, calls: { success: 7 }, history: { calls }, troubled });

test("an answer is appended to the history", () => {
  const first = merge(emptyState(), answer({ full: true, policies: [policy("a", [1, 2])] }));
  const second = merge(first, answer({ cursor: "b", policies: [policy("a", [3])] }));
  assert.deepEqual(second.policies.get("a").history.calls, [1, 2, 3]);
  assert.equal(second.cursor, "b");
  assert.equal(second.length, 3);
});

test("an answer without new values leaves the history as it is", () => {
  const first = merge(emptyState(), answer({ full: true, policies: [policy("a", [1, 2])] }));
  const second = merge(first, answer({ policies: [{ ...policy("a", []), calls: { success: 9 } }] }));
  assert.deepEqual(second.policies.get("a").history.calls, [1, 2]);
  assert.equal(second.policies.get("a").calls.success, 9);
});

test("a full answer replaces everything", () => {
  const first = merge(emptyState(), answer({ full: true, policies: [policy("a", [1, 2], [{ id: 1 }]), policy("b", [1, 2])] }));
  const second = merge(first, answer({ full: true, policies: [policy("a", [9], [{ id: 2 }])] }));
  assert.deepEqual([...second.policies.keys()], ["a"]);
  assert.deepEqual(second.policies.get("a").history.calls, [9]);
  assert.deepEqual(second.policies.get("a").troubled, [{ id: 2 }]);
});

test("the past of a new policy is not known", () => {
  const first = merge(emptyState(), answer({ full: true, policies: [policy("a", [1, 2])] }));
  const second = merge(first, answer({ policies: [policy("a", [3]), policy("b", [4])] }));
  assert.deepEqual(second.policies.get("b").history.calls, [null, null, 4]);
});

test("a history holds five minutes", () => {
  let state = merge(emptyState(), answer({ full: true, policies: [policy("a", new Array(MAX_VALUES).fill(0))] }));
  state = merge(state, answer({ policies: [policy("a", [1])] }));
  assert.equal(state.policies.get("a").history.calls.length, MAX_VALUES);
  assert.equal(state.policies.get("a").history.calls.at(-1), 1);
});

test("troubled calls are there once, newest first, and bounded", () => {
  const calls = (from, to) => Array.from({ length: to - from }, (_, i) => ({ id: from + i }));
  let state = merge(emptyState(), answer({ full: true, policies: [policy("a", [1], calls(1, 3))] }));
  state = merge(state, answer({ policies: [policy("a", [1], calls(2, 5))] }));
  assert.deepEqual(state.policies.get("a").troubled.map((c) => c.id), [4, 3, 2, 1]);
  state = merge(state, answer({ policies: [policy("a", [1], calls(5, 500))] }));
  assert.equal(state.policies.get("a").troubled.length, MAX_TROUBLED);
  assert.equal(state.policies.get("a").troubled[0].id, 499);
});

test("guards of one name and several kinds stay apart", () => {
  const guard = (kind) => ({ kind, name: "x", history: { calls: [1] } });
  const state = merge(emptyState(), answer({ full: true, guards: [guard("breaker"), guard("bulkhead")] }));
  assert.equal(state.guards.size, 2);
});

test("missing lists and histories do no harm", () => {
  const state = merge(emptyState(), { full: true, now: "", since: "", policies: null, budgets: [{ name: "b" }], warnings: null });
  assert.equal(state.policies.size, 0);
  assert.deepEqual(state.budgets.get("b").history, {});
  assert.deepEqual(state.warnings, []);
  assert.equal(state.interval, 2);
});

test("names that objects have by birth are names like others", () => {
  const state = merge(emptyState(), answer({ full: true, policies: [policy("__proto__", [1]), policy("constructor", [2])] }));
  assert.deepEqual(state.policies.get("__proto__").history.calls, [1]);
  assert.deepEqual(state.policies.get("constructor").history.calls, [2]);
});

test("hours of answers add up to five minutes", () => {
  let state = merge(emptyState(), answer({ full: true, policies: [policy("a", [])] }));
  for (let i = 1; i <= 10_000; i++) {
    const policies = [policy("a", [i], [{ id: i }, { id: i - 1 }])];
    if (i % 3) policies.push(policy(`comes and goes ${i}`, [i], [{ id: i }]));
    state = merge(state, answer({ cursor: `${i}`, policies }));
  }
  const a = state.policies.get("a");
  assert.deepEqual(a.history.calls, Array.from({ length: MAX_VALUES }, (_, i) => 10_000 - MAX_VALUES + 1 + i));
  assert.deepEqual(a.troubled.map((c) => c.id), Array.from({ length: MAX_TROUBLED }, (_, i) => 10_000 - i));
  assert.equal(state.policies.size, 2);
  assert.equal(state.length, MAX_VALUES);
});

test("after answers without anything the past of what comes is not known", () => {
  let state = merge(emptyState(), answer({ full: true, policies: [policy("a", [1, 2])] }));
  state = merge(state, answer());
  state = merge(state, answer({ policies: [policy("b", [7])] }));
  assert.deepEqual(state.policies.get("b").history.calls, [null, null, 7]);
});
