// Durations as they stand in a scenario: "1m30s", as Go writes them.

const UNITS = { h: 3600, m: 60, s: 1, ms: 1e-3, us: 1e-6, "µs": 1e-6, ns: 1e-9 };

/** The seconds of a duration, or NaN if it is none. */
export function parseDuration(text) {
  const s = String(text ?? "").trim();
  if (s === "0") return 0;
  if (!/^(\d+(\.\d+)?(h|ms|m|us|µs|ns|s))+$/.test(s)) return NaN;
  let sum = 0;
  for (const [, value, , unit] of s.matchAll(/(\d+(\.\d+)?)(h|ms|m|us|µs|ns|s)/g)) sum += Number(value) * UNITS[unit];
  return sum;
}

/** A duration of so many seconds, to the microsecond. */
export function formatDuration(seconds) {
  if (!(seconds > 0)) return "0s";
  const micros = Math.round(seconds * 1e6);
  if (micros < 1e6) return micros % 1000 ? `${micros}us` : `${micros / 1000}ms`;
  const h = Math.floor(micros / 3.6e9);
  const m = Math.floor((micros % 3.6e9) / 6e7);
  const s = (micros % 6e7) / 1e6;
  return (h ? `${h}h` : "") + (m ? `${m}m` : "") + (s ? `${s}s` : "");
}
