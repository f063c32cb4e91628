// Work View: adds up hours and the day as cells change, joins comments into bars, lets a new cell glow, and keeps the
// address honest: nothing here is a live region, and nothing jumps.
const HOUR = 3600000;
const hours = ms => ms ? (ms / HOUR).toFixed(1) + " h" : "–";
const outside = new Set([...document.querySelectorAll(".seg.out")].map(cell => cell.id));
let first; // what the rows came to when the page was made: the server's totals are of the agreed zone, so add the change

function sum() {
  let all = 0, documented = 0;
  for (const row of document.querySelectorAll(".grid tr:has(.seg)")) {
    let doc = 0, trk = 0, last = "";
    for (const cell of row.querySelectorAll(".seg")) {
      const out = outside.has(cell.id);
      cell.classList.toggle("out", out);
      cell.classList.toggle("mid", !!cell.dataset.c && cell.dataset.c === last);
      last = cell.dataset.c;
      if (!out) { doc += +cell.dataset.doc; trk += +cell.dataset.trk }
    }
    const shown = row.querySelector("[data-sum]");
    if (shown) shown.textContent = hours(doc + trk);
    all += doc + trk;
    documented += doc;
    if (row.querySelector(".seg:not(.empty)")) unfold(row);
  }
  first ??= {all, documented};
  add("[data-day-total]", all - first.all);
  add("[data-day-documented]", documented - first.documented);
  add(".week [aria-current] b", all - first.all);
  add("[data-week-total]", all - first.all);
}

function add(selector, change) {
  const shown = document.querySelector(selector);
  if (shown && change) shown.textContent = hours(+shown.dataset.ms + change).replace(shown.hasAttribute("data-bare") ? " h" : "", "");
}

// An hour that was empty and is not any more comes out of its fold; what is left before and behind it stays folded.
function unfold(row) {
  const fold = row.closest(".fold");
  if (!fold) return;
  const rows = [...fold.querySelectorAll("tr:has(.seg)")], at = rows.indexOf(row);
  const later = rows.slice(at + 1), start = row.querySelector("th time");
  if (later.length) {
    const behind = fold.cloneNode(); // without its rows
    behind.append(fold.querySelector(".fold-head").cloneNode(true), ...later);
    behind.querySelector("time").replaceWith(later[0].querySelector("th time").cloneNode(true));
    fold.after(behind);
  }
  const body = document.createElement("tbody");
  body.append(row);
  fold.after(body);
  if (at) fold.querySelectorAll(".fold-head time")[1].replaceWith(start.cloneNode(true));
  else fold.remove();
}

const had = new Map();
function glow() {
  for (const cell of document.querySelectorAll(".seg")) {
    const state = cell.className.match(/empty|running|waiting|stored|ready|unreadable|deleted|undocumented|missing/)?.[0];
    const old = had.get(cell.id);
    if (old && old !== state && (state === "stored" || state === "ready")) {
      cell.classList.add("fresh");
      setTimeout(() => cell.classList.remove("fresh"), 1200);
    }
    had.set(cell.id, state);
  }
}

if (document.querySelector(".grid")) {
  glow();
  sum();
  document.addEventListener("htmx:after:swap", () => { glow(); sum() });
}
