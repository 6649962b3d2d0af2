// The page of a crawl looks once a second how far it is, until it has ended.

const SECOND = 1000;
const SILENT = 15; // seconds without a sign of life before the page says so
const find = (id) => document.getElementById(id);

function say(id, text) {
  if (find(id).textContent !== String(text)) find(id).textContent = text; // a status is read aloud when it changes
}

function showState({ run, waits, problem }) {
  if (waits) {
    say("crawl-state", "waiting for its process");
    say("crawl-reason", "");
  } else if (problem) {
    say("crawl-state", "did not begin");
    say("crawl-reason", problem);
  } else if (!run) {
    say("crawl-state", "never crawled");
  } else {
    const silent = run.silent > SILENT ? ` (no sign of life for ${run.silent} s)` : "";
    say("crawl-state", run.cancelling ? "cancelling" : run.state_text + silent);
    say("crawl-reason", run.reason);
  }
}

function showDrops(drops) {
  find("crawl-drops").hidden = drops.length === 0;
  const rows = drops.map(([reason, count]) => {
    const row = document.createElement("tr");
    for (const text of [reason, count]) row.insertCell().textContent = text;
    return row;
  });
  find("crawl-drops").tBodies[0].replaceChildren(...rows);
}

function showImages(images) {
  const list = find("crawl-images");
  const ids = images.map(({ id }) => id).join();
  if (list.dataset.ids === ids) return;
  list.dataset.ids = ids;
  const known = new Map([...list.children].map((item) => [Number(item.dataset.id), item]));
  const items = images.map(({ id, url, text }) => known.get(id) ?? drawn(id, url, text));
  list.replaceChildren(...items);
}

function drawn(id, url, text) {
  const item = document.createElement("li");
  item.dataset.id = id;
  const image = document.createElement("img");
  image.src = url;
  image.alt = text ? `captcha that shows ${text}` : "captcha without a text yet";
  const caption = document.createElement("span");
  caption.textContent = text;
  item.append(image, caption);
  return item;
}

function show(shown) {
  showState(shown);
  const { run, waits } = shown;
  const form = find("crawl-cancel");
  if (form) {
    form.hidden = !(waits || run?.state === "running");
    form.querySelector("button").disabled = Boolean(run?.cancelling);
  }
  if (!run) return;
  for (const name of ["labelled", "rate", "duplicates", "dropped", "requests", "seconds"]) say(`crawl-${name}`, run[name]);
  say("crawl-kept", `${run.kept} of ${run.wanted}`);
  find("crawl-bar").max = run.wanted;
  find("crawl-bar").value = run.kept;
  showDrops(run.drops);
  showImages(run.images);
  const log = find("crawl-log");
  if (log.textContent !== run.log) {
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    log.textContent = run.log;
    if (atEnd) log.scrollTop = log.scrollHeight;
  }
}

const goesOn = ({ run, waits }) => waits || run?.state === "running";

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch(find("crawl").dataset.stateUrl, { headers: { Accept: "application/json" } });
      if (answer.redirected || answer.status === 403 || answer.status === 404) return; // logged out
      if (answer.ok) {
        const shown = await answer.json();
        show(shown);
        if (!goesOn(shown)) return;
      }
    } catch {
      // the network is away; the next look may find it
    }
  }
  setTimeout(look, SECOND);
}

const first = JSON.parse(find("shown").textContent);
show(first);
if (goesOn(first)) setTimeout(look, SECOND);
