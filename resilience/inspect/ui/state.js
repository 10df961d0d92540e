// The state of the process as the page knows it: the first answer whole, later ones merged into it.

/** How many values a history holds at most, as in the answers: five minutes of two seconds. */
export const MAX_VALUES = 150;

/** How many troubled calls of a policy are kept. */
export const MAX_TROUBLED = 50;

/** Returns the state before the first answer. */
export function emptyState() {
  return {
    title: "", instance: "", now: 0, since: 0, interval: 2, cursor: "", traceURL: "", length: 0,
    policies: new Map(), budgets: new Map(), guards: new Map(), warnings: [],
  };
}

/** The key of a guard: names are unique within a kind only. */
export function guardKey(guard) {
  return `${guard.kind}/${guard.name}`;
}

/** Merges an answer into the state and returns the new state. The old one is not to be used any more. */
export function merge(old, answer) {
  const base = answer.full ? emptyState() : old;
  const added = addedValues(answer);
  return {
    title: answer.title ?? "",
    instance: answer.instance ?? "",
    now: Date.parse(answer.now),
    since: Date.parse(answer.since),
    interval: answer.interval_seconds > 0 ? answer.interval_seconds : 2,
    cursor: answer.cursor ?? "",
    traceURL: answer.trace_url ?? "",
    length: Math.min(base.length + added, MAX_VALUES),
    policies: mergeAll(base.policies, answer.policies, (p) => p.name, base.length, added),
    budgets: mergeAll(base.budgets, answer.budgets, (b) => b.name, base.length, added),
    guards: mergeAll(base.guards, answer.guards, guardKey, base.length, added),
    warnings: answer.warnings ?? [],
  };
}

// How many values the histories of the answer hold: all the same number.
function addedValues(answer) {
  for (const list of [answer.policies, answer.budgets, answer.guards]) {
    for (const item of list ?? []) {
      for (const values of Object.values(item.history ?? {})) return values?.length ?? 0;
    }
  }
  return 0;
}

// What the answer does not list any more is gone.
function mergeAll(olds, news, key, length, added) {
  const merged = new Map();
  for (const item of news ?? []) {
    const old = olds.get(key(item));
    merged.set(key(item), {
      ...item,
      history: mergeHistory(old?.history, item.history, length, added),
      troubled: mergeTroubled(old?.troubled, item.troubled),
    });
  }
  return merged;
}

function mergeHistory(old, news, length, added) {
  const merged = {};
  for (const [series, values] of Object.entries(news ?? {})) {
    const before = old?.[series] ?? new Array(length).fill(null);
    merged[series] = before.concat(values ?? new Array(added).fill(null)).slice(-MAX_VALUES);
  }
  return merged;
}

// Newest first; a call that came twice is there once.
function mergeTroubled(old, news) {
  if (!news?.length) return old ?? [];
  const calls = new Map();
  for (const call of [...(old ?? []), ...news]) calls.set(call.id, call);
  return [...calls.values()].sort((a, b) => b.id - a.id).slice(0, MAX_TROUBLED);
}
