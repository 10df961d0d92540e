// Numbers and durations as text for readers. Exact values stand in data-value.

/** What stands where a value is not known. */
export const UNKNOWN = "–";

/** From where on a recovery means that there was none. */
export const NEVER = 5e8;

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

const known = (n) => typeof n === "number" && Number.isFinite(n);

/** A number with about three figures. */
export function number(n) {
  if (!known(n)) return UNKNOWN;
  const size = Math.abs(n);
  if (size === 0) return "0";
  if (size < 0.01) return n > 0 ? "<0.01" : ">-0.01";
  if (size < 9.995) return trim(n.toFixed(2));
  if (size < 99.95) return trim(n.toFixed(1));
  return size < 1e6 ? whole.format(n) : short.format(n);
}

/** A factor, with two figures: 2.9, 1.1, 13. */
export function factor(n) {
  if (!known(n)) return UNKNOWN;
  return n < 9.95 ? n.toFixed(1) : whole.format(n);
}

/** A share of 1 as percent. Only a true 0 or 1 reads as "0 %" or "100 %". */
export function percent(share) {
  if (!known(share)) return UNKNOWN;
  const p = share * 100;
  if (p <= 0) return "0 %";
  if (p < 0.1) return "<0.1 %";
  if (p >= 99.95 && p < 100) return ">99.9 %";
  return p < 10 || (p >= 99 && p < 100) ? `${p.toFixed(1)} %` : `${Math.round(p)} %`;
}

/** A duration, in seconds, in the unit that suits it. */
export function duration(seconds) {
  if (!known(seconds) || seconds < 0) return UNKNOWN;
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return `${Math.max(1, Math.round(seconds * 1e6))} µs`;
  if (seconds < 0.00995) return `${trim((seconds * 1e3).toFixed(1))} ms`;
  if (seconds < 0.9995) return `${Math.round(seconds * 1e3)} ms`;
  if (seconds < 9.95) return `${trim(seconds.toFixed(1))} s`;
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  if (seconds < 7170) return `${Math.round(seconds / 60)} min`;
  return `${trim((seconds / 3600).toFixed(1))} h`;
}

/** How long a recovery took. */
export function recovery(seconds) {
  if (known(seconds) && seconds >= NEVER) return "never";
  return duration(seconds);
}

/** A name of a reason in words: max_retries as "max retries". */
export const words = (name) => String(name ?? "").replaceAll("_", " ");

/** "1 run", "3 runs". */
export const plural = (n, one, many = `${one}s`) => `${whole.format(n)} ${n === 1 ? one : many}`;

function trim(digits) {
  return digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
}
