// Drop a folder, files or a zip: sent a few at a time, so that the bar moves and a broken connection costs little.

const find = (id) => document.getElementById(id);
const form = find("import");
const drop = find("drop");
const FILES = 40; // in one request
const BYTES = 4 * 1024 * 1024; // in one request, unless a single file is larger
const TABLES = /(\.csv|\.jsonl|\.json|rec_gt\.txt)$/i;

const total = { added: 0, duplicates: 0, labelled: 0, skipped: 0 };
let busy = false;

const token = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";

function show(state, text) {
  find("state").dataset.state = state;
  find("state").textContent = text;
}

function leftOut(name, reason) {
  total.skipped += 1;
  if (find("skipped").childElementCount >= 1000) return;
  const entry = document.createElement("li");
  entry.textContent = `${name}: ${reason}`;
  find("skipped").append(entry);
}

function summary() {
  return `${total.added} added, ${total.duplicates} known already, ${total.labelled} labelled, ${total.skipped} left out`;
}

function* batches(files) {
  let batch = [];
  let bytes = 0;
  for (const file of files) {
    if (batch.length && (batch.length >= FILES || bytes + file.size > BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(file);
    bytes += file.size;
  }
  if (batch.length) yield batch;
}

// `start`: how many images of an archive were dealt with before.
async function send(batch, start = 0) {
  const body = new FormData();
  body.set("start", start);
  body.set("labelled", find("labelled").checked ? "1" : "0");
  body.set("trusted", find("trusted").checked ? "1" : "0");
  body.set("source", batch[0].webkitRelativePath?.split("/")[0] || batch[0].name);
  for (const file of batch) body.append("files", file, file.name);
  const response = await fetch(form.dataset.url, { method: "POST", headers: { "X-CSRFToken": token() }, body });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail || `The server answered ${response.status}.`);
  total.added += answer.added;
  total.duplicates += answer.duplicates;
  total.labelled += answer.labelled;
  for (const [name, reason] of answer.skipped) leftOut(name, reason);
  total.skipped += answer.skipped_count - answer.skipped.length;
  return answer;
}

// The server takes a large archive in over several requests, so that none of them lasts long.
async function sendArchive(archive) {
  let start = 0;
  do {
    const answer = await sendWithRetry([archive], start);
    start = answer.next_start;
    if (start) {
      find("progress").value = start / (start + answer.left);
      show("saving", `${archive.name}: ${answer.left} images to go. ${summary()}`);
    }
  } while (start);
}

async function importAll(files) {
  if (busy || !files.length) return;
  busy = true;
  const most = Number(form.dataset.most);
  const taken = [];
  for (const file of files) {
    if (file.name.startsWith(".")) continue;
    if (file.size > most) leftOut(file.name, "is too large");
    else taken.push(file);
  }
  const archives = taken.filter((file) => file.name.toLowerCase().endsWith(".zip"));
  const images = taken.filter((file) => !TABLES.test(file.name) && !archives.includes(file));
  const tables = taken.filter((file) => TABLES.test(file.name));
  let done = 0;
  show("saving", "Importing");
  try {
    for (const batch of batches(images)) {
      await sendWithRetry(batch);
      done += batch.length;
      find("progress").value = done / images.length;
      show("saving", `${done} of ${images.length} sent. ${summary()}`);
    }
    for (const archive of archives) await sendArchive(archive);
    for (const table of tables) await sendWithRetry([table]); // the images that it names are there by now
    find("progress").value = 1;
    show("saved", `Done. ${summary()}`);
  } catch (error) {
    show("failed", `Stopped after ${done} of ${images.length}: ${error.message} Do it again: what is there already is not added twice. ${summary()}`);
  }
  busy = false;
}

async function sendWithRetry(batch, start = 0) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send(batch, start);
    } catch (error) {
      if (!(error instanceof TypeError) || attempt >= 5) throw error; // a TypeError is a lost connection
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** attempt));
    }
  }
}

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const one of some) found.push(...(await filesOf(one)));
  }
}

drop.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", async (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  const files = [];
  for (const entry of entries) files.push(...(await filesOf(entry)));
  importAll(files);
});
for (const id of ["files", "folder"]) {
  find(id).addEventListener("change", (event) => {
    importAll([...event.target.files]);
    event.target.value = "";
  });
}
form.addEventListener("submit", (event) => event.preventDefault());
