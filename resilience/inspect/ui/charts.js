// Small charts. What they show differs in shape, not in colour alone: calls are a line, retries a dashed line,
// failures a filled area that stands on the ground.

import { el, setAttribute, svg } from "./dom.js";
import { duration, words } from "./format.js";
import { MAX_VALUES } from "./state.js";

const HEIGHT = 100; // of every drawing, in its own units

/**
 * Makes a chart of histories. Series say how each is drawn: { key, shape: "line" | "dashed" | "area", sparse }.
 * A sparse series is drawn only where it is not 0.
 */
export function chart(series, className) {
  const paths = series.map((s) => svg("path", { class: `series ${s.shape} ${s.key}`, "vector-effect": "non-scaling-stroke" }));
  const drawing = svg("svg", {
    class: `chart ${className}`, role: "img", viewBox: `0 0 ${MAX_VALUES} ${HEIGHT}`, preserveAspectRatio: "none",
  }, ...paths);
  return {
    element: drawing,
    /** Draws the histories on a scale up to max, or up to their largest value. Returns that. */
    draw(history, label, max = largest(series.map((s) => history[s.key]))) {
      series.forEach((s, i) => {
        const draw = s.shape === "area" ? area : line;
        setAttribute(paths[i], "d", draw(history[s.key] ?? [], max || 1, s.sparse));
      });
      setAttribute(drawing, "aria-label", label);
      return max;
    },
  };
}

/** The largest known value of several histories. */
export function largest(histories) {
  let max = 0;
  for (const values of histories) {
    for (const v of values ?? []) if (v > max) max = v;
  }
  return max;
}

// The newest value is at the right edge.
const left = (values, i) => MAX_VALUES - values.length + i;
const top = (value, max) => round(HEIGHT - (Math.min(value, max) / max) * (HEIGHT - 6) - 2);
const round = (n) => Math.round(n * 100) / 100;

/** The path of a line; it has a gap where values are not known. */
export function line(values, max, sparse = false) {
  let path = "";
  let down = false;
  values.forEach((v, i) => {
    const empty = (x) => x === null || x === undefined || (sparse && x === 0);
    if (empty(v) && (v === null || !sparse || (empty(values[i - 1]) && empty(values[i + 1])))) {
      down = false;
      return;
    }
    const y = top(v, max);
    path += down ? `L${left(values, i) + 0.5} ${y}` : `M${left(values, i)} ${y}H${left(values, i) + 0.5}`;
    down = true;
  });
  return path;
}

/** The path of an area in steps. What is not 0 can be seen, however small. */
export function area(values, max) {
  let path = "";
  values.forEach((v, i) => {
    if (!v) return;
    path += `M${left(values, i)} ${HEIGHT}V${Math.min(top(v, max), HEIGHT - 8)}h1V${HEIGHT}z`;
  });
  return path;
}

// How a state is drawn in a strip: as a line on the ground, half, or full.
const CALM = { top: 88, className: "calm" };
const HALF = { top: 50, className: "half" };
const FULL = { top: 4, className: "full" };

/** How the states of a breaker are drawn. */
export const BREAKER = new Map([["closed", CALM], ["half_open", HALF], ["open", FULL], ["forced_open", FULL], ["disabled", CALM]]);

/** How the modes of a shared budget are drawn. */
export const SHARED = new Map([["shared", CALM], ["local", HALF], ["closed", FULL]]);

/** For how long each state was in a history, as a text. */
export function stripLabel(what, states, interval) {
  const times = new Map();
  for (const s of states ?? []) if (s) times.set(s, (times.get(s) ?? 0) + interval);
  return `${what} of the last five minutes: ${[...times].map(([s, t]) => `${words(s)} ${duration(t)}`).join(", ") || "not known"}`;
}

/** Neighbours of the same state as one, without those that are not known: [{ state, from, to }], in values. */
export function runs(states) {
  const all = [];
  (states ?? []).forEach((state, i) => {
    const last = all.at(-1);
    if (last && last.state === state) last.to = i + 1;
    else all.push({ state, from: i, to: i + 1 });
  });
  return all.filter((run) => run.state);
}

/** Makes a strip of states over time, each drawn as shapes say. */
export function strip(className, shapes) {
  const drawing = svg("svg", {
    class: `chart strip ${className}`, role: "img", viewBox: `0 0 ${MAX_VALUES} ${HEIGHT}`, preserveAspectRatio: "none",
  });
  let drawn = "";
  return {
    element: drawing,
    draw(states, label) {
      const all = runs(states);
      const now = JSON.stringify([all, states.length]);
      if (now !== drawn) {
        drawn = now;
        drawing.replaceChildren(...all.map((run) => {
          const { top: y, className: shape } = shapes.get(run.state) ?? CALM;
          return svg("rect", { class: shape, x: left(states, run.from), width: run.to - run.from, y, height: HEIGHT - y });
        }));
      }
      setAttribute(drawing, "aria-label", label);
    },
  };
}

/** Makes a bar of parts one beside the other. */
export function stackedBar() {
  const bar = el("div", { class: "bar", "aria-hidden": "true" });
  let drawn = "";
  return {
    element: bar,
    /** Draws parts: [{ className, n }]. */
    draw(parts) {
      const sum = parts.reduce((a, p) => a + p.n, 0);
      const shape = JSON.stringify(parts.map((p) => [p.className, round((p.n / sum) * 100)]));
      if (shape === drawn) return;
      drawn = shape;
      bar.replaceChildren(...parts.map((p) => {
        const part = el("span", { class: `part ${p.className}` });
        part.style.flexGrow = p.n / sum;
        return part;
      }));
    },
  };
}

/** Makes a bar that is filled up to a share of 1. */
export function meter() {
  const fill = el("span", { class: "fill" });
  return {
    element: el("div", { class: "meter", "aria-hidden": "true" }, fill),
    draw(share) {
      const width = `${round(Math.max(0, Math.min(1, share || 0)) * 100)}%`;
      if (fill.style.width !== width) fill.style.width = width;
    },
  };
}
