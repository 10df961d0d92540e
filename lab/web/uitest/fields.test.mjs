import { test } from "node:test";
import assert from "node:assert/strict";
import { GROUPS, KNOBS, freshName, isOn, outageLength, outageOf, parseField, setOutage, setOutageLength, summary } from "../ui/fields.js";

const tree = { duration: "60s", callers: { open: { rate: 280 } }, faults: [{ from: "20s", to: "30s", shard: 1, capacity: 0 }] };

test("numbers are numbers, other texts stay, nothing is a default", () => {
  assert.deepEqual(["3", "0.10", "1e3", "-1", "10s", " ", "0x10", "1.", "true"].map(parseField), [3, 0.1, 1000, -1, "10s", null, "0x10",
    "1.", "true"]);
});

test("the outage", () => {
  assert.equal(outageOf(tree), "hang");
  assert.equal(outageOf({}), "none");
  assert.equal(outageOf({ faults: [{ from: "1s", to: "2s", capacity: 0.5 }] }), "other");
  assert.equal(outageLength(tree), "10s");
  assert.equal(outageLength({}), "");
});

test("another outage keeps its time and its shard", () => {
  assert.deepEqual(setOutage(tree, "down"), [{ path: ["faults", "0"], value: { from: "20s", to: "30s", shard: 1, down: true } }]);
  assert.deepEqual(setOutage(tree, "none"), [{ path: ["faults", "0"], value: null }]);
  assert.deepEqual(setOutage({ duration: "1m" }, "slow"), [{ path: ["faults", "0"], value: { from: "20s", to: "30s", slow: 10 } }]);
  assert.deepEqual(setOutage({}, "none"), []);
  assert.deepEqual(setOutage(tree, "other"), []);
});

test("another length moves the end", () => {
  assert.deepEqual(setOutageLength(tree, "90s"), [{ path: ["faults", "0", "to"], value: "1m50s" }]);
  assert.deepEqual(setOutageLength(tree, "soon"), [{ path: ["faults", "0", "to"], value: "soon" }]);
});

test("knobs are those of the callers", () => {
  const shown = (t) => KNOBS.filter((k) => k.shown(t)).map((k) => k.key);
  assert.deepEqual(shown(tree), ["rate", "clients", "outage", "length", "seeds"]);
  assert.deepEqual(shown({ callers: { closed: {} } }), ["workers", "clients", "outage", "seeds"]);
  assert.deepEqual(shown(null), ["clients", "outage", "seeds"]);
  const rate = KNOBS.find((k) => k.key === "rate");
  assert.equal(rate.get(tree), 280);
  assert.deepEqual(rate.edits(tree, "300"), [{ path: ["callers", "open", "rate"], value: 300 }]);
});

test("parts of a policy are on if they are there", () => {
  const budget = GROUPS.find((g) => g.title === "Budget");
  assert.deepEqual([{ budget: {} }, { budget: null }, {}, null].map((p) => isOn(p, budget)), [true, false, false, false]);
});

test("a policy in a few words", () => {
  assert.equal(summary({ retry: { attempt_timeout: "1s" }, budget: { shared: true }, breaker: {} }),
    "3 retries, from 1s, full jitter, timeout 1s · budget 10 %, shared · breaker");
  assert.equal(summary({ retry: { max_retries: 1, jitter: "none" }, delays: "constant" }), "1 retry, constant, from 1s, no jitter");
  assert.equal(summary({ retry: { max_retries: 0 } }), "no retries");
  assert.equal(summary(undefined), "no retries");
});

test("a name that none has", () => assert.equal(freshName([{ name: "a 2" }, null], "a"), "a 3"));
