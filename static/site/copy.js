// A button marked data-copy="ID" puts the text of that element on the clipboard. It shows where there is one to
// write to: without a script, or over plain HTTP, the text is selected and copied by hand.

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  const place = document.getElementById(button.dataset.copy);
  const said = document.getElementById(`${button.dataset.copy}-copied`);
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(place.textContent);
      said.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(place);
      said.textContent = "It is selected: copy it with Ctrl C.";
    }
  });
}
