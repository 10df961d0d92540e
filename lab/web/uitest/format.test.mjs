import { test } from "node:test";
import assert from "node:assert/strict";
import { duration, factor, number, percent, recovery } from "../ui/format.js";
import { formatDuration, parseDuration } from "../ui/durations.js";

test("numbers", () => {
  assert.deepEqual([0, 0.001, 2.883, 12.34, 1234.5, 2e6, NaN].map(number), ["0", "<0.01", "2.88", "12.3", "1,235", "2M", "–"]);
  assert.deepEqual([1, 2.883, 9.96, 13.4].map(factor), ["1.0", "2.9", "10", "13"]);
});

test("only a true 0 or 1 reads as such", () => {
  assert.deepEqual([0, 0.0001, 0.052, 0.59, 0.995, 0.99999, 1].map(percent), ["0 %", "<0.1 %", "5.2 %", "59 %", "99.5 %", ">99.9 %",
    "100 %"]);
});

test("durations for readers", () => {
  assert.deepEqual([0, 1e-5, 0.0012, 0.25, 1, 15.4, 90, 300, 9000, -1].map(duration),
    ["0 s", "10 µs", "1.2 ms", "250 ms", "1 s", "15 s", "90 s", "5 min", "2.5 h", "–"]);
  assert.equal(recovery(1e9), "never");
});

test("durations of a scenario survive", () => {
  for (const text of ["1m30s", "10s", "100ms", "1h", "1.5s", "1h0m5s".replace("0m", ""), "250us"]) {
    assert.equal(formatDuration(parseDuration(text)), text);
  }
  assert.equal(parseDuration("0"), 0);
  assert.equal(parseDuration("1.5h"), 5400);
  for (const text of ["", "10", "s", "1 s", "1x", undefined, null, "-1s"]) assert.ok(Number.isNaN(parseDuration(text)), text);
});
