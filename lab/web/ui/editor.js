// The text of the scenario, which is all that counts. Forms send edits, which are made one after the other.

import { edit } from "./api.js";

/** Makes an editor. Changed is called with { text, tree, error } whenever one of them is another. */
export function editor(changed) {
  let queue = Promise.resolve();
  let version = 0; // of the text as the reader wrote it
  const state = { text: "", tree: null, error: "" };

  function take(result) {
    state.text = result.text;
    state.error = result.error ?? "";
    if (result.tree) state.tree = result.tree; // forms keep what they showed while the text is no YAML
    changed(state);
  }

  function later(work) {
    queue = queue.then(work).catch((error) => {
      state.error = error.message;
      changed(state);
    });
    return queue;
  }

  return {
    state,
    /** Takes another text. */
    write(text) {
      const mine = ++version;
      return later(async () => {
        if (mine !== version) return; // another one has come
        const result = await edit(text);
        if (mine === version) take(result);
      });
    },
    /** Makes edits, given as a list or as what makes it of the tree. */
    change(edits) {
      return later(async () => {
        const list = typeof edits === "function" ? edits(state.tree) : edits;
        const mine = version;
        if (list.length === 0) return changed(state);
        const result = await edit(state.text, list);
        if (mine === version) take(result);
      });
    },
    /** Waits until everything that was written has been read. */
    settled: () => queue,
  };
}
