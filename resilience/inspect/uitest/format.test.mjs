import { test } from "node:test";
import assert from "node:assert/strict";
import { age, clock, count, duration, figure, number, percent, plural, span, words } from "../ui/format.js";

const table = (format, rows) => rows.forEach(([input, want]) => assert.equal(format(input), want, `of ${input}`));

test("count", () => table(count, [[0, "0"], [7, "7"], [1021, "1,021"], [999_999, "999,999"], [1_500_000, "1.5M"],
  [9007199254740991, "9.01e+15"], [null, "–"], [undefined, "–"], [NaN, "–"]]));

test("number", () => table(number, [[0, "0"], [0.001, "<0.01"], [0.5, "0.5"], [1.234, "1.23"], [19.44, "19.4"], [20, "20"],
  [52.04, "52"], [1234.5, "1,235"], [-0.001, ">-0.01"], [null, "–"], [Infinity, "–"]]));

test("figure", () => table(figure, [[0, "0"], [0.5, "0.50"], [2, "2.00"], [12, "12.0"], [99.97, "100"], [null, "–"]]));

test("percent never rounds to 0 or 100", () => table(percent, [[0, "0%"], [0.0001, "<0.1%"], [0.007, "0.7%"], [0.0423, "4.2%"],
  [0.5, "50%"], [0.9961, "99.6%"], [0.99999, ">99.9%"], [1, "100%"], [2, "200%"], [null, "–"]]));

test("duration", () => table(duration, [[0, "0 s"], [0.00000001, "1 µs"], [0.00045, "450 µs"], [0.005, "5 ms"], [0.9, "900 ms"],
  [0.9996, "1 s"], [1.84, "1.84 s"], [12.34, "12.3 s"], [60, "1 min"], [123, "2 min 3 s"], [null, "–"]]));

test("span", () => table(span, [[0, "0 s"], [59.6, "1 min"], [3600, "1 h"], [3725, "1 h 2 min"], [90000, "1 d 1 h"], [-5, "0 s"]]));

test("age", () => {
  assert.equal(age(1_000_000, 1_012_400), "12 s ago");
  assert.equal(age(1_000_000, 1_000_400), "now");
  assert.equal(age(1_000_000, 900_000), "now"); // of a clock that is ahead
  assert.equal(age(NaN, 1), "–");
});

test("clock has the date if it is not that of now", () => {
  const at = new Date(2026, 10, 24, 7, 5, 9).getTime();
  assert.equal(clock(at, at + 1000), "07:05:09");
  assert.equal(clock(at, at + 86400e3), "2026-11-24 07:05:09");
});

test("words and plural", () => {
  assert.equal(words("not_retryable"), "not retryable");
  assert.equal(words(undefined), "");
  assert.equal(plural(1, "policy", "policies"), "1 policy");
  assert.equal(plural(0, "call"), "0 calls");
});
