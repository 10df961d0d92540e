// A chart over time. Policies differ in the dashes of their lines and a number at their end, not in colour alone.

import { el, svg } from "./dom.js";
import { duration } from "./format.js";
import { extent, has, highest, length, valuesAt } from "./kinds.js";
import { band, line, logTicks, scale, spread, ticks, timeTicks } from "./scale.js";

const HEIGHT = 190;
const EDGE = { left: 52, right: 24, top: 8, bottom: 20 };

/** How a policy is drawn, as a class. There are eight ways. */
export const look = (index) => `p${index % 8}`;

/** The number of a policy in its colour. */
export const badge = (index) => el("span", { class: `badge ${look(index)}`, "aria-hidden": "true" }, String(index + 1));

/** A piece of a policy's line, for legends. */
export const sample = (index) => svg("svg", { class: "sample", width: 26, height: 8, "aria-hidden": "true" },
  svg("path", { class: `line ${look(index)}`, d: "M0 4H26" }));

/**
 * Makes a chart. The cursor says which interval is pointed at, for all charts: { index, set(index) }. The picture
 * is called with the chart when its picture is wanted.
 */
export function chart(kind, report, cursor, picture) {
  const title = el("h3", {}, kind.title, " ", el("span", { class: "of" }, kind.unit));
  const save = el("button", { type: "button", class: "quiet", "aria-label": `${kind.title} as PNG` }, "PNG");
  const readout = el("p", { class: "readout" });
  const drawing = svg("svg", { class: "chart", role: "slider", tabindex: 0, "aria-label": `${kind.title}, ${kind.unit}`,
    "data-chart": kind.key });
  const element = el("figure", { class: "panel", "data-kind": kind.key }, el("figcaption", {}, title, save), drawing, readout);
  const points = length(report);
  const span = points * report.interval_seconds;
  let shown = [];
  let place = null;
  let hair = null;
  save.addEventListener("click", () => picture(made));

  function draw() {
    const width = Math.max(260, drawing.clientWidth || 560);
    const all = shown.map((p) => ({ ...p, band: cut(kind.of(p.policy), points) }));
    const beside = reference(kind, report).map((b) => cut(b, points));
    const marks = axis(kind, all.map((a) => a.band).concat(beside));
    const x = (i) => Math.round((EDGE.left + ((i + 0.5) / points) * (width - EDGE.left - EDGE.right)) * 10) / 10;
    const at = (seconds) => x((Math.min(seconds, span) / span) * points - 0.5);
    const y = scale(marks, HEIGHT - EDGE.bottom, EDGE.top, kind.log);
    place = { width, x, y };
    hair = svg("g", { class: "hair" });
    drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    drawing.replaceChildren(
      ...outages(report, at), ...grid(kind, span, marks, width, at, y),
      ...all.map((a) => svg("path", { class: `band ${look(a.index)}`, d: band(a.band.low, a.band.high, x, y) })),
      ...beside.map((b) => svg("path", { class: "reference", d: line(b.mid, x, y) })),
      ...all.map((a) => svg("path", { class: `line ${look(a.index)}`, d: line(a.band.mid, x, y), "data-policy": a.policy.name })),
      ...ends(all, width, y), hair);
    point();
  }

  /** Shows the interval that is pointed at, or the highest values. */
  function point() {
    if (!place) return;
    const i = cursor.index;
    const policies = shown.map((p) => p.policy);
    const values = i === null ? highest(kind, policies) : valuesAt(kind, policies, i);
    const when = i === null ? "Highest" : `At ${duration((i + 0.5) * report.interval_seconds)}`;
    readout.replaceChildren(el("span", { class: "of" }, when), ...values.map((v, n) => el("span", { class: "value" },
      badge(shown[n].index), el("span", { class: "hidden-text" }, v.name), " ", v.text)));
    drawing.setAttribute("aria-valuemin", 0);
    drawing.setAttribute("aria-valuemax", points - 1);
    drawing.setAttribute("aria-valuenow", i ?? 0);
    drawing.setAttribute("aria-valuetext", `${when}: ${values.map((v) => `${v.name} ${v.text}`).join(", ")}`);
    if (i === null) {
      hair.replaceChildren();
      return;
    }
    const dots = shown.flatMap((p) => {
      const v = kind.of(p.policy).mid[i];
      return v >= 0 ? [svg("circle", { class: `dot ${look(p.index)}`, cx: place.x(i), cy: place.y(v), r: 3.5 })] : [];
    });
    hair.replaceChildren(svg("path", { d: `M${place.x(i)} ${EDGE.top}V${HEIGHT - EDGE.bottom}` }), ...dots);
  }

  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const inside = ((event.clientX - box.left) / box.width) * place.width - EDGE.left;
    const i = Math.floor((inside / (place.width - EDGE.left - EDGE.right)) * points);
    cursor.set(Math.max(0, Math.min(points - 1, i)));
  });
  drawing.addEventListener("pointerleave", () => cursor.set(null));
  drawing.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -points,
      End: points }[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    cursor.set(Math.max(0, Math.min(points - 1, (cursor.index ?? (step > 0 ? -1 : points)) + step)));
  });

  const made = {
    element, drawing, kind, draw, point,
    /** Shows some policies: [{ policy, index }]. */
    show(policies) {
      shown = policies.filter((p) => has(kind, p.policy));
      draw();
    },
    shown: () => shown,
  };
  return made;
}

const cut = (band, points) => ({ low: band.low.slice(0, points), mid: band.mid.slice(0, points), high: band.high.slice(0, points) });

/** The calls as a band of their own, where they tell something and are the same for all policies. */
export function reference(kind, report) {
  if (!kind.reference) return [];
  const calls = report.policies.map((p) => p.figures.total_calls.mid);
  const same = Math.max(...calls) <= 1.05 * Math.min(...calls);
  return same ? [report.policies[0].series[kind.reference]] : [];
}

function axis(kind, bands) {
  const { min, max } = extent(bands);
  if (kind.log) return logTicks(min, max);
  return ticks(kind.most ?? max);
}

function outages(report, at) {
  return report.faults.map(([from, to]) => svg("rect", {
    class: "outage", x: at(from), width: Math.max(1, at(to) - at(from)), y: EDGE.top,
    height: HEIGHT - EDGE.top - EDGE.bottom,
  }));
}

function grid(kind, span, marks, width, at, y) {
  const rows = marks.flatMap((v) => [
    svg("path", { class: "rule", d: `M${EDGE.left} ${y(v)}H${width - EDGE.right}` }),
    svg("text", { class: "mark", x: EDGE.left - 6, y: y(v) + 4, "text-anchor": "end" }, kind.text(v)),
  ]);
  const times = timeTicks(span, Math.max(3, Math.round(width / 90)));
  return rows.concat(times.map((t) => svg("text", { class: "mark", x: at(t), y: HEIGHT - 4, "text-anchor": "middle" }, duration(t))));
}

/** The numbers of the policies at the ends of their lines. */
function ends(all, width, y) {
  const lasts = all.map((a) => a.band.mid.findLast((v) => v >= 0) ?? 0);
  const places = spread(lasts.map(y), 15, EDGE.top + 2, HEIGHT - EDGE.bottom - 2);
  return all.flatMap((a, i) => [
    svg("circle", { class: `end ${look(a.index)}`, cx: width - 10, cy: places[i], r: 7.5 }),
    svg("text", { class: "end", x: width - 10, y: places[i] + 3.5, "text-anchor": "middle" }, String(a.index + 1)),
  ]);
}
