// Sends a form marked data-part="ID" in the background and puts the answer into the element of that ID.
// Without this script, or when the answer is a page of its own, the form is sent as any other.

document.addEventListener("submit", (event) => {
  if (!event.target.dataset.part) return;
  event.preventDefault();
  send(event.target, event.submitter);
});

async function send(form, submitter) {
  const place = document.getElementById(form.dataset.part);
  place.hidden = false;
  place.setAttribute("aria-busy", "true");
  if (!place.textContent.trim()) place.textContent = "Reading …";
  const body = new FormData(form, submitter);
  let response;
  try {
    response = await fetch(form.action, { method: "POST", body, headers: { "X-Part": form.dataset.part, Accept: "text/html" } });
  } catch {
    fail(place, "No connection. Nothing was charged; try again.");
    return;
  }
  const text = await response.text();
  if (response.redirected) {
    location.assign(response.url);
    return;
  }
  place.removeAttribute("aria-busy");
  const page = new DOMParser().parseFromString(text, "text/html");
  const whole = page.querySelector("main"); // an error page: its content says what to do
  place.replaceChildren(...(whole ?? page.body).childNodes);
  place.focus();
  form.dispatchEvent(new CustomEvent("answered", { detail: place }));
}

function fail(place, message) {
  place.removeAttribute("aria-busy");
  const line = document.createElement("p");
  line.className = "problem";
  line.setAttribute("role", "alert");
  line.textContent = message;
  place.replaceChildren(line);
}
