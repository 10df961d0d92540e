// Asks the process for its state, again and again, while the page is looked at.

/** How long an answer may take, in milliseconds. */
const PATIENCE = 10_000;

// What browsers call differently.
const REASONS = new Map([["TimeoutError", "the process did not answer in time"], ["TypeError", "the process cannot be reached"]]);

/**
 * Polls until it is paused. cursor returns where to go on, got takes an answer and returns after how many seconds to ask
 * again, lost takes the reason why there is none.
 */
export function poller({ address, cursor, got, lost }) {
  let timer = 0;
  let asking = false;
  let paused = false;

  const ask = async () => {
    clearTimeout(timer);
    if (asking || paused || document.hidden) return;
    asking = true;
    let seconds = 2;
    try {
      const from = cursor();
      const response = await fetch(from ? `${address}?since=${encodeURIComponent(from)}` : address, {
        cache: "no-store", signal: AbortSignal.timeout(PATIENCE),
      });
      if (!response.ok) throw new Error(`the process answered ${response.status}`);
      const answer = await response.json();
      if (!paused) seconds = got(answer);
    } catch (error) {
      lost(REASONS.get(error.name) ?? error.message);
    } finally {
      asking = false;
    }
    if (!paused) timer = setTimeout(ask, seconds * 1000);
  };

  document.addEventListener("visibilitychange", ask);
  return {
    ask,
    pause() {
      paused = true;
      clearTimeout(timer);
    },
    resume() {
      paused = false;
      ask();
    },
  };
}
