// Side: terms, milestones and what waits, fetched again when an entry arrived that may have changed them.
const room = document.body.dataset.room, TOGETHER = 300; // ms: entries come in groups
let timer;

export function refresh() {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    const agreed = document.getElementById("agreed");
    const answer = agreed && await fetch(`/rooms/${room}/side`, {headers: {"HX-Request": "true"}}).catch(() => null);
    if (!answer?.ok) return;
    const template = document.createElement("template");
    template.innerHTML = await answer.text();
    agreed.replaceWith(template.content);
    document.dispatchEvent(new Event("htmx:after:swap"));
  }, TOGETHER);
}
