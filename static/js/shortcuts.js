// Shortcuts: j k next and previous entry, n the first unread, m more to write, g w and g r and g h go, [ ] day, ? help;
// c and / (write, find) are in keys.js. The page's own keys scroll the timeline, which scrolls in a part of it.
const room = document.body.dataset.room;
let before = "", at = 0;

export const help = async () => (await import("./help.js")).show();

function step(way) {
  const rows = [...document.querySelectorAll(".log:not(.pending) > .e")].filter(r => r.offsetParent);
  if (!rows.length) return;
  const here = rows.indexOf(document.activeElement.closest?.(".e"));
  const row = rows[Math.min(rows.length - 1, Math.max(0, here < 0 ? rows.length - 1 : here + way))];
  row.tabIndex = -1;
  row.focus({preventScroll: true});
  row.scrollIntoView({block: "nearest"});
}

export function more() { // the menu of what else can be written
  const menu = document.getElementById("more");
  if (!menu) return false;
  menu.open = true;
  menu.querySelector("a")?.focus();
  return true;
}

const go = {r: () => room && location.assign("/rooms/" + room), w: () => room && location.assign(`/rooms/${room}/work-view`), h: () => location.assign("/")};
const act = {
  j: () => step(1), k: () => step(-1), m: more,
  n: () => document.querySelector(".day.new")?.scrollIntoView({block: "start"}),
  "[": () => document.querySelector("[data-prev]")?.click(), "]": () => document.querySelector("[data-next]")?.click(), "?": help,
};
const pages = {PageDown: .9, PageUp: -.9, End: 1e6, Home: -1e6};

export function press(key, target) {
  const scroll = pages[key] && target === document.body && document.getElementById("scroll");
  if (scroll) return scroll.scrollBy(0, pages[key] * scroll.clientHeight);
  const now = Date.now(), chosen = before === "g" && now - at < 1200 ? go[key] : act[key];
  before = chosen ? "" : key;
  at = now;
  chosen?.();
}
