// Failed: what can be done with an entry that was refused: send it again, or take its words and files back.
const form = document.getElementById("composer"), text = form.elements.text;

export function acts(p, again, drop) {
  const acts = document.createElement("div");
  acts.className = "acts";
  const back = async () => {
    drop();
    text.value = [p.body.text, text.value].filter(Boolean).join("\n\n");
    if (p.body.restricted) form.elements.restricted.checked = true;
    text.dispatchEvent(new Event("input", {bubbles: true})); // kept as a draft
    if (p.body.files) (await import("./files.js")).restore(p.body.files);
    text.focus();
  };
  for (const [name, act] of [["Try again", again], ["Take it back", back]]) {
    const b = document.createElement("button");
    b.type = "button";
    b.className = "btn small";
    b.textContent = name;
    b.addEventListener("click", act);
    acts.append(b);
  }
  return acts;
}
