// The playground: a picture that is dropped or pasted goes into the file field, so that the form sends it as
// if it had been chosen; errors of the answer go to their fields. It works without this script too.

const form = document.getElementById("playground");
const field = form.elements.image;
const drop = document.getElementById("drop");
const preview = document.getElementById("preview");
const problem = document.getElementById("problem");

field.addEventListener("change", showPreview);

document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
  if (!file) return; // text goes into whatever field has the focus
  event.preventDefault();
  take(file);
});

for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
}

preview.addEventListener("load", () => (preview.hidden = false));
preview.addEventListener("error", () => (preview.hidden = true)); // such as a TIFF: what it is, the answer says

form.addEventListener("submit", () => {
  problem.hidden = true;
  for (const place of form.querySelectorAll("[id^=error-]")) place.replaceChildren();
  for (const one of form.querySelectorAll("[aria-invalid]")) one.removeAttribute("aria-invalid");
});

form.addEventListener("answered", (event) => {
  const answer = event.detail;
  for (const errors of answer.querySelectorAll("[data-error-for]")) {
    const name = errors.dataset.errorFor;
    document.getElementById(`error-${name}`).replaceChildren(...errors.childNodes);
    const wrong = form.elements[name];
    wrong.setAttribute("aria-invalid", "true");
    wrong.setAttribute("aria-errormessage", `error-${name}`);
    wrong.closest("details")?.setAttribute("open", "");
  }
  const refused = answer.querySelector("[data-refused]");
  if (refused) { // said above the fields that it is about, and not below them all
    problem.textContent = refused.textContent;
    problem.hidden = false;
    answer.hidden = true;
  }
  form.querySelector("[aria-invalid]")?.focus();
  const balance = answer.querySelector("[data-balance]");
  if (balance) document.getElementById("balance").textContent = balance.dataset.balance;
});

function take(file) {
  const carrier = new DataTransfer();
  carrier.items.add(file);
  field.files = carrier.files;
  showPreview();
  form.querySelector("button.main").focus();
}

function showPreview() {
  preview.hidden = true;
  const file = field.files[0];
  if (!file) return;
  const reader = new FileReader(); // the policy allows data: and no blob:
  reader.addEventListener("load", () => {
    preview.src = reader.result;
  });
  reader.readAsDataURL(file);
}
