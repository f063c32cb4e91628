// Frames: the large picture in a dialog, with its comment, the notes on it, and the arrow keys to its neighbours.
const dialog = document.getElementById("frame"), room = document.body.dataset.room;

export async function open(href) {
  const answer = await fetch(href, {headers: {"HX-Request": "true"}});
  if (!answer.ok) return location.assign(href);
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  dialog.replaceChildren(template.content);
  const close = dialog.querySelector("[data-close]");
  close.hidden = false;
  close.addEventListener("click", () => dialog.close());
  document.dispatchEvent(new Event("htmx:after:swap"));
  if (!dialog.open) dialog.showModal();
}

dialog.addEventListener("click", e => { if (e.target === dialog) dialog.close() });
dialog.addEventListener("keydown", e => {
  if (e.target.matches("input, textarea")) return;
  const way = {ArrowLeft: "[data-prev-frame]", ArrowRight: "[data-next-frame]"}[e.key];
  if (way) dialog.querySelector(way)?.click();
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
