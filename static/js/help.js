// Help: the list of keys, and the switch that turns them off.
const OFF = "keys-off";
const KEYS = [["j k", "next, previous entry"], ["n", "first unread"], ["c", "write"], ["m", "what else to write; also / in an empty text"], ["/", "find"], ["g r", "workroom"], ["g w", "Work View"], ["g h", "home"], ["[ ]", "day before, day after"], ["← →", "frame before, frame after"], ["?", "this help"]];
const off = () => { try { return localStorage.getItem(OFF) } catch { return null } };

export function show() {
  let d = document.getElementById("keys");
  if (!d) {
    const sheet = document.createElement("link");
    sheet.rel = "stylesheet";
    sheet.href = "/static/help.css";
    document.head.append(sheet);
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
