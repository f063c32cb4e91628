// Timeline: keeps to the end, counts, says aloud and marks as seen what is new, loads earlier entries without a jump.
import {send} from "./live.js";
const body = document.body, room = body.dataset.room, own = body.dataset.by;
const log = document.getElementById("log-" + room) || document.getElementById("chat-" + room);
const page = log?.id.startsWith("log-"), say = document.getElementById("say"), title = document.title;
const toEnd = document.getElementById("to-end"), ROWS_MAX = 300;
let unread = 0, seen = +(log?.dataset.seen ?? -1), stuck = true, ended = 0, timer;

const scroller = page ? document.getElementById("scroll") : log;
const atEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 90;
const lastSeq = () => Math.max(+log.dataset.head, ...[...log.children].slice(-8).map(r => +(r.dataset.seq ?? -1)));
const goEnd = () => { scroller.scrollTop = scroller.scrollHeight; ended = scroller.scrollTop };

function count() {
  document.title = unread ? `(${unread}) ${title}` : title;
  if (toEnd) { toEnd.hidden = atEnd(); toEnd.lastElementChild.textContent = unread ? `${unread} new` : "Latest" }
}

function see() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (document.hidden || !atEnd()) return;
    const seq = lastSeq();
    if (seq > seen && send({t: "seen", room, seq})) seen = seq;
    unread = 0;
    count();
  }, 400);
}

function whoSaw() { // "seen by" stands only where it says something: the other has read the last entry
  const last = lastSeq();
  for (const mark of document.querySelectorAll(".seen")) mark.hidden = mark.dataset.by === own || +mark.dataset.seq < last;
  for (const t of document.querySelectorAll(`.typing [data-by="${own}"]`)) t.remove();
}

function announce(row) {
  if (!row || row.dataset.by === own) return;
  const line = document.createElement("p"), text = row.querySelector(".c")?.innerText || row.querySelector("img")?.alt || "";
  line.textContent = text.replace(/\s+/g, " ").slice(0, 160);
  say.append(line);
  while (say.children.length > 5) say.firstChild.remove();
}

if (log) {
  const anchor = document.getElementById(location.hash.slice(1));
  const divider = log.querySelector(".day.new");
  if (!anchor || anchor.id === "unread") divider ? divider.scrollIntoView({block: "start"}) : goEnd();
  else anchor.scrollIntoView({block: "center"});
  stuck = atEnd();
  addEventListener("load", () => { if (stuck) goEnd() });
  scroller.addEventListener("scroll", () => { stuck = atEnd(); count(); if (stuck) see() }, {passive: true});
  document.addEventListener("visibilitychange", see);
  document.addEventListener("live:joined", see);
  document.addEventListener("live:entry", e => {
    const rows = [...log.querySelectorAll(":scope > .e")].filter(r => +r.dataset.seq > e.detail.from);
    for (const row of rows) {
      row.classList.add("fresh");
      if (row.matches(":not(.ev, .frame)") && row.dataset.by !== own && (document.hidden || !stuck)) unread++;
    }
    announce(rows.at(-1));
    if (rows.some(row => row.matches(".com, .yes, :has(.sheet, .slip)"))) import("./side.js").then(side => side.refresh());
    const all = log.querySelectorAll(":scope > .e");
    if (stuck) for (let i = 0; i < all.length - ROWS_MAX; i++) all[i].remove();
    count();
    see();
  });
  document.addEventListener("htmx:after:swap", () => { if (stuck && scroller.scrollTop > ended - 90) goEnd(); whoSaw() });
  let height = 0;
  document.addEventListener("htmx:before:swap", e => { if (e.target.matches?.("[data-earlier]")) height = scroller.scrollHeight - scroller.scrollTop });
  document.addEventListener("htmx:after:settle", () => { if (height) { scroller.scrollTop = scroller.scrollHeight - height; height = 0 } });
  toEnd?.addEventListener("click", () => { goEnd(); see() });
  new MutationObserver(list => { // a typing notice fades by itself
    for (const m of list) if (m.addedNodes.length) { whoSaw(); clearTimeout(m.target.timer); m.target.timer = setTimeout(() => m.target.replaceChildren(), 4500) }
  }).observe(document.getElementById("typing-" + room), {childList: true});
  whoSaw();
  count();
}

document.querySelector(".find")?.addEventListener("focus", () => import("./find.js"));
if (page) for (const kind of ["mouseover", "focusin"]) log.addEventListener(kind, async e => (await import("./acts.js")).show(log, e.target));

// Links and forms that work without script, and stay on the page with it: the large picture in a dialog, a form of the
// composer in its panel, an answer beside its matter. Each is loaded when first asked for.
document.addEventListener("click", async e => {
  const link = e.target.closest?.("a[data-frame], a[data-compose]"), frame = link?.matches("[data-frame]");
  if (!link || !document.getElementById(frame ? "frame" : "panel") || e.metaKey || e.ctrlKey || e.shiftKey || e.button) return;
  e.preventDefault();
  (await import(frame ? "./frames.js" : "./forms.js")).open(link.href);
});
document.addEventListener("submit", async e => {
  if (!e.target.matches("[data-answer]")) return;
  e.preventDefault();
  (await import("./answers.js")).send(e.target);
});
