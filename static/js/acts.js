// Acts: what can be done with a row: answer it, correct one's own (the last one, unless said), copy its address.
const room = document.body.dataset.room, own = document.body.dataset.by;
const acts = document.createElement("span");
acts.className = "acts-row";

function button(text, act) {
  const b = document.createElement("button");
  b.type = "button";
  b.className = "btn quiet";
  b.textContent = text;
  b.addEventListener("click", () => act(acts.parentElement.dataset.seq, b));
  acts.append(b);
  return b;
}

const compose = (kind, ref) => document.dispatchEvent(new CustomEvent("compose", {detail: {kind, ref}}));
button("Answer", seq => compose("message", seq));
const correct = button("Correct", seq => compose("correction", seq));
button("Copy link", async (seq, b) => {
  await navigator.clipboard?.writeText(`${location.origin}/rooms/${room}/entries/${seq}`);
  b.textContent = "Copied";
  setTimeout(() => { b.textContent = "Copy link" }, 1500);
});

export function chosen(form) { // a number that nobody asked for must not make an answer of a message
  if (form.classList.contains("answering")) return;
  const mine = document.querySelectorAll(`.log:not(.pending) > .card-row[data-by="${own}"]`);
  form.elements.ref.value = form.elements.kind.value === "correction" ? form.elements.ref.value || (mine[mine.length - 1]?.dataset.seq ?? "") : "";
  mark(form, form.elements.ref.value);
}

export function show(log, target) {
  const row = target.closest(".card-row[data-seq]");
  if (!row) return acts.remove();
  correct.hidden = row.dataset.by !== own;
  if (acts.parentElement !== row) row.append(acts);
}

function mark(form, ref) { // words about what is restricted are restricted, unless their author says otherwise
  if (ref && document.getElementById(`e-${room}-${ref}`)?.hasAttribute("data-restricted")) form.elements.restricted.checked = true;
}

export function begin(form, {kind, ref}) { // an entry of this kind, which answers or corrects that one
  form.elements.kind.value = kind;
  form.elements.ref.value = ref ?? "";
  form.classList.toggle("answering", ref != null);
  quote(form, ref);
  form.elements.text.focus();
  form.elements.text.dispatchEvent(new Event("input", {bubbles: true})); // kept as a draft
}

export function quote(form, ref) { // what is being answered stands above the text, with a way out
  let line = form.querySelector(".quoting");
  line?.remove();
  const row = ref != null && document.getElementById(`e-${room}-${ref}`);
  if (!row) return;
  mark(form, ref);
  line = document.createElement("p");
  line.className = "quoting";
  const words = document.createElement("span"), away = document.createElement("button"), said = row.querySelector(".text, .sheet-head, .said");
  const who = row.querySelector(".who b")?.textContent ?? "";
  words.textContent = `${who}: ${(said?.innerText ?? "").replace(/\s+/g, " ").trim().slice(0, 120)}`;
  away.type = "button";
  away.className = "btn quiet small";
  away.textContent = "Do not answer it";
  away.addEventListener("click", () => compose("message", null));
  line.append(words, away);
  form.elements.text.before(line);
}
