// From values to places in a drawing, and the paths of lines and bands.

/** Round numbers from 0 to at least max, about n of them. */
export function ticks(max, n = 4) {
  if (!(max > 0)) return [0, 1];
  const rough = max / n;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((f) => f * unit).find((s) => s >= rough * 0.999);
  const all = [];
  for (let i = 0; all.length === 0 || all.at(-1) < max * 0.999; i++) all.push(Number((i * step).toPrecision(12)));
  return all;
}

/** Powers of ten around the values. */
export function logTicks(min, max) {
  if (!(min > 0) || !(max > 0)) return [0.001, 1];
  let from = Math.floor(Math.log10(min) + 1e-9);
  let to = Math.ceil(Math.log10(max) - 1e-9);
  if (to <= from) to = from + 1;
  const all = [];
  for (; from <= to; from++) all.push(Number((10 ** from).toPrecision(1)));
  return all;
}

/** A scale from the first to the last tick, over places: linear, or logarithmic. */
export function scale(marks, from, to, log = false) {
  const of = log ? Math.log : (v) => v;
  const low = of(marks[0]);
  const size = of(marks.at(-1)) - low || 1;
  return (v) => {
    const share = Math.max(0, Math.min(1, (of(log ? Math.max(v, marks[0]) : v) - low) / size));
    return Math.round((from + share * (to - from)) * 10) / 10;
  };
}

/** Marks of time that are round in seconds, minutes or hours, about n of them. */
export function timeTicks(seconds, n = 6) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200];
  const step = steps.find((s) => s >= seconds / n) ?? 86400;
  const all = [];
  for (let i = 0; i * step <= seconds * 1.0001; i++) all.push(Number((i * step).toPrecision(12)));
  return all;
}

const known = (v) => v >= 0; // -1 and NaN are not

/** The path of a line through the values, with a gap where they are not known. */
export function line(values, x, y) {
  let path = "";
  let down = false;
  values.forEach((v, i) => {
    if (!known(v)) {
      down = false;
      return;
    }
    path += `${down ? "L" : "M"}${x(i)} ${y(v)}`;
    if (!down && !known(values[i + 1])) path += "h0.1"; // a dot
    down = true;
  });
  return path;
}

/** The path of the area between two lines. */
export function band(low, high, x, y) {
  let path = "";
  for (let i = 0; i < low.length; i++) {
    if (!known(low[i]) || !known(high[i])) continue;
    let end = i;
    while (end + 1 < low.length && known(low[end + 1]) && known(high[end + 1])) end++;
    for (let j = i; j <= end; j++) path += `${j === i ? "M" : "L"}${x(j)} ${y(high[j])}`;
    for (let j = end; j >= i; j--) path += `L${x(j)} ${y(low[j])}`;
    path += "z";
    i = end;
  }
  return path;
}

/** Spreads labels so that none is nearer to the next than gap: places in, places out, same order. */
export function spread(places, gap, low, high) {
  const order = places.map((y, i) => ({ y, i })).sort((a, b) => a.y - b.y || a.i - b.i);
  let last = low - gap;
  for (const o of order) last = o.y = Math.max(o.y, last + gap);
  let next = high + gap;
  for (const o of order.reverse()) next = o.y = Math.min(o.y, next - gap);
  const out = [];
  for (const o of order) out[o.i] = o.y;
  return out;
}
