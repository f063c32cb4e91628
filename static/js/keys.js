// Keys: j k next and previous entry, n the first unread, c write, / find, g w and g r and g h go, [ ] day, ? this help.
// They can be switched off in the help itself, and never act while one types.
const OFF = "keys-off", room = document.body.dataset.room;
const KEYS = [["j k", "next, previous entry"], ["n", "first unread"], ["c", "write"], ["/", "find"], ["g r", "workroom"], ["g w", "Work View"], ["g h", "home"], ["[ ]", "day before, day after"], ["← →", "frame before, frame after"], ["?", "this help"]];
let before = "", at = 0;
const off = () => { try { return localStorage.getItem(OFF) } catch { return null } };

function help() {
  let d = document.getElementById("keys");
  if (!d) {
    d = document.createElement("dialog");
    d.id = "keys";
    d.className = "keys";
    d.setAttribute("aria-labelledby", "keys-title");
    const dl = document.createElement("dl"), h = document.createElement("h2"), label = document.createElement("label"), box = document.createElement("input"), close = document.createElement("button");
    h.id = "keys-title";
    h.textContent = "Keys";
    for (const [keys, what] of KEYS) {
      const dt = document.createElement("dt"), dd = document.createElement("dd");
      dt.append(...keys.split(" ").flatMap(k => { const e = document.createElement("kbd"); e.textContent = k; return [e, " "] }));
      dd.textContent = what;
      dl.append(dt, dd);
    }
    box.type = "checkbox";
    box.checked = !off();
    box.addEventListener("change", () => { try { box.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1") } catch {} });
    label.append(box, " Keys are on");
    close.className = "btn";
    close.textContent = "Close";
    close.addEventListener("click", () => d.close());
    const foot = document.createElement("p");
    foot.append(label, " ");
    d.append(h, dl, foot, close);
    document.body.append(d);
  }
  if (!d.open) d.showModal();
}

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

document.addEventListener("keydown", e => {
  if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
  if (e.target.closest?.("input, textarea, select, [contenteditable], dialog")) {
    if (e.key === "Escape" && e.target.matches("textarea, .find")) e.target.blur();
    return;
  }
  if (off() && e.key !== "?") return;
  const now = Date.now(), chosen = before === "g" && now - at < 1200 ? go[e.key] : act[e.key];
  before = e.key;
  at = now;
  if (chosen) { e.preventDefault(); before = ""; chosen() }
});
for (const b of document.querySelectorAll("[data-keys]")) { b.hidden = false; b.addEventListener("click", help) }
document.addEventListener("click", e => { for (const m of document.querySelectorAll(".menu[open]")) if (!m.contains(e.target)) m.open = false });
