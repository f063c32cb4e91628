// A button that copies the text of an element: `data-copy` names it. Hidden where it cannot work.
for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy)
  const told = document.getElementById("copied")
  button.hidden = !navigator.clipboard
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent.replace(/^\n/, ""))
      if (told) told.textContent = "Copied"
    } catch {
      getSelection().selectAllChildren(source)
      if (told) told.textContent = "Press Ctrl+C to copy"
    }
  })
}
