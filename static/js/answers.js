// Answers: one click, without a new page. How the matter stands then arrives by the socket; a refusal is told beside the
// button, and what somebody else has answered in the meantime arrives as well.
const LATE = 4000; // ms: if the state has not arrived by then, the page is loaded anew

function say(form, ...words) {
  const acts = form.closest(".m-acts"), line = acts.parentElement.querySelector(".problem") ?? document.createElement("p");
  line.className = "problem";
  line.role = "alert";
  line.replaceChildren(...words);
  acts.after(line);
}

const uuid = () => crypto.randomUUID?.() ?? String(Math.random()).slice(2) + Date.now();

export async function send(form) {
  const acts = form.closest(".m-acts"), matter = form.closest(".matter");
  if (acts.dataset.busy) return; // a double click sends once
  acts.dataset.busy = "";
  const data = new URLSearchParams(new FormData(form));
  data.set("cid", form.dataset.cid ??= uuid()); // and so does a second try
  const answer = await fetch(form.action, {method: "POST", body: data, headers: {Accept: "application/json"}}).catch(() => null);
  if (answer?.ok) {
    if (!document.getElementById("live")) return location.reload();
    return setTimeout(() => { if (acts.isConnected && matter.classList.contains("open")) location.reload() }, LATE);
  }
  delete acts.dataset.busy;
  if (!answer) return say(form, "Not sent: there is no connection. Try again when you are back.");
  if (answer.status === 401) {
    const link = Object.assign(document.createElement("a"), {href: "/sign-in", target: "_blank", textContent: "Sign in in another tab"});
    return say(form, "Your session is over. ", link, ", then answer again here.");
  }
  const told = await answer.json().catch(() => null);
  say(form, told?.error?.message ?? "This could not be sent. Try again in a moment.");
}
