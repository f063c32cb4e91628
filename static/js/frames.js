// Frames: the large picture in a dialog, with its comment, the notes on it, and the arrow keys to its neighbours. An
// entry that arrives is looked at: a picture that was deleted goes at once, a note on it appears.
const dialog = document.getElementById("frame"), room = document.body.dataset.room;
const WAYS = {ArrowLeft: "[data-prev-frame]", ArrowRight: "[data-next-frame]"}, TOGETHER = 150; // ms: entries come in groups
let shown, turn = 0, timer;
dialog.tabIndex = -1;

async function part(href) {
  const answer = await fetch(href, {headers: {"HX-Request": "true"}}).catch(() => null);
  if (!answer) return null;
  const template = document.createElement("template");
  template.innerHTML = answer.ok ? await answer.text() : "";
  for (const e of template.content.querySelectorAll(".log [id]")) e.removeAttribute("id"); // the page's own row has it
  const sheet = template.content.querySelector("link");
  sheet?.remove();
  if (sheet && !document.head.querySelector(`[href="${sheet.getAttribute("href")}"]`)) { // its style first: nothing jumps
    const there = new Promise(done => { sheet.onload = sheet.onerror = done });
    document.head.append(sheet);
    await there;
  }
  return template.content;
}

function put(content) {
  const held = Object.values(WAYS).find(way => document.activeElement.matches(way)); // the focus goes on in the new part
  dialog.replaceChildren(content);
  const close = dialog.querySelector("[data-close]");
  close.hidden = false;
  close.addEventListener("click", () => dialog.close());
  document.dispatchEvent(new Event("htmx:after:swap"));
  if (!dialog.open) dialog.showModal();
  else (held && dialog.querySelector(held) || dialog).focus();
}

export async function open(href) {
  const mine = ++turn, content = await part(href);
  if (mine !== turn) return;
  if (!content?.firstElementChild) return location.assign(href);
  shown = href;
  put(content);
}

async function refresh() {
  if (!dialog.open) return;
  const mine = turn, content = await part(shown);
  if (!content || mine !== turn || !dialog.open) return;
  const html = (from, what) => from.querySelector(what)?.innerHTML;
  if (html(content, "figure") !== html(dialog, "figure")) return content.firstElementChild ? put(content) : dialog.close();
  const said = content.querySelector(".frame-said");
  if (said?.innerHTML !== html(dialog, ".frame-said")) { // what is being typed stays
    dialog.querySelector(".frame-said").replaceWith(said);
    document.dispatchEvent(new Event("htmx:after:swap"));
  }
}
for (const told of ["live:entry", "live:joined"]) document.addEventListener(told, () => { clearTimeout(timer); timer = setTimeout(refresh, TOGETHER) });

dialog.addEventListener("click", e => { if (e.target === dialog) dialog.close() });
dialog.addEventListener("close", () => {
  const seq = dialog.querySelector("[data-seq]").dataset.seq;
  turn++;
  dialog.replaceChildren();
  document.querySelector(`a.cell[href$="/frames/${seq}"], #t-${room}-${seq}`)?.focus();
});
dialog.addEventListener("keydown", e => {
  if (e.target.matches("input, textarea")) return;
  const link = dialog.querySelector(WAYS[e.key] ?? "none");
  if (!link) return;
  e.preventDefault();
  link.focus();
  link.click();
});
dialog.addEventListener("submit", async e => { // notes and comments keep the page where it is
  const form = e.target;
  if (!form.action.endsWith("/entries")) return;
  e.preventDefault();
  const answer = await fetch(form.action, {method: "POST", body: new URLSearchParams(new FormData(form)), headers: {Accept: "application/json"}}).catch(() => null);
  if (answer?.ok) return open(`/rooms/${room}/frames/${form.closest("[data-seq]").dataset.seq}`);
  const told = await answer?.json().catch(() => null);
  let line = form.querySelector(".problem");
  if (!line) {
    line = document.createElement("p");
    line.className = "problem";
    line.role = "alert";
    form.prepend(line);
  }
  line.textContent = told?.error?.message ?? "This could not be sent. It is still here; try again.";
});
