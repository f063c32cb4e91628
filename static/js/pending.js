// Pending: the rows of what was sent and not answered, drawn when there are some. What was kept before its key named whose
// it is, is dropped.
const {by} = document.body.dataset;
try { for (const key of Object.keys(localStorage)) if (/^(draft|pending|form|files)-/.test(key)) localStorage.removeItem(key) } catch {}

export function draw(list, pending, again, drop) {
  const me = document.querySelector(`.who [data-by="${by}"]`);
  list.replaceChildren(...pending.map(p => {
    const row = document.createElement("li"), c = document.createElement("div"), said = document.createElement("div"), state = document.createElement("p");
    row.className = "e card-row" + (p.problem ? " failed" : "");
    row.dataset.cid = p.cid;
    const av = document.createElement("span");
    av.className = "av " + (me?.className.match(/h\d/)?.[0] ?? "");
    av.textContent = me?.querySelector("[aria-hidden]")?.textContent ?? "";
    av.ariaHidden = "true";
    said.className = "text";
    said.textContent = p.body.text;
    c.className = "c";
    state.className = "state";
    state.textContent = p.problem || (document.documentElement.dataset.live === "on" ? "Sending…" : "Kept here, sent as soon as the connection is back");
    c.append(said, state);
    if (p.problem) import("./failed.js").then(m => c.append(m.acts(p, () => again(p), () => drop(p.cid))));
    row.append(av, c);
    return row;
  }));
}
