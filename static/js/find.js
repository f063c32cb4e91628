// Find: shows only those of the loaded rows that hold the words.
const find = document.querySelector(".find"), log = document.querySelector(".log");

function narrow() {
  const words = find.value.toLowerCase();
  for (const row of log.children) row.classList.toggle("unfound", !!words && !row.textContent.toLowerCase().includes(words));
}

find.addEventListener("input", narrow);
document.addEventListener("live:entry", narrow);
narrow(); // what was typed while this was loading
