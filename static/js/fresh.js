// Fresh: fetches a part again, from the address in its `data-fresh`, when the server says that what it shows has changed.
let timer;
const fetchParts = () => {
  for (const part of document.querySelectorAll("[data-fresh]"))
    htmx.ajax("GET", part.dataset.fresh, {target: part, swap: "outerMorph"});
};
const soon = () => { clearTimeout(timer); timer = setTimeout(fetchParts, 300 + 300 * Math.random()) }; // a burst is one question
const watch = new MutationObserver(soon);
for (const mark of document.querySelectorAll("#bell, #turns")) watch.observe(mark, {childList: true, characterData: true, subtree: true});
let connected = false; // once more after a connection was lost: what was said meanwhile has no number
document.addEventListener("live:state", e => {
  if (e.detail !== "on") return;
  if (connected) soon();
  connected = true;
});
