import { test } from "node:test";
import assert from "node:assert/strict";
import { band, line, logTicks, scale, spread, ticks, timeTicks } from "../ui/scale.js";
import { CHARTS, extent, has, highest, length, moves, valuesAt } from "../ui/kinds.js";
import { policy, report } from "./report.mjs";

test("ticks are round and reach the largest value", () => {
  assert.deepEqual(ticks(1204), [0, 500, 1000, 1500]);
  assert.deepEqual(ticks(1), [0, 0.25, 0.5, 0.75, 1]);
  assert.deepEqual(ticks(0), [0, 1]);
  for (const max of [0.003, 0.7, 3, 99, 12345]) assert.ok(ticks(max).at(-1) >= max * 0.999 && ticks(max).length <= 7, max);
  assert.deepEqual(logTicks(0.02, 3), [0.01, 0.1, 1, 10]);
  assert.deepEqual(logTicks(1, 1), [1, 10]);
  assert.deepEqual(timeTicks(60), [0, 10, 20, 30, 40, 50, 60]);
});

test("scales", () => {
  const linear = scale([0, 10], 100, 0);
  assert.deepEqual([0, 5, 10, 20].map(linear), [100, 50, 0, 0]);
  const log = scale([0.01, 0.1, 1], 100, 0, true);
  assert.deepEqual([0.01, 0.1, 1, 0].map(log), [100, 50, 0, 100]);
});

const same = (v) => v;

test("lines have gaps where nothing is known", () => {
  assert.equal(line([1, 2, -1, 3, -1, 4, 5], same, same), "M0 1L1 2M3 3h0.1M5 4L6 5");
  assert.equal(line([-1, -1], same, same), "");
});

test("bands too", () => {
  assert.equal(band([1, 1, -1, 2], [3, 3, -1, 4], same, same), "M0 3L1 3L1 1L0 1zM3 4L3 2z");
});

test("labels do not cover each other and stay within", () => {
  for (const places of [[10, 10, 10], [0, 100, 99], [100, 100], [50]]) {
    const out = spread(places, 15, 0, 100).toSorted((a, b) => a - b);
    out.forEach((y, i) => assert.ok(y >= 0 && y <= 100 && (i === 0 || y - out[i - 1] >= 15), `${places}: ${out}`));
  }
  assert.deepEqual(spread([90, 10], 15, 0, 100), [90, 10]);
});

const b = (...mid) => ({ low: mid, mid, high: mid });

test("retries are requests beyond calls, and no less than 0", () => {
  const retries = CHARTS.find((c) => c.key === "retries");
  assert.deepEqual(retries.of(policy("a", { series: { calls: b(10, 10), requests: b(25, 5) } })).mid, [15, 0]);
});

test("charts of nothing are not drawn", () => {
  const r = report([policy("a"), policy("b", { series: { tokens: b(0, 5) } })]);
  const tokens = CHARTS.find((c) => c.key === "tokens");
  assert.ok(moves(tokens, r));
  assert.deepEqual(r.policies.map((p) => has(tokens, p)), [false, true]);
  assert.ok(!moves(CHARTS.find((c) => c.key === "open"), r));
  assert.ok(has(CHARTS.find((c) => c.key === "failed"), r.policies[0]), "no failures are a value");
});

test("what happens no more is not drawn", () => {
  const of = (last) => {
    const values = Array(120).fill(0).fill(5, 0, last);
    return length(report([policy("a", { points: 120, series: { requests: b(...values) } })]));
  };
  assert.equal(of(60), 63);
  assert.equal(of(110), 120);
  assert.equal(of(1), 12);
});

test("the extent leaves out what is not known", () => {
  assert.deepEqual(extent([b(-1, 0, 0.5, 3)]), { min: 0.5, max: 3 });
  assert.deepEqual(extent([b(-1)]), { min: 0, max: 0 });
});

test("values at a time, and the highest", () => {
  const p99 = CHARTS.find((c) => c.key === "p99");
  const policies = [policy("a", { series: { p99: b(0.5, -1) } })];
  assert.deepEqual(valuesAt(p99, policies, 0), [{ name: "a", text: "500 ms" }]);
  assert.deepEqual(valuesAt(p99, policies, 1), [{ name: "a", text: "–" }]);
  assert.deepEqual(highest(p99, policies), [{ name: "a", text: "500 ms" }]);
});
