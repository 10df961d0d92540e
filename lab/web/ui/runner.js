// One run at a time: it is begun, watched and cancelled.

import { drop, look, start } from "./api.js";

const FIRST = 60; // milliseconds to the first look; later ones are rarer
const SLOWEST = 500;

/** Makes a runner. Progress is called with { done, left_seconds, waiting } while a run goes on. */
export function runner(progress) {
  let current = null;

  async function cancel() {
    const was = current;
    current = null;
    await was?.asked.catch(() => null); // a question that comes after the end would have no answer
    if (was?.id) await drop(was.id);
  }

  return {
    cancel,
    /** Runs a text. Returns the report, or null if it was cancelled. */
    async run(text) {
      await cancel();
      const mine = { id: null, asked: Promise.resolve() };
      current = mine;
      try {
        progress({ done: 0, waiting: false });
        const { id } = await start(text);
        if (current !== mine) { // nobody could cancel it without its name
          await drop(id);
          return null;
        }
        mine.id = id;
        for (let pause = FIRST; ; pause = Math.min(SLOWEST, pause * 1.5)) {
          if (current !== mine) return null;
          mine.asked = look(mine.id);
          const state = await mine.asked;
          if (current !== mine) return null;
          if (state.error) throw new Error(state.error);
          if (state.report) {
            drop(mine.id);
            return state.report;
          }
          progress(state);
          await new Promise((done) => setTimeout(done, pause));
        }
      } catch (error) {
        if (current !== mine) return null; // what was cancelled is there no more
        throw error;
      } finally {
        if (current === mine) current = null;
      }
    },
  };
}
