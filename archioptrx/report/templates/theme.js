// Before anything is painted: the theme that was chosen here before, else the system's.
(() => {
  let theme = null;
  try { theme = localStorage.getItem("archioptrx-theme"); } catch { /* a page from disk may have no storage */ }
  if (theme !== "light" && theme !== "dark") theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset.theme = theme;
})();
