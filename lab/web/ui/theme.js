// The switch of the theme. A classic script, as modules run too late to set it before the page is painted.
"use strict";
(() => {
  const KEY = "lab.theme";
  const root = document.documentElement;
  const stored = (use) => {
    try {
      return use(localStorage);
    } catch {
      return null; // storage is forbidden: a choice lasts as long as the page
    }
  };
  const set = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  set(stored((storage) => storage.getItem(KEY)));
  addEventListener("DOMContentLoaded", () => {
    const select = document.querySelector("#theme");
    select.value = root.dataset.theme ?? "auto";
    select.addEventListener("change", () => {
      set(select.value);
      stored((storage) => storage.setItem(KEY, select.value));
    });
  });
})();
