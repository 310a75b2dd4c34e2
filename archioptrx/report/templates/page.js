// The page's frame: theme, where one is, copying, tables that sort. Sections hear of a new theme by the event "theme".
"use strict";
const report = window.report = {};

/** Value of a style variable now: report.colour("--accent"). */
report.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** An element; text is text, never HTML: report.element("td", {class: "left"}, "text", child, …). */
report.element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
};

/** Data that a section has packed: gzip, then base64. Read once. */
report.packed = (() => {
  const known = {};
  return (name) => known[name] ??= report.unpacked(document.getElementById(name));
})();
/** What an element of data holds: JSON, or that packed. */
report.unpacked = async (element) => {
  if (element.type === "application/json") return JSON.parse(element.textContent);
  const bytes = Uint8Array.from(atob(element.textContent.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
};

const theme = document.getElementById("theme");
const showTheme = () => {
  const dark = document.documentElement.dataset.theme === "dark";
  theme.textContent = dark ? "☀ Light" : "☾ Dark";
  theme.setAttribute("aria-label", dark ? "Change to light colours" : "Change to dark colours");
};
const setTheme = (name) => {
  document.documentElement.dataset.theme = name;
  showTheme();
  document.dispatchEvent(new CustomEvent("theme"));
};
theme.addEventListener("click", () => {
  const name = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("archioptrx-theme", name); } catch { /* then it holds until the page is left */ }
  setTheme(name);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
  let chosen = null;
  try { chosen = localStorage.getItem("archioptrx-theme"); } catch { /* nothing was chosen, then */ }
  if (!chosen) setTheme(event.matches ? "dark" : "light");
});
showTheme();

// Paper is white.
let onScreen = null;
addEventListener("beforeprint", () => { onScreen = document.documentElement.dataset.theme; setTheme("light"); });
addEventListener("afterprint", () => setTheme(onScreen));

// The section that reaches above the upper third of the window is the one that is read.
const links = [...document.querySelectorAll("nav a")];
const sections = links.map((link) => document.getElementById(link.hash.slice(1)));
const mark = () => {
  const end = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
  let at = sections.findLastIndex((one) => one.getBoundingClientRect().top <= innerHeight / 3);
  if (end && scrollY > 0) at = sections.length - 1;
  links.forEach((link, i) => {
    if (i !== at) return link.removeAttribute("aria-current");
    if (link.hasAttribute("aria-current")) return;
    link.setAttribute("aria-current", "true");
    const bar = link.parentElement;
    bar.scrollTo({left: link.offsetLeft - bar.offsetLeft - 40, top: link.offsetTop - bar.offsetTop - 80});
  });
};
let marking = false;
const soon = () => {
  if (!marking) requestAnimationFrame(() => { marking = false; mark(); });
  marking = true;
};
addEventListener("scroll", soon, {passive: true});
addEventListener("resize", soon);
mark();

// Copying: navigator.clipboard may be missing in a page from disk.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const before = button.dataset.before ??= button.textContent;
  let done = false;
  try { await navigator.clipboard.writeText(button.dataset.copy); done = true; } catch { done = byHand(button.dataset.copy); }
  button.textContent = done ? "Copied" : "Press Ctrl+C";
  setTimeout(() => { button.textContent = before; }, 1500);
});
const byHand = (text) => {
  const area = report.element("textarea", {"aria-hidden": "true", style: "position: fixed; opacity: 0"});
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
};
