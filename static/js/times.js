// Times: puts every <time> into the viewer's zone (or the one the page names), runs clocks, and draws the day lines.
const root = document.documentElement, zone = root.dataset.zone || undefined;
const format = (options, timeZone = zone) => { try { return new Intl.DateTimeFormat("en-GB", {...options, timeZone}) } catch { return new Intl.DateTimeFormat("en-GB", options) } };
const clock = format({hour: "2-digit", minute: "2-digit"});
const short = format({day: "numeric", month: "short", hour: "2-digit", minute: "2-digit"});
const full = format({dateStyle: "full", timeStyle: "medium"}), utc = format({hour: "2-digit", minute: "2-digit"}, "UTC");
const day = format({weekday: "long", day: "numeric", month: "long"});

function localise(scope) {
  for (const t of scope.querySelectorAll("time:not([data-l])")) {
    const at = new Date(t.dateTime);
    if (isNaN(at)) continue;
    t.textContent = (t.dataset.f === "d" ? short : clock).format(at);
    t.dataset.l = "";
  }
}

function dayLines(log) {
  let last = "";
  for (const row of [...log.children]) {
    if (row.matches(".day:not(.new)")) { row.remove(); continue }
    const at = row.querySelector(":scope .at time");
    if (!at) continue;
    const name = day.format(new Date(at.dateTime));
    if (name !== last) {
      const line = document.createElement("li"), text = document.createElement("span");
      line.className = "day";
      text.textContent = name;
      line.append(text);
      const above = row.previousElementSibling;
      (above?.matches(".day.new") ? above : row).before(line);
      last = name;
    }
  }
}

export function dress() {
  localise(document);
  for (const log of document.querySelectorAll(".log[data-head]:not(.compact)")) dayLines(log);
}

function tick() {
  if (document.hidden) return;
  for (const c of document.querySelectorAll(".clock[data-since]")) {
    if (c.closest("[data-demo]")) continue; // its time is not ours
    const s = Math.max(0, Math.floor((Date.now() - c.dataset.since) / 1000));
    c.textContent = `${Math.floor(s / 3600)}:${String(Math.floor(s / 60) % 60).padStart(2, "0")}:${String(s % 60).padStart(2, "0")}`;
  }
}

dress();
document.addEventListener("htmx:after:swap", dress);
document.addEventListener("mouseover", e => {
  const t = e.target.closest?.("time");
  if (t && !t.title) t.title = `${full.format(new Date(t.dateTime))} · ${utc.format(new Date(t.dateTime))} UTC`;
});
setInterval(tick, 1000);
tick();
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
for (const a of document.querySelectorAll("a[data-mine]")) a.href += "&mine=" + encodeURIComponent(own);
