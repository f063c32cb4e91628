// Drafts: a form with `data-draft="key"` is kept in this browser while one types (never passwords, codes, files or hidden
// fields), comes back when it is opened again as it was before, and is dropped once it was sent. Further words of the
// attribute are drafts of forms before it, which live until this one was sent. A form is sent only over a connection
// that is there. The composer's own forms are kept by forms.js.
import {read, write} from "./kept.js";
const NEVER = /password|present|secret|code|token/i, SENT = "draft-sent", TAB = "sessionStorage", WAIT_MS = 8000;
const forms = [...document.querySelectorAll("form[data-draft]")];
const keysOf = form => form.dataset.draft.split(" ").map(word => "kept-" + word);
const pathOf = address => { try { return new URL(address, location.href).pathname } catch { return "" } };

const ticks = e => e.type === "checkbox" || e.type === "radio";
const fields = form => [...form.elements].filter(e => e.name && !NEVER.test(e.name) && e.matches("input, textarea, select") && !e.matches("[type=hidden], [type=password], [type=file], [hidden]"));
const typed = form => fields(form).map(e => ticks(e) ? e.checked : e.value);
const given = form => fields(form).map(e => ticks(e) ? e.defaultChecked : e.options ? ([...e.options].find(o => o.defaultSelected) ?? e.options[0])?.value : e.defaultValue);
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// What became of a form that was sent: this page is its answer, or the page after it was.
function settle() {
  const sent = read(SENT, TAB), [visit] = performance.getEntriesByType("navigation");
  if (!sent || visit?.type === "reload") return;
  const again = forms.some(form => keysOf(form).some(key => sent.keys.includes(key)));
  const open = [...document.forms].some(form => form.method === "post" && pathOf(form.action) === sent.path);
  const refused = visit?.responseStatus >= 400 || !document.querySelector("form[action='/sign-out']") || !visit?.redirectCount && (again || open);
  if (visit?.type === "back_forward") return write(SENT, null, TAB);
  if (pathOf(document.referrer) === sent.from && document.referrer) {
    if (refused) return write(SENT, again ? null : {...sent, from: location.pathname, waits: true}, TAB);
  } else if (sent.waits) return;
  for (const key of sent.keys) write(key);
  write(SENT, null, TAB);
}

function put(form, values) {
  fields(form).forEach((e, n) => { if (ticks(e)) e.checked = values[n]; else e.value = values[n] });
  for (let d = form.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
}

function button(label, act) {
  const made = Object.assign(document.createElement("button"), {type: "button", className: "btn small", textContent: label});
  made.addEventListener("click", act);
  return made;
}

function restore(form) {
  const [key] = keysOf(form), kept = read(key), before = given(form);
  if (!kept || !before.length || kept.fields.length !== before.length || same(kept.fields, typed(form)) || form.querySelector("[aria-invalid=true], .problem:not([hidden])")) return;
  const note = document.createElement("p"), discard = button("Discard it", () => {
    write(key);
    put(form, before);
    note.remove();
    fields(form)[0]?.focus();
  });
  note.className = "kept-note";
  note.setAttribute("role", "status");
  if (same(kept.given, before)) {
    put(form, kept.fields);
    note.append("Kept from before: you typed this here and did not send it. ", discard);
  } else note.append("You typed something here before, and the form has changed since. ", button("Show it", () => {
    put(form, kept.fields);
    note.replaceChildren("Kept from before. ", discard);
  }), discard);
  form.prepend(note);
}

function keep(form) {
  const [key] = keysOf(form), now = typed(form), before = read(key)?.given ?? given(form);
  if (now.length) write(key, same(now, before) ? null : {given: before, fields: now});
}

function say(form, button, sentence) {
  let line = form.querySelector(".not-sent");
  if (!line) {
    line = Object.assign(document.createElement("span"), {className: "problem not-sent"});
    line.setAttribute("role", "alert");
    (button?.parentElement ?? form).append(line);
  }
  line.textContent = sentence;
  line.hidden = !sentence;
}

async function send(form, button) {
  const path = pathOf(button?.hasAttribute("formaction") ? button.formAction : form.action);
  keep(form);
  say(form, button, "");
  if (!await fetch("/healthz", {cache: "no-store", signal: AbortSignal.timeout(WAIT_MS)}).catch(() => null))
    return say(form, button, "Not sent: there is no connection. What you typed is kept here; send it again when you are back.");
  write(SENT, {keys: keysOf(form), path, from: location.pathname}, TAB);
  form.dataset.goes = "";
  form.requestSubmit(button);
  delete form.dataset.goes;
}

settle();
for (const form of forms) {
  restore(form);
  for (const kind of ["input", "change"]) form.addEventListener(kind, () => keep(form));
  form.addEventListener("submit", e => {
    if ("goes" in form.dataset) return;
    e.preventDefault();
    if (form.classList.contains("busy")) return; // a double click sends once
    form.classList.add("busy");
    send(form, e.submitter).finally(() => form.classList.remove("busy"));
  });
}
addEventListener("pageshow", e => { if (e.persisted) for (const form of forms) form.classList.remove("busy") });
