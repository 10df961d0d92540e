import { test } from "node:test";
import assert from "node:assert/strict";
import { sentence, parts } from "../ui/sentence.js";
import { COLUMNS, best, cell, columns, reasons } from "../ui/figures.js";
import { policy, report } from "./report.mjs";

test("an outage: load and recovery", () => {
  const r = report([policy("three", { amplification: 2.883, recovered: 0, recovery: 1e9 }), policy("budget", { amplification: 1.13,
    recovery: 15.2 })]);
  assert.equal(sentence(r), "three: the callee gets 2.9 times the calls and does not recover; " +
    "budget: the callee gets 1.1 times the calls, and it recovers in 15 s.");
  assert.deepEqual(parts(r).map((p) => p.tone), ["bad", "good"]);
});

test("not all runs recover", () => {
  assert.match(sentence(report([policy("a", { recovered: 2, recovery: 5 })])), /recovers in 5 s, but not in 1 of 3 runs/);
  assert.match(sentence(report([policy("a", { recovered: 1, recovery: 1e9 })])), /recovers in 1 of 3 runs only/);
});

test("a figure is not read as another", () => {
  const says = (amplification) => parts(report([policy("a", { amplification })]))[0].text;
  assert.match(says(1), /no more requests than calls/);
  assert.match(says(1.03), /3\.0 % more requests than calls/);
  assert.match(says(0.85), /85 % of the calls/);
  assert.match(says(1.2), /1\.2 times/);
});

test("nothing to recover from: calls and completion", () => {
  const says = (options) => parts(report([policy("a", options)], { faults: [] }))[0].text;
  assert.equal(says({ success: 0.5 }), "the callee gets no more requests than calls, and 50 % of the calls succeed");
  assert.match(says({ completion: 12 }), /succeed, all done in 12 s$/);
});

test("a fault that lasts to the end has no recovery", () => {
  assert.match(sentence(report([policy("a", { success: 0.7 })], { faults: [[20, 60]] })), /70 % of the calls succeed/);
});

test("figures with their ranges", () => {
  const p = policy("a", { amplification: 2.883, recovery: 1e9 });
  p.figures.amplification.low = 2.8;
  const of = (key) => cell(COLUMNS.find((c) => c.key === key), p);
  assert.deepEqual(of("amplification"), { value: 2.883, text: "2.88 ×", range: "2.80 × to 2.88 ×" });
  assert.deepEqual(of("recovery"), { value: 1e9, text: "never", range: "" });
});

test("the worst p99 leaves out what is not known", () => {
  const p = policy("a", { series: { p99: { low: [-1, -1], mid: [-1, 0.5], high: [-1, 1] } } });
  assert.deepEqual(cell(COLUMNS.find((c) => c.key === "p99"), p), { value: 0.5, text: "500 ms", range: "– to 1 s" });
});

test("the best figures, if they differ", () => {
  const r = report([policy("a", { success: 0.5, amplification: 2 }), policy("b", { success: 0.9, amplification: 2 }), policy("c",
    { success: 0.9, amplification: 2 })]);
  const of = (key) => best(COLUMNS.find((c) => c.key === key), r);
  assert.deepEqual(of("success"), [1, 2]);
  assert.deepEqual(of("amplification"), []);
});

test("a column of recoveries only after faults", () => {
  assert.ok(!columns(report([policy("a")], { faults: [] })).some((c) => c.key === "recovery"));
  assert.ok(columns(report([policy("a", { recovery: 2 })])).some((c) => c.key === "recovery"));
});

test("reasons, the most frequent first", () => {
  assert.deepEqual(reasons(policy("a", { reasons: { budget: 1, max_retries: 3, x: 0 } })),
    [{ reason: "max retries", n: 3, share: 0.75 }, { reason: "budget", n: 1, share: 0.25 }]);
});
