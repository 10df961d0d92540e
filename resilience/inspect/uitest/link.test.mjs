import { test } from "node:test";
import assert from "node:assert/strict";
import { formatView, parseView, traceAddress } from "../ui/link.js";

test("a view survives the address", () => {
  const view = { show: "trouble", query: "a b&c=#%", open: new Set(["policy/x&y", "guard/breaker/\"><img>"]) };
  assert.deepEqual(parseView(formatView(view)), view);
});

test("the view that the page begins with needs no fragment", () => {
  assert.equal(formatView(parseView("")), "");
});

test("what cannot be shown is not shown", () => {
  assert.equal(parseView("#show=nonsense").show, "all");
});

test("the address of a trace", () => {
  assert.equal(traceAddress("http://localhost:16686/trace/{trace_id}", "abc", ""), "http://localhost:16686/trace/abc");
  assert.equal(traceAddress("https://x/{trace_id}?span={span_id}", "a", "b"), "https://x/a?span=b");
});

test("a hostile id stays within its place", () => {
  assert.equal(traceAddress("http://x/{trace_id}", "../\"><script>?#$&", ""), "http://x/..%2F%22%3E%3Cscript%3E%3F%23%24%26");
});

test("only addresses on the web are linked", () => {
  for (const template of ["javascript:alert(1)//{trace_id}", "data:text/html,{trace_id}", "{trace_id}", "//x/{trace_id}", ""]) {
    assert.equal(traceAddress(template, "abc", ""), "", template);
  }
  assert.equal(traceAddress("http://x/{trace_id}", "", ""), "");
  assert.equal(traceAddress("{trace_id}", "javascript:alert(1)", ""), "");
});

test("a search of spaces is none", () => assert.equal(formatView({ show: "all", query: "  ", open: new Set() }), ""));
