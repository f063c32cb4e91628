// Composer: sends with an id of its own; what is unanswered is pending, kept, and sent again. Drafts survive everything.
// Kept is what is the member's own; of what tabs share, each writes its part.
import {send} from "./live.js";
const form = document.getElementById("composer"), room = form?.dataset.room, own = document.body.dataset.by;
const text = form?.elements.text, list = document.getElementById("pending-" + room), problem = form?.querySelector(".problem");
const DRAFT = `${room}-${own}-draft`, PENDING = `${room}-${own}-pending`, TYPING_EVERY = 3000, DAY = 864e5;
const read = key => { try { return JSON.parse(localStorage.getItem(key)) ?? [] } catch { return [] } };
const write = (key, list) => { try { list.length ? localStorage.setItem(key, JSON.stringify(list)) : localStorage.removeItem(key) } catch {} };
const uuid = () => crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, "0")).join("");
const gone = new Set(); // answered, as far as this tab knows
let pending = read(PENDING), mine = uuid(), typed = 0, retry;

const kind = () => form.elements.kind.value;
const number = name => { const v = form.elements[name]?.value; return v ? +v : null };

function complain(sentence) {
  problem.textContent = sentence || "";
  problem.hidden = !sentence;
}

const keep = () => write(PENDING, [...read(PENDING).filter(o => !gone.has(o.cid) && !pending.some(p => p.cid === o.cid)), ...pending]);
const draw = async () => { if (pending.length || list.firstChild) (await import("./pending.js")).draw(list, pending, afresh, drop) };

function afresh(p) {
  p.problem = "";
  if (!p.same) { gone.add(p.cid); p.cid = uuid() }
  transmit(p);
  keep();
  draw();
}

function drop(cid) {
  gone.add(cid);
  pending = pending.filter(p => p.cid !== cid);
  keep();
  draw();
}

const transmit = p => send({t: "say", room, cid: p.cid, kind: p.kind, body: p.body, ...(p.ref != null && {ref: p.ref})});
const arrived = () => { for (const p of [...pending]) if (document.querySelector(`.log:not(.pending) [data-cid="${CSS.escape(p.cid)}"][data-by="${own}"]`)) drop(p.cid) };
const again = () => { for (const p of pending) if (!p.problem) transmit(p) };

function saveDraft(free) { // `free` once its page has gone
  const draft = {id: mine, text: text.value, kind: kind(), ref: form.elements.ref.value, restricted: form.elements.restricted.checked, at: Date.now(), free};
  write(DRAFT, [...(draft.text || draft.ref ? [draft] : []), ...read(DRAFT).filter(d => d.id !== mine)].slice(0, 9));
}

function submit() {
  const words = text.value.trim(), ref = number("ref");
  if (form.elements.files.value) return files().then(() => form.requestSubmit(), () => complain("Not sent: there is no connection."));
  if (!words) return complain("Write something, or attach a file.");
  if (new TextEncoder().encode(words).length > 32768) return complain("The text is longer than 32 KiB. Shorten it, or send it in parts.");
  if (kind() === "correction" && ref == null) return complain("Name the number of the entry that you correct."), form.elements.ref.focus();
  const body = {text: words}, comment = kind() === "comment";
  if (comment) for (const end of ["from_segment", "to_segment"]) body[end] = number(end);
  else if (form.elements.restricted.checked) body.restricted = true;
  if (body.to_segment < body.from_segment) return complain("“To” must not lie before “from”.");
  document.dispatchEvent(new CustomEvent("composing", {detail: body})); // files go with it
  const p = {cid: uuid(), kind: kind(), body, ref: comment ? null : ref};
  pending.push(p);
  keep();
  transmit(p);
  complain();
  text.value = "";
  form.elements.ref.value = "";
  form.classList.remove("answering");
  form.querySelector(".quoting")?.remove();
  form.elements.kind.value = "message";
  form.elements.restricted.checked = false;
  write(DRAFT, read(DRAFT).filter(d => d.id !== mine && d.text.trim() !== words));
  draw().then(() => list.lastElementChild?.scrollIntoView({block: "nearest"}));
}

const files = () => import("./files.js");
const acts = () => import("./acts.js");

if (form) {
  const drafts = read(DRAFT), left = drafts.find(d => d.free || d.at < Date.now() - DAY), draft = left ?? drafts[0];
  if (draft && !text.value) {
    text.value = draft.text;
    form.elements.restricted.checked = draft.restricted;
    if ([...form.querySelectorAll("[name=kind]")].some(r => r.value === draft.kind)) form.elements.kind.value = draft.kind;
    if (draft.ref) { form.elements.ref.value = draft.ref; form.classList.add("answering"); acts().then(a => a.quote(form, draft.ref)) }
    if (left) { mine = left.id; saveDraft() }
  }
  const isMine = d => d.id === mine;
  addEventListener("pagehide", () => { if (read(DRAFT).some(isMine)) saveDraft(true) });
  addEventListener("pageshow", e => { if (e.persisted) read(DRAFT).find(isMine)?.free ? saveDraft() : mine = uuid() });
  arrived();
  draw();
  form.addEventListener("submit", e => { e.preventDefault(); submit() });
  text.addEventListener("keydown", e => {
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing && e.keyCode !== 229) { e.preventDefault(); submit() }
    if (e.key === "/" && !text.value && !e.isComposing) { e.preventDefault(); import("./shortcuts.js").then(keys => keys.more()) }
  });
  form.addEventListener("input", e => {
    if (e.target.name === "kind") acts().then(a => a.chosen(form));
    saveDraft();
    if (e.target === text && text.value && Date.now() - typed > TYPING_EVERY && send({t: "typing", room})) typed = Date.now();
  });
  document.addEventListener("compose", e => acts().then(a => a.begin(form, e.detail)));
  for (const kind of ["focusin", "dragenter", "change"]) document.addEventListener(kind, files, {once: true});
  addEventListener("load", () => import("./pending.js")); // not when the line is cut
  if (read(`${room}-${own}-files`).length) files();
  document.addEventListener("live:joined", again);
  document.addEventListener("live:state", draw);
  document.addEventListener("live:entry", arrived);
  document.addEventListener("live:ok", e => {
    const p = pending.find(p => p.cid === e.detail.cid);
    if (!p) return;
    // its row comes by the same socket, or is here already
    setTimeout(() => drop(p.cid), document.getElementById(`e-${room}-${e.detail.seq}`) ? 0 : 3000);
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
