// Numbers, durations and times as text. All of it is for reading: exact values stand in data-value.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** What stands where a value is not known. */
export const UNKNOWN = "–";

const known = (n) => typeof n === "number" && Number.isFinite(n);

/** A count: exact below a million. */
export function count(n) {
  if (!known(n)) return UNKNOWN;
  if (Math.abs(n) >= 1e15) return n.toExponential(2);
  return Math.abs(n) < 1e6 ? whole.format(n) : short.format(n);
}

/** A number with about three figures, as of rates and levels. */
export function number(n) {
  if (!known(n)) return UNKNOWN;
  const size = Math.abs(n);
  if (size === 0) return "0";
  if (size < 0.01) return n > 0 ? "<0.01" : ">-0.01";
  if (size < 9.995) return trim(n.toFixed(2));
  if (size < 99.95) return trim(n.toFixed(1));
  return count(n);
}

/** A number as in [number], with as many digits as others of its size: for columns that move. */
export function figure(n) {
  if (!known(n) || n === 0 || Math.abs(n) < 0.01 || Math.abs(n) >= 99.95) return number(n);
  return n.toFixed(Math.abs(n) < 9.995 ? 2 : 1);
}

/** A share of 1 as percent. Only a true 0 or 1 reads as "0%" or "100%". */
export function percent(share) {
  if (!known(share)) return UNKNOWN;
  const p = share * 100;
  if (p <= 0) return "0%";
  if (p < 0.1) return "<0.1%";
  if (p < 9.95) return `${p.toFixed(1)}%`;
  if (p < 100 && p >= 99.5) return p > 99.9 ? ">99.9%" : `${p.toFixed(1)}%`;
  return `${whole.format(p)}%`;
}

/** A duration in the unit that suits it. */
export function duration(seconds) {
  if (!known(seconds)) return UNKNOWN;
  if (seconds <= 0) return "0 s";
  if (seconds < 0.001) return `${Math.max(1, Math.round(seconds * 1e6))} µs`;
  if (seconds < 0.0099995) return `${trim((seconds * 1e3).toFixed(1))} ms`;
  if (seconds < 0.9995) return `${Math.round(seconds * 1e3)} ms`;
  if (seconds < 9.995) return `${trim(seconds.toFixed(2))} s`;
  if (seconds < 59.95) return `${trim(seconds.toFixed(1))} s`;
  return span(seconds);
}

/** A span of time in its two largest units, as of ages and uptimes. */
export function span(seconds) {
  if (!known(seconds)) return UNKNOWN;
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return join(Math.floor(s / 60), "min", s % 60, "s");
  if (s < 86400) return join(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return join(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
}

/** How long ago, both in milliseconds since 1970. */
export function age(time, now) {
  if (!known(time) || !known(now)) return UNKNOWN;
  return now - time < 1000 ? "now" : `${span((now - time) / 1000)} ago`;
}

/** A time of day where the reader is, with the date if that is not the one of now. */
export function clock(time, now) {
  if (!known(time)) return UNKNOWN;
  const t = new Date(time);
  const two = (n) => String(n).padStart(2, "0");
  const of = `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
  if (t.toDateString() === new Date(now).toDateString()) return of;
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${of}`;
}

/** "1 policy", "3 policies". */
export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** A name of a signal in words: not_retryable as "not retryable". */
export function words(name) {
  return String(name ?? "").replaceAll("_", " ");
}

function trim(digits) {
  return digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
}

function join(a, unitA, b, unitB) {
  return b ? `${a} ${unitA} ${b} ${unitB}` : `${a} ${unitA}`;
}
