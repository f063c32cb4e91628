// Files: dropped onto the timeline, pasted into the text or chosen, several at once. Each is a chip in the composer with
// its progress; it pauses when the connection is lost and goes on by itself, and goes with the next entry once whole.
// Loaded when first needed. Chips survive a reload; a file that was not whole by then has to be chosen again.
const form = document.getElementById("composer"), room = form.dataset.room, KEY = `${room}-${document.body.dataset.by}-files`;
const input = form.elements.files, text = form.elements.text, problem = form.querySelector(".problem");
const list = form.querySelector(".chips") ?? document.createElement("ul"), AT_ONCE = 3, MIB = 1 << 20, BYTES_MAX = 50 * MIB;
const WAITS = [500, 1000, 2000, 4000, 8000]; // ms before the next try
const UNITS = ["bytes", "KiB", "MiB"];
let chips = [];

list.className = "chips";
list.setAttribute("aria-label", "Files that go with this entry");
if (!list.isConnected) text.before(list);

const read = () => { try { return JSON.parse(localStorage.getItem(KEY)) ?? [] } catch { return [] } };
const idOf = c => c.address ?? c.ref.sha256 + c.ref.name, held = new Set(); // held: this tab's, now or before
const keep = () => { // what another tab keeps stays
  const own = chips.filter(c => (c.ref || c.address) && c.state !== "failed").map(({name, size, address, ref, restricted, last}) => ({name, size, address, ref, restricted, last}));
  for (const c of own) held.add(idOf(c));
  const kept = [...read().filter(c => !held.has(idOf(c))), ...own];
  try { kept.length ? localStorage.setItem(KEY, JSON.stringify(kept)) : localStorage.removeItem(KEY) } catch {}
};
const sized = n => { let u = 0; while (n >= 1024 && u < 2) { n /= 1024; u++ } return `${n < 10 && u ? n.toFixed(1).replace(".0", "") : Math.round(n)} ${UNITS[u]}` };
const say = words => { problem.textContent = words; problem.hidden = !words };
const b64 = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

function element(tag, words, className) {
  const e = document.createElement(tag);
  if (words) e.textContent = words;
  if (className) e.className = className;
  return e;
}

function button(words, act) {
  const b = element("button", words, "btn small quiet");
  b.type = "button";
  b.addEventListener("click", act);
  return b;
}

function draw(chip) {
  const row = chip.row ?? (chip.row = element("li")), end = element("span", "", "end"), bar = element("progress");
  const parts = [element("b", chip.name), element("small", sized(chip.size)), end];
  if (chip.ref) {
    const label = element("label", "", "small"), box = element("input");
    box.type = "checkbox";
    box.checked = !!chip.restricted;
    box.addEventListener("change", () => { chip.restricted = box.checked; keep() });
    label.append(box, " restricted");
    label.title = "Nothing of it leaves this workroom, and each download is logged";
    end.append(label);
  } else if (chip.state === "failed") {
    parts.push(element("span", chip.why, "why"));
    if (!chip.never) end.append(chip.file ? button("Try again", () => { chip.state = ""; start(chip) }) : button("Choose it again", () => input.click()));
  } else {
    bar.max = Math.max(chip.size, 1);
    bar.value = chip.sent ?? 0;
    bar.setAttribute("aria-label", `${chip.name}, uploading`);
    chip.bar = bar;
    parts.splice(2, 0, bar, element("small", chip.state === "paused" ? "paused: no connection" : chip.state === "queued" ? "waiting" : "", "mute"));
  }
  const away = button("Remove", () => remove(chip));
  away.setAttribute("aria-label", `Remove ${chip.name}`);
  end.append(away);
  row.replaceChildren(...parts);
  if (!row.isConnected) list.append(row);
}

function progress(chip, sent) {
  chip.sent = sent;
  if (chip.bar) chip.bar.value = sent;
}

function remove(chip) {
  chip.gone = true;
  chip.request?.abort();
  chip.row.remove();
  chips = chips.filter(c => c !== chip);
  keep();
  if (chip.address) fetch(chip.address, {method: "DELETE"}).catch(() => 0);
  next();
  text.focus();
}

function fail(chip, why) {
  chip.state = "failed";
  chip.why = why;
  draw(chip);
  keep();
  next();
}

const told = async answer => (await answer.json().catch(() => null))?.error?.message ?? "The server did not take it. Try again in a moment.";
const online = () => navigator.onLine ? Promise.resolve() : new Promise(done => addEventListener("online", done, {once: true}));

async function call(address, options) { // an answer, or null where there was no connection
  const answer = await fetch(address, {...options, headers: {Accept: "application/json", ...options?.headers}}).catch(() => null);
  return answer && answer.status >= 502 ? null : answer;
}

async function announce(chip) {
  const announced = {name: chip.name, bytes: chip.size};
  if (crypto.subtle) announced.sha256 = b64(await crypto.subtle.digest("SHA-256", await chip.file.arrayBuffer()));
  const answer = await call(`/rooms/${room}/uploads`, {method: "POST", body: JSON.stringify(announced), headers: {"Content-Type": "application/json"}});
  if (answer?.status === 401) return location.assign("/sign-in?next=" + encodeURIComponent(location.pathname)), false;
  if (answer && !answer.ok) return fail(chip, await told(answer)), false;
  if (!answer) return null;
  arrived(chip, await answer.json());
  return true;
}

function arrived(chip, upload) {
  chip.address = upload.address;
  chip.name = upload.name;
  progress(chip, upload.received);
  if (upload.file) chip.ref = upload.file;
  keep();
}

