// The colours a person chose, kept in this browser; without a choice the system's. Runs before anything is
// drawn.
"use strict";
(() => {
  const KEY = "parley.theme";
  const root = document.documentElement;

  function kept() {
    try {
      return localStorage.getItem(KEY) || "";
    } catch {
      return ""; // a browser that keeps nothing is no failure
    }
  }

  function choose(theme) {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    try {
      if (theme) localStorage.setItem(KEY, theme);
      else localStorage.removeItem(KEY);
    } catch {
      // then it holds for this page
    }
  }

  choose(kept());
  addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = kept();
    select.addEventListener("change", () => choose(select.value));
    select.parentElement.hidden = false;
  });
})();
