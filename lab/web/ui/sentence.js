// The answer in a sentence, as parts: { name, index, text, tone } for each policy.

import { NEVER, duration, factor, percent } from "./format.js";

/** What each policy did, in words. */
export function parts(report) {
  return report.policies.map((policy, index) => {
    const texts = [load(policy.figures.amplification.mid)];
    const ends = ending(report, policy);
    return { name: policy.name, index, text: `${texts[0]}${ends.text}`, tone: ends.tone };
  });
}

/** The sentence as plain text. */
export function sentence(report) {
  return parts(report).map((p) => `${p.name}: ${p.text}`).join("; ") + ".";
}

function load(times) {
  if (times < 1.005) return times > 0.995 ? "the callee gets no more requests than calls"
    : `the callee gets ${percent(times)} of the calls`;
  return times < 1.1 ? `the callee gets ${percent(times - 1)} more requests than calls`
    : `the callee gets ${factor(times)} times the calls`;
}

/** What became of it: recovery if there was something to recover from, or else the calls. */
function ending(report, policy) {
  const { recovery_seconds: took, success, completion_seconds: completion } = policy.figures;
  const lasts = Math.max(0, ...report.faults.map(([, to]) => to));
  if (report.faults.length > 0 && lasts < report.duration_seconds) {
    if (policy.recovered === 0 || took.mid >= NEVER) {
      const some = policy.recovered > 0 ? `recovers in ${policy.recovered} of ${report.seeds} runs only` : "does not recover";
      return { text: ` and ${some}`, tone: "bad" };
    }
    const when = took.mid < report.interval_seconds ? "at once" : `in ${duration(took.mid)}`;
    const not = report.seeds - policy.recovered;
    return { text: `, and it recovers ${when}${not ? `, but not in ${not} of ${report.seeds} runs` : ""}`, tone: not ? "bad" : "good" };
  }
  const done = completion.mid < 0.95 * report.duration_seconds ? `, all done in ${duration(completion.mid)}` : "";
  return { text: `, and ${percent(success.mid)} of the calls succeed${done}`, tone: success.mid < 0.95 ? "bad" : "good" };
}