function send(chip) { // XMLHttpRequest, because fetch tells no progress of what it sends
  return new Promise(done => {
    const request = chip.request = new XMLHttpRequest(), from = chip.sent;
    request.open("PATCH", chip.address);
    request.setRequestHeader("Upload-Offset", from);
    request.setRequestHeader("Content-Type", "application/partial-upload");
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", e => { if (chip.request === request) progress(chip, from + e.loaded) });
    request.addEventListener("loadend", () => { chip.request = null; done(request) });
    request.send(chip.file.slice(from));
  });
}

async function transfer(chip) { // true when whole, false when it failed for good, null to go on
  if (!chip.address) return announce(chip).then(ok => ok && chip.ref ? true : ok === false ? false : null);
  const where = await call(chip.address);
  if (!where) return null;
  if (where.status === 404) { chip.address = null; return null }
  if (!where.ok) return fail(chip, await told(where)), false;
  arrived(chip, await where.json());
  if (chip.ref) return true;
  const request = await send(chip);
  if (chip.gone) return false;
  if (request.status === 200) { arrived(chip, JSON.parse(request.responseText)); return chip.ref ? true : null }
  if (!request.status || request.status === 409 || request.status >= 500) return null;
  let why;
  try { why = JSON.parse(request.responseText).error.message } catch {}
  chip.address = null;
  return fail(chip, why ?? "The server did not take it."), false;
}

async function start(chip) {
  if (chips.filter(c => c.state === "sending" || c.state === "paused").length >= AT_ONCE) { chip.state = "queued"; return draw(chip) }
  chip.state = "sending";
  draw(chip);
  for (let tries = 0; !chip.gone; tries++) {
    const before = chip.sent, whole = await transfer(chip);
    if (chip.gone || whole === false) return;
    if (whole) { chip.state = "ready"; say(""); draw(chip); return next() }
    if (chip.sent > before) tries = 0;
    if (tries || !navigator.onLine) { chip.state = "paused"; draw(chip) }
    await Promise.all([online(), tries && new Promise(done => setTimeout(done, WAITS[Math.min(tries - 1, WAITS.length - 1)]))]);
    if (chip.state === "paused") { chip.state = "sending"; draw(chip) }
  }
}

function next() {
  const waiting = chips.find(c => c.state === "queued");
  if (waiting) start(waiting);
}

export function take(files) {
  for (const file of files) {
    const lost = chips.find(c => c.state === "failed" && !c.file && c.size === file.size && c.last === file.lastModified);
    const chip = lost ?? {name: file.name, size: file.size, last: file.lastModified, sent: 0};
    if (!lost) chips.push(chip);
    Object.assign(chip, {file, state: "", why: ""});
    chip.never = file.size > BYTES_MAX;
    if (chip.never) fail(chip, `This file has ${sized(file.size)}. A file may have 50 MiB; split it.`);
    else start(chip);
  }
}

export const arriving = () => chips.some(c => !c.ref); // not whole yet, or failed

export function restore(refs) { // of an entry that was taken back
  for (const {restricted, ...ref} of refs) {
    const chip = {name: ref.name, size: ref.bytes, ref, restricted, state: "ready"};
    chips.push(chip);
    draw(chip);
  }
  keep();
}

// What was there before a reload: whole ones are ready, others go on once the same file is chosen again.
for (const kept of read()) {
  const chip = {...kept, sent: 0, state: kept.ref ? "ready" : "failed", why: "Choose this file again, and its upload goes on where it was."};
  chips.push(chip);
  held.add(idOf(chip));
  draw(chip);
}

function check(e) { // before the composer sends: everything must be whole
  const waiting = chips.filter(c => !c.ref);
  if (!chips.length) return;
  if (waiting.length) {
    e.preventDefault();
    e.stopImmediatePropagation();
    return say(waiting.some(c => c.state === "failed") ? "A file did not arrive. Try it again, or remove it; then send." : "A file is still on its way. Your text stays here; send when it is done.");
  }
  if (form.elements.kind.value === "comment") {
    e.preventDefault();
    e.stopImmediatePropagation();
    return say("A comment on time takes no files. Choose another kind, or remove them.");
  }
  if (!text.value.trim()) text.value = chips.length > 1 ? `See the ${chips.length} attached files.` : "See the attached file.";
}
document.addEventListener("submit", e => { if (e.target === form) check(e) }, true);
document.addEventListener("keydown", e => {
  if (e.target === text && e.key === "Enter" && !e.shiftKey && !e.isComposing && e.keyCode !== 229) check(e);
}, true);
document.addEventListener("composing", e => { // the body that is sent: the files go with it
  if (!chips.length) return;
  e.detail.files = chips.map(c => c.restricted ? {...c.ref, restricted: true} : c.ref);
  for (const chip of chips) chip.row.remove();
  chips = [];
  keep();
});

const chosen = () => { const files = [...input.files]; input.value = ""; take(files) };
input.addEventListener("change", chosen);
if (input.files.length) chosen(); // chosen while this was loading
text.addEventListener("paste", e => {
  if (!e.clipboardData.files.length) return;
  if (!e.clipboardData.types.includes("text/plain")) e.preventDefault();
  take([...e.clipboardData.files]);
});

const stream = form.closest(".stream") ?? form, holds = e => e.dataTransfer?.types.includes("Files");
addEventListener("dragover", e => { if (holds(e)) { e.preventDefault(); stream.classList.toggle("dropping", stream.contains(e.target)) } });
addEventListener("dragleave", e => { if (!e.relatedTarget) stream.classList.remove("dropping") });
addEventListener("drop", e => {
  if (!holds(e)) return;
  e.preventDefault(); // a file dropped beside the timeline must not replace the page
  stream.classList.remove("dropping");
  if (stream.contains(e.target)) { take([...e.dataTransfer.files]); text.focus() }
});
