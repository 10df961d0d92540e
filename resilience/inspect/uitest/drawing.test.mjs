import { test } from "node:test";
import assert from "node:assert/strict";
import { area, largest, line, runs } from "../ui/charts.js";
import { layout, ticks } from "../ui/timeline.js";
import { few, troubledCalls } from "../ui/troubled.js";

test("a line has gaps where values are not known", () => {
  assert.equal((line([1, 2, null, 3, 4], 4).match(/M/g) ?? []).length, 2);
  assert.equal(line([null, null], 1), "");
  assert.equal(line([], 1), "");
});

test("a sparse line is drawn where it is not 0", () => {
  assert.equal(line([0, 0, 0, 0], 1, true), "");
  assert.notEqual(line([0, 0, 1, 0], 1, true), "");
});

test("one failure among many can be seen", () => {
  const [, y] = area([0, 1, 0], 1e9).match(/V([\d.]+)h1/);
  assert.ok(100 - Number(y) >= 8);
  assert.equal(area([0, null, 0], 10), "");
});

test("drawings hold no NaN", () => {
  for (const path of [line([0, 1e300, null, 5], 1e300), area([1, 2], 0.5), line([0], 1)]) assert.doesNotMatch(path, /NaN|Infinity/);
});

test("the largest of what is known", () => assert.equal(largest([[1, null, 3], undefined, [2]]), 3));

test("neighbours of one state are one", () => {
  assert.deepEqual(runs(["", null, "closed", "closed", "open"]), [
    { state: "closed", from: 2, to: 4 }, { state: "open", from: 4, to: 5 }]);
});

const call = (timeline, more) => ({ attempts: timeline.length, duration_seconds: timeline.at(-1)?.end_seconds ?? 0, timeline, ...more });

test("attempts and waits are to scale", () => {
  const { rows } = layout(call([
    { attempt: 1, start_seconds: 0, end_seconds: 1, error_type: "eof", error: "x", delay_seconds: 2, pushback: true },
    { attempt: 2, start_seconds: 3, end_seconds: 4, error_type: "" },
  ]));
  assert.deepEqual([rows[0].from, rows[0].to, rows[1].from, rows[1].to], [0, 0.25, 0.75, 1]);
  assert.deepEqual(rows[0].wait, { from: 0.25, to: 0.75, seconds: 2, pushback: true });
  assert.equal(rows[1].wait, null);
  assert.equal(rows[1].took, 1);
});

test("an attempt whose start is not known is open", () => {
  const { rows, zero, open } = layout(call([
    { attempt: 1, start_seconds: null, end_seconds: 0, error_type: "eof", delay_seconds: 1 },
    { attempt: 2, start_seconds: 1, end_seconds: 2, error_type: "eof" },
  ]));
  assert.ok(open && rows[0].open && !rows[1].open);
  assert.equal(rows[0].from, 0);
  assert.equal(rows[0].to, zero);
  assert.equal(rows[0].took, null);
  assert.equal(rows[1].to, 1);
});

test("attempts that were not kept are said", () => {
  const one = (attempt) => ({ attempt, start_seconds: attempt - 1, end_seconds: attempt - 0.5, error_type: "eof", delay_seconds: 0.5 });
  const { rows } = layout(call([one(1), one(2), one(9), one(10)], { attempts: 12 }));
  assert.deepEqual(rows.map((r) => r.left ?? r.number), [1, 2, 6, 9, 10, 2]);
  assert.ok(rows[1].wait.to < rows[3].from); // that wait did not last until attempt 9
});

test("a wait that was planned and cut off stays on the chart", () => {
  const attempt = { attempt: 1, start_seconds: 0, end_seconds: 1, error_type: "eof", delay_seconds: 100 };
  const { rows } = layout(call([attempt], { duration_seconds: 2 }));
  assert.equal(rows[0].wait.to, 1);
});

test("a call without time or attempts does no harm", () => {
  assert.deepEqual(layout({ attempts: 0, duration_seconds: 0, timeline: null }).rows, []);
  const { rows } = layout(call([{ attempt: 1, start_seconds: 0, end_seconds: 0, error_type: "eof" }]));
  assert.ok(Number.isFinite(rows[0].from) && Number.isFinite(rows[0].to));
});

test("marks are round and few", () => {
  assert.deepEqual(ticks(4), [0, 1, 2, 3, 4]);
  assert.deepEqual(ticks(0.9).map((t) => Math.round(t * 10)), [0, 5]);
  for (const end of [1e-5, 0.013, 1.84, 77, 3600]) assert.ok(ticks(end).length >= 2 && ticks(end).length <= 6, `of ${end}`);
  assert.deepEqual(ticks(1e-9), []);
});

test("a flood of one outcome does not hide the others", () => {
  const calls = [...Array.from({ length: 20 }, (_, i) => ({ id: 40 - i, outcome: "refused" })), { id: 3, outcome: "exhausted" }];
  assert.deepEqual(few(calls).map((c) => c.id), [40, 39, 38, 37, 3]);
  assert.deepEqual(few([]), []);
});

// Enough of a document for elements that are made and changed.
class Fake {
  constructor(tag) { Object.assign(this, { tag, children: [], attributes: {}, style: {}, dataset: {}, listeners: {}, own: "" }); }
  get textContent() { return this.own + this.children.map((c) => (typeof c === "string" ? c : c.textContent)).join(""); }
  set textContent(text) { this.own = text; this.children = []; }
  setAttribute(key, value) { this.attributes[key] = String(value); }
  append(...nodes) { for (const n of nodes) this.insertBefore(n, null); }
  insertBefore(node, before) {
    node.parent?.children.splice(node.parent.children.indexOf(node), 1);
    if (typeof node !== "string") node.parent = this;
    this.children.splice(before ? this.children.indexOf(before) : this.children.length, 0, node);
  }
  remove() { this.parent.children.splice(this.parent.children.indexOf(this), 1); }
  addEventListener(event, listener) { this.listeners[event] = listener; }
}

test("after a restart ids begin again, and mean other calls", () => {
  globalThis.document = { createElement: (tag) => new Fake(tag), createElementNS: (_, tag) => new Fake(tag) };
  const list = troubledCalls();
  const shown = () => list.element.children[1].children.map((c) => c.attributes["data-outcome-of"]);
  const of = (outcome, began) => ({ dropped: 0, troubled: [{ ...call([]), id: 1, outcome, began }] });
  const state = { now: Date.parse("2026-11-24T17:00:10Z"), traceURL: "" };
  list.update(of("exhausted", "2026-11-24T17:00:00Z"), state);
  assert.deepEqual(shown(), ["exhausted"]);
  const first = list.element.children[1].children[0];
  list.update(of("exhausted", "2026-11-24T17:00:00Z"), state);
  assert.equal(list.element.children[1].children[0], first, "a call is made once");
  list.update(of("deadline", "2026-11-24T17:00:09Z"), state);
  assert.deepEqual(shown(), ["deadline"]);
  delete globalThis.document;
});
