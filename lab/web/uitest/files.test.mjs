import { test } from "node:test";
import assert from "node:assert/strict";
import { deflateRawSync } from "node:zlib";
import { decode, encode } from "../ui/share.js";
import { toCSV } from "../ui/csv.js";
import { policy, report } from "./report.mjs";

test("a scenario survives the address", async () => {
  for (const text of ["name: größe ✓\n".repeat(500), "", "\u0000&#=+/"]) {
    const hash = await encode(text);
    assert.match(hash, /^#s=[A-Za-z0-9_-]*$/);
    assert.equal(await decode(hash), text);
  }
  assert.ok((await encode("name: a\n".repeat(500))).length < 100, "it is deflated");
});

test("other addresses have none", async () => {
  for (const hash of ["", "#outage", "#x=1"]) assert.equal(await decode(hash), null);
});

test("a broken link is an error", async () => {
  for (const hash of ["#s=%%%", "#s=AAAA", "#s=////", `${await encode("name: a")}x`.replace("#s=", "#s=_")]) {
    await assert.rejects(decode(hash), /The link is broken/, hash);
  }
});

test("a link that grows too large is an error", async () => {
  const bomb = deflateRawSync(Buffer.alloc(64 << 20)).toString("base64url");
  await assert.rejects(decode(`#s=${bomb}`), /too large/);
});

test("CSV", () => {
  const r = report([policy("a, \"b\"", { points: 2 }), policy("=1+1", { points: 1, series: { p50: { low: [-1], mid: [0.5],
    high: [1] } } })]);
  const lines = toCSV(r).split("\r\n");
  assert.equal(lines.length, 5);
  assert.match(lines[0], /^policy,seconds,calls_low,calls_mid,calls_high,failed_low,/);
  assert.match(lines[1], /^"a, ""b""",0,0,0,0,/);
  assert.match(lines[2], /^"a, ""b""",0\.5,/);
  assert.match(lines[3], /^'=1\+1,0,.*,,0\.5,1,/);
  assert.equal(lines[3].split(",").length, lines[0].split(",").length);
});
