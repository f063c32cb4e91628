// Forms: the composer's forms in the panel above the text, or on a page of their own. What is typed is kept in this
// browser until it was sent (never a secret); what is refused comes back beside its field, and nothing is lost when the
// session or the connection is.
import {read, write} from "./kept.js";
const body = document.body, room = body.dataset.room, panel = document.getElementById("panel"), composer = document.getElementById("composer");
const PART = {"HX-Request": "true", Accept: "text/html"};
const keyOf = (kind, ref) => `${room}-${body.dataset.by}-form-${kind}${ref ? "-" + ref : ""}`;
const formKey = form => keyOf(form.dataset.kind, form.elements.ref?.value);
let busy = false, files; // the module that sends files, once there are some

const SECRET = "secret"; // the field that is kept nowhere
const words = form => [...new FormData(form)].filter(([name, value]) => typeof value === "string" && name !== "attached" && name !== SECRET);
const shown = () => document.getElementById("compose");

function say(form, ...told) {
  const line = form.querySelector(".problem[role=alert]");
  line.replaceChildren(...told);
  line.hidden = !told.length;
  line.scrollIntoView({block: "nearest"});
}

async function part(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const sheet = template.content.querySelector("link"), form = template.content.querySelector("form");
  sheet?.remove();
  if (sheet && !document.querySelector(`link[href="${sheet.getAttribute("href")}"]`)) { // its style first: nothing jumps
    const there = new Promise(done => { sheet.onload = sheet.onerror = done });
    document.head.append(sheet);
    await there;
  }
  return form;
}

function over(form) { // the session is; the form stays as it is
  const link = Object.assign(document.createElement("a"), {href: "/sign-in", target: "_blank", textContent: "Sign in in another tab"});
  say(form, "Your session is over. ", link, ", then send this again. Nothing that you typed is lost.");
}

function leaves(form) { // a secret that was typed is dropped only when asked twice
  const secret = form.elements[SECRET];
  if (!secret?.value || "asked" in form.dataset) return true;
  say(form, "The secret is kept nowhere. Close the form once more to drop it; the rest stays in this browser.");
  form.dataset.asked = "";
  secret.focus();
}

export async function open(href) {
  if (panel && shown() && !leaves(shown())) return;
  for (const menu of document.querySelectorAll(".menu[open]")) menu.open = false;
  const url = new URL(href), key = keyOf(url.pathname.split("/").pop(), url.searchParams.get("ref")), kept = read(key);
  let answer;
  if (kept) {
    const data = new URLSearchParams(kept.filter(([name]) => name !== "show"));
    data.set("show", "1");
    answer = await fetch(url.pathname, {method: "POST", body: data, headers: PART}).catch(() => null);
  }
  if (!answer?.ok) answer = await fetch(href, {headers: PART}).catch(() => null);
  const form = answer?.ok ? await part(await answer.text()) : null;
  if (!form) return location.assign(href); // the page itself says why
  give_back();
  panel.replaceChildren(form);
  composer.hidden = true;
  ready(form);
  if (kept) remind(form, href, key);
  (form.querySelector(".parts :is(input, textarea, select):not([type=hidden])") ?? form).focus();
}

function remind(form, href, key) {
  const line = document.createElement("p"), anew = document.createElement("button");
  line.className = "kept-note";
  anew.type = "button";
  anew.className = "btn small";
  anew.textContent = "Begin anew";
  anew.addEventListener("click", () => { write(key); panel ? open(href) : location.assign(href) });
  line.append("This is what you typed before. ", anew);
  form.querySelector(".compose-body").prepend(line);
}

function shut() {
  panel.replaceChildren();
  composer.hidden = false;
  document.getElementById("text").focus();
}

function ready(form) {
  const input = form.elements.files;
  if (input && composer) input.addEventListener("change", async () => { // with progress, and resumed after a lost connection
    const chosen = [...input.files];
    input.value = "";
    await attach(form);
    files.take(chosen);
  });
  if (composer?.querySelector(".chips li")) attach(form);
}

