// Keys: what they do is loaded with the first one that is pressed (shortcuts.js). None acts while one types, and they can
// be switched off in the help itself.
const off = () => { try { return localStorage.getItem("keys-off") } catch { return null } };
const WAY = /^(?:[jkcmnhrwg?/[\]]|Page(?:Up|Down)|Home|End)$/, load = () => import("./shortcuts.js");

document.addEventListener("keydown", e => {
  const t = e.target, key = e.key, menu = t.closest?.(".menu[open]");
  if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
  if (key === "Escape" && menu) { menu.open = false; return menu.firstElementChild.focus() }
  if (t.closest?.("input, textarea, select, [contenteditable], dialog")) {
    if (key === "Escape" && t.matches("textarea, .find")) t.blur();
    return;
  }
  if (!WAY.test(key) || off() && key.length < 2 && key !== "?") return;
  const field = document.querySelector({c: "#text", "/": ".find"}[key]); // at once: what is typed next belongs there
  if (field) { e.preventDefault(); return field.focus() }
  load().then(keys => keys.press(key, t));
});
for (const b of document.querySelectorAll("[data-keys]")) { b.hidden = false; b.addEventListener("click", () => load().then(keys => keys.help())) }
document.addEventListener("click", e => { for (const m of document.querySelectorAll(".menu[open]")) if (!m.contains(e.target)) m.open = false });
