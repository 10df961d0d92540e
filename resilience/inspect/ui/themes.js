// The switch of the theme. theme.js sets what was chosen before the page is painted.

const KEY = "resilience.theme";

/** Lets a select choose between the theme of the system, light and dark. */
export function themes(select) {
  select.value = document.documentElement.dataset.theme ?? "auto";
  select.addEventListener("change", () => {
    if (select.value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = select.value;
    try {
      if (select.value === "auto") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, select.value);
    } catch {
      // Storage is forbidden: the choice lasts as long as the page.
    }
  });
}
