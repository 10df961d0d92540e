import { test } from "node:test";
import assert from "node:assert/strict";
import {
  BAD, FINE, IDLE, WARN, budgetState, guardState, matches, minuteRate, minuteSum, outcomes, policyState, ranked, ratio, sentence,
} from "../ui/figures.js";

const minute = (value) => new Array(30).fill(value);
const policy = (calls, retries, failed) => ({ history: { calls: minute(calls), retries: minute(retries), failed: minute(failed) } });

test("the last minute is that of the interval", () => {
  const values = [...new Array(120).fill(100), ...minute(1)];
  assert.equal(minuteSum(values, 2), 30);
  assert.equal(minuteRate(values, 2), 0.5);
  assert.equal(minuteSum(values.slice(-6), 10), 6);
});

test("what is not known counts neither as 0 nor in time", () => {
  assert.equal(minuteRate([null, null, 4, 4], 2), 2);
  assert.equal(minuteSum([null, null], 2), null);
  assert.equal(minuteRate(undefined, 2), null);
});

test("a ratio to nothing is not known", () => {
  assert.equal(ratio(1, 0), null);
  assert.equal(ratio(null, 2), null);
  assert.equal(ratio(1, 2), 0.5);
});

test("the state of a policy", () => {
  assert.deepEqual(policyState(policy(0, 0, 0), 2), { level: IDLE, word: "idle" });
  assert.deepEqual(policyState(policy(100, 0, 0), 2), { level: FINE, word: "fine" });
  assert.deepEqual(policyState(policy(100, 9, 0.9), 2), { level: FINE, word: "fine" });
  assert.deepEqual(policyState(policy(100, 10, 0), 2), { level: WARN, word: "retrying" });
  assert.deepEqual(policyState(policy(100, 0, 1), 2), { level: BAD, word: "failing" });
  assert.equal(policyState(policy(0, 3, 0), 2).level, WARN); // the calls have not ended yet
});

test("a policy whose calls have succeeded for some seconds is recovering", () => {
  const history = (failed) => ({ history: { calls: new Array(30).fill(5), failed, retries: new Array(30).fill(0) } });
  const outage = new Array(25).fill(5);
  assert.deepEqual(policyState(history([...outage, 0, 0, 0, 0, 0]), 2), { level: WARN, word: "recovering" });
  assert.deepEqual(policyState(history([...outage, 0, 0, 0, 0, 1]), 2), { level: BAD, word: "failing" });
  const silent = history([...outage, 0, 0, 0, 0, 0]);
  silent.history.calls.fill(0, -2);
  assert.equal(policyState(silent, 2).word, "failing"); // nobody knows: there was no call
});

test("the state of a budget", () => {
  const budget = (tokens, denied) => ({ tokens, history: { denied: minute(denied) } });
  assert.equal(budgetState(budget(0.99, 0), 2).word, "empty");
  assert.equal(budgetState(budget(1, 0), 2).word, "fine");
  assert.equal(budgetState(budget(5, 1), 2).word, "empty"); // it has just denied, whatever dripped in since
  const before = { tokens: 5, history: { denied: [...minute(0).slice(0, -6), 3, 0, 0, 0, 0, 0] } };
  assert.deepEqual(budgetState(before, 2), { level: WARN, word: "denying" });
  assert.equal(budgetState(budget(null, 0), 2).word, "unknown");
});

test("the state of a budget that replicas share", () => {
  const budget = (mode, tokens, denied = 0, all = 40) => ({ tokens, shared: { mode, tokens: mode === "shared" ? all : null }, history: { denied: minute(denied) } });
  assert.deepEqual(budgetState(budget("shared", 0), 2), { level: FINE, word: "fine" }); // there are some to be fetched
  assert.deepEqual(budgetState(budget("shared", 0, 0, 0), 2), { level: BAD, word: "empty" });
  assert.deepEqual(budgetState(budget("shared", 3, 0, 0), 2), { level: FINE, word: "fine" });
  assert.deepEqual(budgetState(budget("shared", 5, 1), 2), { level: BAD, word: "empty" });
  assert.deepEqual(budgetState(budget("local", 3), 2), { level: WARN, word: "local" });
  assert.deepEqual(budgetState(budget("local", 0), 2), { level: BAD, word: "empty" });
  assert.deepEqual(budgetState(budget("closed", 0), 2), { level: BAD, word: "closed" });
  assert.equal(budgetState(budget("", null), 2).word, "unknown"); // it was closed by its owner
});

test("the state of a guard", () => {
  const guard = (kind, state, rejected) => ({ kind, state, history: { rejected: minute(rejected) } });
  assert.deepEqual(guardState(guard("breaker", "forced_open", 0), 2), { level: BAD, word: "forced open" });
  assert.equal(guardState(guard("breaker", "half_open", 0), 2).level, WARN);
  assert.deepEqual(guardState(guard("breaker", "closed", 1), 2), { level: FINE, word: "closed" });
  assert.deepEqual(guardState(guard("bulkhead", undefined, 1), 2), { level: WARN, word: "rejecting" });
  const few = { kind: "timeout", history: { rejected: minute(1), calls: minute(900) } };
  assert.equal(guardState(few, 2).level, FINE);
  assert.deepEqual(guardState(guard("constructor", undefined, 1), 2), { level: WARN, word: "rejecting" });
});

test("the sentence", () => {
  const item = (section, name, level, word, kind) => ({ section, name, kind, state: { level, word } });
  assert.equal(sentence([]), "Nothing to watch yet.");
  assert.equal(sentence([item("policies", "a", FINE, "fine"), item("policies", "b", IDLE, "idle")]), "All quiet.");
  const policies = ["a", "b", "c"].map((n) => item("policies", n, BAD, "failing"));
  const breaker = item("guards", "x", BAD, "open");
  assert.equal(sentence([...policies, breaker, item("budgets", "shop", BAD, "empty")]),
    "3 policies in trouble, 1 breaker open, budget \u2068shop\u2069 is empty.");
  assert.equal(sentence([item("budgets", "a", BAD, "closed"), item("budgets", "b", WARN, "local")]), "budget \u2068a\u2069 is closed.");
  assert.equal(sentence([item("budgets", "b", WARN, "local", "budget")]), "1 budget local.");
  assert.equal(sentence([item("budgets", "a", BAD, "empty"), item("budgets", "b", BAD, "empty")]), "2 budgets are empty.");
  const bulkheads = ["a", "b"].map((n) => item("guards", n, WARN, "rejecting", "bulkhead"));
  assert.equal(sentence([...bulkheads, item("guards", "c", WARN, "half open", "breaker")]), "2 bulkheads rejecting, 1 breaker half open.");
  assert.match(sentence([...bulkheads, breaker]), /^1 breaker open\.$/);
});

test("counts are ranked, outcomes keep their order", () => {
  assert.deepEqual(ranked({ b: 1, a: 1, c: 5, none: 0 }), [["c", 5], ["a", 1], ["b", 1]]);
  assert.deepEqual(outcomes({ new_one: 1, exhausted: 2, success: 1, panic: 0 }).map(([o]) => o), ["success", "exhausted", "new_one"]);
});

test("each word of a search matches somewhere", () => {
  assert.ok(matches(["inventory.get", "exhausted"], "INVENTORY exh"));
  assert.ok(!matches(["inventory.get", "exhausted"], "inventory timeout"));
  assert.ok(matches(["anything"], ""));
});
