// The series of a report as CSV: a line for each policy and interval.

const quote = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text);

/** A text that no spreadsheet takes for a formula. */
const inert = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);

/** Values that are not known are empty. */
const value = (v) => (v >= 0 ? String(v) : "");

/** The series as CSV, with the 10th percentile, median and 90th of each. */
export function toCSV(report) {
  const names = Object.keys(report.policies[0]?.series ?? {}).sort();
  const lines = [["policy", "seconds", ...names.flatMap((n) => [`${n}_low`, `${n}_mid`, `${n}_high`])].join(",")];
  for (const policy of report.policies) {
    const points = policy.series[names[0]]?.mid.length ?? 0;
    for (let i = 0; i < points; i++) {
      const at = Number((i * report.interval_seconds).toPrecision(12));
      const values = names.flatMap((n) => ["low", "mid", "high"].map((line) => value(policy.series[n][line][i])));
      lines.push([quote(inert(policy.name)), at, ...values].join(","));
    }
  }
  return lines.join("\r\n") + "\r\n";
}
