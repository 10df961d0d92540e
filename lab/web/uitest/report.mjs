// Reports for the tests of this folder.

const flat = (n, points) => ({ low: Array(points).fill(n), mid: Array(points).fill(n), high: Array(points).fill(n) });
const figure = (mid, low = mid, high = mid) => ({ low, mid, high });

/** A policy of a report with some of its figures. */
export function policy(name, { amplification = 1, success = 1, recovery = 0, recovered = 3, completion = 60, reasons = {}, points = 4,
  series = {} } = {}) {
  const names = ["calls", "requests", "goodput", "failed", "p50", "p99", "waiting", "tokens", "open"];
  return {
    name, go: "", recovered, reasons,
    series: { ...Object.fromEntries(names.map((n) => [n, flat(0, points)])), ...series },
    figures: {
      amplification: figure(amplification), peak_amplification: figure(amplification), success: figure(success),
        recovery_seconds: figure(recovery),
      total_calls: figure(100), total_requests: figure(100 * amplification), wasted: figure(0), completion_seconds: figure(completion),
        mean_latency: figure(0.1),
    },
  };
}

/** A report of policies. */
export const report = (policies, { faults = [[20, 30]], seeds = 3, duration = 60 } = {}) =>
  ({ name: "r", seeds, duration_seconds: duration, interval_seconds: 0.5, faults, policies, broken: [] });
