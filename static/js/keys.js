// Keys: j k next and previous entry, n the first unread, c write, / find, g w and g r and g h go, [ ] day, ? this help.
// They can be switched off in the help itself, and never act while one types.
const room = document.body.dataset.room;
let before = "", at = 0;
const off = () => { try { return localStorage.getItem("keys-off") } catch { return null } };

const help = async () => (await import("./help.js")).show();

function step(way) {
  const rows = [...document.querySelectorAll(".log:not(.pending) > .e")].filter(r => r.offsetParent);
  if (!rows.length) return;
  const here = rows.indexOf(document.activeElement.closest?.(".e"));
  const row = rows[Math.min(rows.length - 1, Math.max(0, here < 0 ? rows.length - 1 : here + way))];
  row.tabIndex = -1;
  row.focus({preventScroll: true});
  row.scrollIntoView({block: "nearest"});
}

const go = {r: () => room && location.assign("/rooms/" + room), w: () => room && location.assign(`/rooms/${room}/work-view`), h: () => location.assign("/")};
const act = {
  j: () => step(1), k: () => step(-1), c: () => document.getElementById("text")?.focus(), "/": () => document.querySelector(".find")?.focus(),
  n: () => document.querySelector(".day.new")?.scrollIntoView({block: "start"}), "[": () => document.querySelector("[data-prev]")?.click(), "]": () => document.querySelector("[data-next]")?.click(), "?": help,
};
const pages = {PageDown: .9, PageUp: -.9, End: 1e6, Home: -1e6}; // the timeline scrolls in a part of the page

document.addEventListener("keydown", e => {
  if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
  if (e.target.closest?.("input, textarea, select, [contenteditable], dialog")) {
    if (e.key === "Escape" && e.target.matches("textarea, .find")) e.target.blur();
    return;
  }
  const scroll = pages[e.key] && e.target === document.body && document.getElementById("scroll");
  if (scroll) return scroll.scrollBy(0, pages[e.key] * scroll.clientHeight);
  if (off() && e.key !== "?") return;
  const now = Date.now(), chosen = before === "g" && now - at < 1200 ? go[e.key] : act[e.key];
  before = e.key;
  at = now;
  if (chosen) { e.preventDefault(); before = ""; chosen() }
});
for (const b of document.querySelectorAll("[data-keys]")) { b.hidden = false; b.addEventListener("click", help) }
document.addEventListener("click", e => { for (const m of document.querySelectorAll(".menu[open]")) if (!m.contains(e.target)) m.open = false });
