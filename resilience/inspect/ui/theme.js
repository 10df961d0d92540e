// Sets the theme that was chosen before the page is painted. A classic script, as modules
// run too late for that.
"use strict";
(() => {
  try {
    const theme = localStorage.getItem("resilience.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is forbidden: the theme of the system it is.
  }
})();