async function attach(form) {
  files = await import("./files.js");
  const chips = document.querySelector(".chips");
  if (chips) form.querySelector(".attaching")?.append(chips);
}

function give_back() { // the chips belong to the composer again
  const chips = shown()?.querySelector(".chips");
  if (chips) composer.elements.text.before(chips);
}

function replace(old, form, submitter) {
  const scrolled = old.querySelector(".compose-body").scrollTop, added = submitter?.name === "add" && submitter.value;
  if (form.elements[SECRET] && old.elements[SECRET]) form.elements[SECRET].value = old.elements[SECRET].value;
  give_back();
  old.replaceWith(form);
  ready(form);
  form.querySelector(".compose-body").scrollTop = scrolled;
  const rows = added && form.querySelectorAll(`.rows-of.${CSS.escape(added)} .row-of`);
  const next = rows ? rows[rows.length - 1].querySelector("input:not([type=hidden])") : form.querySelector("[aria-invalid=true]");
  (next ?? form.querySelector(".rows-of [name=add]") ?? form.querySelector(".compose-foot .btn")).focus();
}

function done(form, told) {
  write(formKey(form));
  if (!panel || !document.getElementById("live")) return location.assign(`/rooms/${room}#e-${room}-${told.seq}`);
  if (document.documentElement.dataset.live === "dead") return location.reload(); // signed in again: the page goes on
  give_back();
  shut();
}

async function send(form, submitter) {
  const sends = submitter?.name !== "add" && submitter?.name !== "remove", data = new FormData(form, submitter), told = {};
  if (sends && files?.arriving?.()) return say(form, "A file is still on its way. What you typed stays here; send it when the file is there.");
  if (sends && form.querySelector(".chips li")) document.dispatchEvent(new CustomEvent("composing", {detail: told}));
  if (told.files) data.set("attached", JSON.stringify(told.files));
  const answer = await fetch(form.action, {method: "POST", body: data, headers: PART}).catch(() => null);
  const back = () => { if (told.files) files.restore(told.files) };
  if (answer?.status === 201) return done(form, await answer.json());
  if (answer?.status === 401) return back(), over(form);
  if (!answer) return back(), say(form, "Not sent: there is no connection. It is all kept here; send it again when you are back.");
  const next = answer.headers.get("content-type")?.startsWith("text/html") ? await part(await answer.text()) : null;
  if (!next) return back(), say(form, "This could not be sent. It is all kept here; try again in a moment.");
  replace(form, next, submitter);
  back();
}

document.addEventListener("submit", async e => {
  const form = e.target;
  if (form.id !== "compose") return;
  e.preventDefault();
  if (busy) return; // a double click sends once
  busy = true;
  form.classList.add("busy");
  say(form);
  await send(form, e.submitter).finally(() => { busy = false; form.classList.remove("busy") });
});
document.addEventListener("live:over", e => { if (shown()) { e.preventDefault(); over(shown()) } });
document.addEventListener("input", e => {
  const form = e.target.form;
  if (form?.id !== "compose") return;
  delete form.dataset.asked;
  write(formKey(form), words(form));
});
document.addEventListener("click", e => {
  if (!e.target.closest?.("[data-shut]")) return;
  if (!leaves(shown())) e.preventDefault();
  else if (panel) { e.preventDefault(); give_back(); shut() }
});
document.addEventListener("keydown", e => {
  if (e.key === "Escape" && panel && e.target.closest?.("#compose") && !e.isComposing && leaves(shown())) { give_back(); shut() }
});

if (!panel && shown()) { // a page of its own: what was typed before comes back here, too
  const form = shown(), key = formKey(form), kept = read(key);
  ready(form);
  if (kept && !form.querySelector("[aria-invalid=true]")) {
    const data = new URLSearchParams(kept);
    data.set("show", "1");
    fetch(form.action, {method: "POST", body: data, headers: PART}).then(async answer => {
      const next = answer.ok && await part(await answer.text());
      if (next) { replace(form, next); remind(next, location.href, key) }
    }).catch(() => 0);
  }
}
