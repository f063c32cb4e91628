// Composer: sends with an id of its own, shows the text as pending until its entry arrives, and keeps what is
// unanswered, to be sent again after a reconnect or a reload. Drafts survive everything.
import {send} from "./live.js";
const form = document.getElementById("composer"), room = form?.dataset.room, own = document.body.dataset.by;
const text = form?.elements.text, list = document.getElementById("pending-" + room), problem = form?.querySelector(".problem");
const DRAFT = "draft-" + room, PENDING = "pending-" + room, TYPING_EVERY = 3000;
const read = (key, other) => { try { return JSON.parse(localStorage.getItem(key)) ?? other } catch { return other } };
const write = (key, value) => { try { value == null ? localStorage.removeItem(key) : localStorage.setItem(key, JSON.stringify(value)) } catch {} };
let pending = read(PENDING, []), typed = 0, retry;

const kind = () => form.elements.kind.value;
const number = name => { const v = form.elements[name]?.value; return v ? +v : null };
const uuid = () => crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, "0")).join("");

function complain(sentence) {
  problem.textContent = sentence || "";
  problem.hidden = !sentence;
}

function keep() { write(PENDING, pending.length ? pending : null) }

function draw() {
  list.replaceChildren(...pending.map(p => {
    const row = document.createElement("li"), c = document.createElement("div"), said = document.createElement("div"), state = document.createElement("p");
    row.className = "e card-row" + (p.problem ? " failed" : "");
    row.dataset.cid = p.cid;
    const av = document.createElement("span");
    av.className = "av " + (document.querySelector(`.who [data-by="${own}"]`)?.className.match(/h\d/)?.[0] ?? "");
    av.textContent = document.querySelector(`.who [data-by="${own}"] [aria-hidden]`)?.textContent ?? "";
    av.ariaHidden = "true";
    said.className = "text";
    said.textContent = p.body.text;
    c.className = "c";
    state.className = "state";
    state.textContent = p.problem || (document.documentElement.dataset.live === "on" ? "Sending…" : "Kept here, sent as soon as the connection is back");
    c.append(said, state);
    if (p.problem) import("./failed.js").then(m => c.append(m.acts(p, () => { p.problem = ""; if (!p.same) p.cid = uuid(); transmit(p); keep(); draw() }, () => drop(p.cid))));
    row.append(av, c);
    return row;
  }));
}

function drop(cid) {
  const before = pending.length;
  pending = pending.filter(p => p.cid !== cid);
  if (pending.length !== before) { keep(); draw() }
}

const transmit = p => send({t: "say", room, cid: p.cid, kind: p.kind, body: p.body, ...(p.ref != null && {ref: p.ref})});
const arrived = () => { for (const p of [...pending]) if (document.querySelector(`.log:not(.pending) [data-cid="${CSS.escape(p.cid)}"][data-by="${own}"]`)) drop(p.cid) };
const again = () => { for (const p of pending) if (!p.problem) transmit(p) };
const saveDraft = () => write(DRAFT, text.value || form.elements.ref?.value ? {text: text.value, kind: kind(), ref: form.elements.ref?.value, restricted: form.elements.restricted.checked} : null);

function bodyOf(words) {
  const body = {text: words};
  if (kind() === "comment") {
    body.from_segment = number("from_segment");
    body.to_segment = number("to_segment");
    if (body.to_segment < body.from_segment) return complain("“To” must not lie before “from”."), null;
  } else if (form.elements.restricted.checked) body.restricted = true;
  return body;
}

function submit() {
  const words = text.value.trim(), ref = number("ref");
  if (!words) return;
  if (new TextEncoder().encode(words).length > 32768) return complain("The text is longer than 32 KiB. Shorten it, or send it in parts.");
  if (kind() === "correction" && ref == null) return complain("Name the number of the entry that you correct."), form.elements.ref.focus();
  const body = bodyOf(words);
  if (!body) return;
  document.dispatchEvent(new CustomEvent("composing", {detail: body})); // files go with it
  const p = {cid: uuid(), kind: kind(), body, ref: kind() === "comment" ? null : ref};
  pending.push(p);
  keep();
  transmit(p);
  complain();
  text.value = "";
  if (form.elements.ref) form.elements.ref.value = "";
  if (form.classList.contains("answering")) compose({kind: "message"});
  form.elements.kind.value = "message";
  form.elements.restricted.checked = false;
  write(DRAFT, null);
  draw();
  list.lastElementChild?.scrollIntoView({block: "nearest"});
}

const quote = ref => import("./acts.js").then(acts => acts.quote(form, ref));

function compose({kind, ref}) {
  form.elements.kind.value = kind;
  form.elements.ref.value = ref ?? "";
  form.classList.toggle("answering", ref != null);
  quote(ref).then(saveDraft);
  text.focus();
}

if (form) {
  const draft = read(DRAFT);
  if (draft && !text.value) {
    text.value = draft.text ?? "";
    form.elements.restricted.checked = draft.restricted;
    if ([...form.querySelectorAll("[name=kind]")].some(r => r.value === draft.kind)) form.elements.kind.value = draft.kind;
    if (draft.ref) { form.elements.ref.value = draft.ref; form.classList.add("answering"); quote(draft.ref) }
  }
  arrived();
  draw();
  form.addEventListener("submit", e => { e.preventDefault(); submit() });
  text.addEventListener("keydown", e => {
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing && e.keyCode !== 229) { e.preventDefault(); submit() }
    if (e.key === "/" && !text.value && !e.isComposing) { e.preventDefault(); import("./shortcuts.js").then(keys => keys.more()) }
  });
  form.addEventListener("input", e => {
    if (e.target.name === "kind") import("./acts.js").then(acts => acts.chosen(form));
    saveDraft();
    if (e.target === text && text.value && Date.now() - typed > TYPING_EVERY && send({t: "typing", room})) typed = Date.now();
  });
  document.addEventListener("compose", e => compose(e.detail));
  const files = () => import("./files.js");
  for (const kind of ["focusin", "dragenter"]) document.addEventListener(kind, files, {once: true});
  if (read("files-" + room)) files();
  document.addEventListener("live:joined", again);
  document.addEventListener("live:state", draw);
  document.addEventListener("live:entry", arrived);
  document.addEventListener("live:ok", e => {
    const p = pending.find(p => p.cid === e.detail.cid);
    if (!p) return;
    // The row comes by the same socket; one that is on the page, or older than it, is here already.
    if (!document.getElementById(`e-${room}-${e.detail.seq}`)) setTimeout(() => drop(p.cid), 3000);
    else drop(p.cid);
  });
  document.addEventListener("live:error", e => {
    const p = pending.find(p => p.cid === e.detail.cid);
    if (!p) return complain(e.detail.message);
    if (e.detail.temporary) { clearTimeout(retry); retry = setTimeout(again, 2000 + Math.random() * 2000); return }
    p.problem = e.detail.message;
    p.same = e.detail.code !== "conflict";
    keep();
    draw();
  });
}
