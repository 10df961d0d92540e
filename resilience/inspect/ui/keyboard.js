// Keys: "/" goes to the search, Escape clears it, the arrows go from row to row.

/** Listens to keys. clear empties the search. */
export function keyboard(search, clear) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, select, textarea");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === "Escape" && event.target === search) {
      event.preventDefault();
      clear();
    } else if (event.key === "ArrowDown" && (event.target === search || event.target.matches("button.open"))) {
      event.preventDefault();
      step(event.target, 1);
    } else if (event.key === "ArrowUp" && event.target.matches("button.open")) {
      event.preventDefault();
      step(event.target, -1);
    }
  });

  function step(from, by) {
    const rows = [...document.querySelectorAll("tbody:not([hidden]) button.open")].filter((b) => b.offsetParent !== null);
    const at = rows.indexOf(from) + by;
    if (at < 0) search.focus();
    else rows[at]?.focus();
  }
}
