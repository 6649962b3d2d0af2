// The labelling page. Nothing here waits for the network: the next images are decoded ahead, and what is saved
// goes into an outbox in the browser first, from where it is sent until the server has acknowledged it.

const root = document.getElementById("labelling");
const data = root.dataset;
const mode = data.mode;
const session = crypto.randomUUID();
const find = (id) => document.getElementById(id);

const AHEAD = 10; // images claimed and decoded before they are needed
const TILES = 12;
const DEEP = 10; // saves that can be undone
const LOST_RETRY = 30_000; // ms after which an image that somebody else has is tried again
const LEFT = "labeling/left"; // in the tab's storage: the page that was left for this one
const LOOK_AGAIN = 30_000; // ms after which an empty queue is asked again
const ZOOMS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];
const STAGE_HEIGHT = 200; // CSS pixels that an image fills at zoom 1
const RATE_WINDOW = 5 * 60_000; // ms over which the speed is measured
const COMMANDS = { "?": "unreadable", "!": "flagged", ".": "skipped" };
const SHOWN = { unreadable: "unreadable", flagged: "flagged", skipped: "skipped" };

// --- The rules of the type -------------------------------------------------------------------------------

const rules = {
  minimum: Number(data.minLength) || 0,
  maximum: Number(data.maxLength) || 64,
  fold: (text) => (data.caseSensitive === "yes" ? text : [...text].map((c) => (c.toUpperCase().length === c.length ? c.toUpperCase() : c)).join("")),
  clean(text) {
    return this.fold(text.normalize("NFC").trim());
  },
  problem(text) {
    const cleaned = this.clean(text);
    const length = [...cleaned].length;
    const alphabet = new Set(this.fold(data.alphabet));
    if (!length) return "There is no text.";
    const foreign = alphabet.size ? [...cleaned].find((c) => !alphabet.has(c)) : undefined;
    if (foreign !== undefined) return `${foreign === " " ? "A space" : foreign} is not in the alphabet.`;
    if (length < this.minimum) return `${length} of at least ${this.minimum} characters.`;
    if (length > this.maximum) return `${length} of at most ${this.maximum} characters.`;
    return "";
  },
  command(text) {
    const sign = text.trim();
    return data.alphabet.includes(sign) ? undefined : COMMANDS[sign];
  },
};

// --- What the browser keeps ------------------------------------------------------------------------------

const memory = new Map(); // where local storage is full or forbidden
const store = {
  prefix: `labeling/${data.person}/${data.slug}/`,
  set(key, value) {
    try {
      localStorage.setItem(this.prefix + key, JSON.stringify(value));
    } catch {
      memory.set(this.prefix + key, JSON.stringify(value));
    }
  },
  get(key) {
    const text = memory.get(this.prefix + key) ?? localStorage.getItem(this.prefix + key);
    try {
      return text === null ? undefined : JSON.parse(text);
    } catch {
      return undefined;
    }
  },
  remove(key) {
    memory.delete(this.prefix + key);
    localStorage.removeItem(this.prefix + key);
  },
  keys(folder) {
    const all = [...Object.keys(localStorage), ...memory.keys()];
    return all.filter((key) => key.startsWith(this.prefix + folder)).map((key) => key.slice(this.prefix.length)).sort();
  },
};

// --- The server ------------------------------------------------------------------------------------------

class Refused extends Error {
  constructor(status, answer) {
    super(answer.detail || `The server answered ${status}.`);
    this.status = status;
    this.code = answer.code || "";
  }
}

const token = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";

async function post(url, body, more = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": token() },
    body: JSON.stringify(body),
    ...more,
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  // A refused token without a code of ours is a session that ended in another tab.
  if (response.status === 403 && !answer.code) answer.code = "session_expired";
  throw new Refused(response.status, answer);
}

// --- The outbox: saves and undos on their way, in the order in which they were made ---------------------

const outbox = {
  entries: [],
  sending: [],
  kept: new Map(), // by save_id what the server did not take
  offline: false,
  expired: false,
  wait: 1000,
  timer: 0,
  number: 0,

  load() {
    this.entries = store.keys("outbox/").map((key) => ({ key, ...store.get(key) })).filter((entry) => entry.save_id);
    for (const entry of this.entries) entry.after = 0;
    this.send();
  },
  add(operation) {
    this.number += 1;
    const key = `outbox/${String(Date.now()).padStart(15, "0")}-${String(this.number).padStart(6, "0")}-${session}`;
    const entry = { key, ...operation };
    store.set(key, operation);
    this.entries.push(entry);
    this.send();
  },
  undo(save) {
    const waiting = this.entries.find((entry) => entry.save_id === save.save_id && entry.operation === "save");
    this.kept.delete(save.save_id);
    this.showKept();
    if (waiting && !this.sending.includes(waiting)) this.drop(waiting);
    else this.add({ operation: "undo", save_id: save.save_id, assignment: save.assignment });
  },
  drop(entry) {
    store.remove(entry.key);
    this.entries = this.entries.filter((one) => one !== entry);
  },
  get waiting() {
    return this.entries.length;
  },
  async send() {
    clearTimeout(this.timer);
    showFigures();
    if (this.sending.length || this.expired) return;
    const batch = this.entries.filter((entry) => !entry.after || entry.after <= Date.now()).slice(0, 50);
    if (!batch.length) {
      if (this.entries.length) this.later(LOST_RETRY);
      return;
    }
    this.sending = batch;
    try {
      const operations = batch.map(({ operation, save_id, assignment, kind, text, seconds }) => ({ operation, save_id, assignment, kind, text, seconds }));
      const answer = await post(data.operations, { session, operations });
      this.offline = false;
      this.wait = 1000;
      answer.outcomes.forEach((outcome, position) => this.acknowledge(batch[position], outcome));
    } catch (error) {
      this.fail(error);
    }
    this.sending = [];
    showFigures();
    if (this.expired) return;
    if (this.offline) this.later(this.wait);
    else if (this.entries.length) this.send();
    else if (shown.state === "saving" || shown.state === "offline") page.allSaved();
  },
  // Stays in sight until it is settled, whatever else there is to say.
  showKept() {
    const element = find("kept");
    element.hidden = !this.kept.size;
    element.textContent = [...this.kept.values()].join(" ");
  },
  later(milliseconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), milliseconds);
  },
  acknowledge(entry, outcome) {
    const kept = ["lease_lost", "refused", "unknown"].includes(outcome.state);
    if (kept) this.kept.set(entry.save_id, `${outcome.detail} Your text ${entry.text || entry.kind} is kept.`);
    else this.kept.delete(entry.save_id);
    if (outcome.state === "lease_lost") entry.after = Date.now() + LOST_RETRY;
    else this.drop(entry);
    this.showKept();
    page.answered(entry, outcome);
  },
  fail(error) {
    if (error instanceof Refused && error.code === "session_expired") {
      askToLogIn();
      return;
    }
    this.offline = true;
    this.wait = Math.min(this.wait * 2, 15_000);
    const why = error instanceof Refused ? error.message : "No connection.";
    show("offline", `Offline: ${this.entries.length} waiting to be saved. ${why} They are kept in this browser.`);
  },
};

// --- What is shown of it all -----------------------------------------------------------------------------

const shown = { state: "loading" };
const saves = []; // moments of the latest saves, for the speed
let progress = { done: 0, total: 0, left: 0 };
let doneHere = 0; // since `progress` was told

function show(state, text) {
  shown.state = state;
  const element = find("state");
  element.dataset.state = state;
  if (element.textContent !== text) element.textContent = text;
}

// Where nothing is left, what is of use with an image alone goes, and what comes next is named.
function showEmpty(empty) {
  root.classList.toggle("nothing", empty);
  find("onward").hidden = !empty;
}

function showFigures() {
  find("waiting").textContent = outbox.waiting;
  if (progress.total) find("done").textContent = `${progress.done + doneHere} of ${progress.total}`;
  const since = Date.now() - RATE_WINDOW;
  while (saves.length && saves[0] < since) saves.shift();
  if (saves.length < 2) return;
  const perMinute = (saves.length - 1) / Math.max((saves.at(-1) - saves[0]) / 60_000, 1 / 600);
  find("rate").textContent = perMinute.toFixed(perMinute < 10 ? 1 : 0);
  const minutes = Math.max(0, progress.left - doneHere) / perMinute;
  find("left").textContent = minutes < 60 ? `${Math.ceil(minutes)} min` : `${(minutes / 60).toFixed(1)} h`;
}

function count(change) {
  doneHere += change;
  if (change > 0) saves.push(Date.now());
  else saves.pop();
  showFigures();
}

const view = { zoom: 1, grey: false, contrast: false, ...store.get("view") };

function showView() {
  root.classList.toggle("grey", view.grey);
  root.classList.toggle("contrast", view.contrast);
  document.querySelector('[data-action="grey"]').setAttribute("aria-pressed", view.grey);
  document.querySelector('[data-action="contrast"]').setAttribute("aria-pressed", view.contrast);
  find("zoom").textContent = view.zoom;
  store.set("view", view);
  page.resize();
}

function zoom(step) {
  const place = Math.max(0, Math.min(ZOOMS.length - 1, ZOOMS.indexOf(view.zoom) + step));
  view.zoom = ZOOMS[place];
  showView();
}

// A whole number of screen pixels for each of the image's, so that no edge is blurred.
function scale(item, height, width) {
  const fitting = Math.max(1, Math.floor(Math.min(height / item.height, width / item.width)));
  const factor = Math.max(1, Math.round(fitting * view.zoom));
  item.image.width = item.width * factor;
  item.image.height = item.height * factor;
}

// --- Images, decoded before they are needed --------------------------------------------------------------

function prepare(item) {
  item.image = new Image();
  item.image.alt = "Captcha to be read";
  item.image.src = data.images + item.id;
  item.failed = false;
  item.ready = item.image.decode().then(
    () => page.decoded(item),
    () => {
      item.failed = true;
      page.decoded(item);
    },
  );
  return item;
}

// A page that is left gives its images back, but the next one of the tab may ask before that has arrived.
let left = sessionStorage.getItem(LEFT) ?? undefined;
sessionStorage.removeItem(LEFT);

async function claim(number) {
  const before = outbox.waiting ? -1 : outbox.number;
  const answer = await post(data.claim, { session, mode, count: number, left });
  left = undefined;
  // With saves on their way nobody can say which of them the server has counted.
  if (!progress.total || (before === outbox.number && !outbox.waiting)) {
    progress = answer.progress;
    doneHere = 0;
  }
  showFigures();
  return answer.items.map(prepare);
}

function claimFailed(error) {
  if (!(error instanceof Refused)) show("offline", `Offline: no new images. ${outbox.waiting} waiting to be saved.`);
  else if (error.code === "session_expired") askToLogIn();
  else if (error.code === "paused") show("paused", error.message);
  else show("failed", error.message);
}

function operation(item, kind, text, seconds) {
  return { operation: "save", save_id: crypto.randomUUID(), assignment: item.id, kind, text: kind === "text" ? text : "", seconds };
}

// --- One image after the other: type, verify and disagreements -------------------------------------------

const single = {
  items: [],
  index: 0,
  claiming: false,
  exhausted: false,
  history: [], // the latest saves, newest last: { item, save_id, assignment, text, kind }
  shownAt: 0,
  presented: undefined, // the item that was shown last
  field: find("text"),
  lookAgain: 0,

  get item() {
    return this.items[this.index];
  },
  async fill() {
    if (this.claiming || this.exhausted || this.items.length - this.index > AHEAD) return;
    this.claiming = true;
    try {
      const items = await claim(AHEAD);
      const wasEmpty = this.item === undefined;
      this.items.push(...items);
      if (!items.length) this.empty();
      else if (wasEmpty) this.present();
    } catch (error) {
      claimFailed(error);
      if (!(error instanceof Refused)) setTimeout(() => this.fill(), 3000);
    } finally {
      this.claiming = false;
    }
  },
  empty() {
    this.exhausted = true;
    clearTimeout(this.lookAgain);
    this.lookAgain = setTimeout(() => this.reload(), LOOK_AGAIN);
    if (this.item === undefined) this.present();
  },
  reload() {
    this.exhausted = false;
    if (this.item?.failed) prepare(this.item);
    this.present();
    this.fill();
  },
  present() {
    const item = this.item;
    find("others").hidden = true;
    this.judging = undefined;
    const fresh = this.presented !== item;
    this.presented = item;
    showEmpty(item === undefined && this.exhausted);
    document.querySelector('[data-action="reload"]').hidden = !(item === undefined && this.exhausted) && !item?.failed;
    if (item === undefined) {
      find("stage").replaceChildren();
      this.reported([]);
      this.field.value = "";
      this.edited();
      show(this.exhausted ? "empty" : "loading", this.exhausted ? "Nothing is left to be read here." : "Loading");
      return;
    }
    this.shownAt = performance.now();
    scale(item, STAGE_HEIGHT, find("stage").clientWidth);
    find("stage").replaceChildren(item.image);
    this.reported(item.reported);
    const own = store.get(`draft/${item.key}`) ?? item.said?.text ?? (item.said ? "" : undefined);
    this.field.value = own ?? item.prefill;
    // Typing replaces a prediction; what somebody wrote is gone on with at its end.
    if (fresh && own === undefined) this.field.select();
    else if (fresh) this.field.setSelectionRange(this.field.value.length, this.field.value.length);
    this.edited();
    if (item.failed) show("failed", "The image could not be loaded.");
    else if (item.lost) show("lost", item.lost);
    else if (!outbox.offline && !outbox.expired) {
      if (item.said) show("saved", `Saved as ${SHOWN[item.said.kind] ?? item.said.text}`);
      else show(outbox.waiting ? "saving" : "ready", outbox.waiting ? "Saving" : "Ready");
    }
    this.focus();
  },
  // What customers read who called the answer wrong.
  reported(texts) {
    find("reported").hidden = !texts.length;
    find("reported").textContent = texts.length ? `Reported as wrong; read by the customer: ${texts.join(", ")}` : "";
  },
  focus() {
    if (!document.querySelector("dialog[open]") && document.activeElement !== this.field) this.field.focus();
  },
  decoded(item) {
    if (item === this.item && item.failed) this.present();
  },
  resize() {
    if (this.item?.image) scale(this.item, STAGE_HEIGHT, find("stage").clientWidth);
  },
  edited() {
    const text = this.field.value;
    const problem = text && !rules.command(text) ? rules.problem(text) : "";
    const hint = find("hint");
    hint.textContent = problem || this.unsure(text);
    hint.classList.toggle("wrong", Boolean(problem));
    this.field.setAttribute("aria-invalid", Boolean(problem));
    this.underline(text);
  },
  // Where the text is still the predicted one, a line under each character says how sure the reader was.
  underline(text) {
    const item = this.item;
    const predicted = item?.prefill && text.length === item.prefill.length ? item.prefill : "";
    const spans = [...predicted].map((character, place) => {
      const span = document.createElement("span");
      span.textContent = text[place];
      if (text[place] === character) span.className = sureness(item.confidences[place]);
      return span;
    });
    find("sureness").replaceChildren(...spans);
  },
  unsure(text) {
    const item = this.item;
    if (!item?.prefill || text !== item.prefill) return "";
    const places = [...text].map((character, place) => [character, place]).filter(([, place]) => sureness(item.confidences[place]) === "unsure");
    return places.length ? `The reader is unsure of ${places.map(([character, place]) => `${character} (${place + 1})`).join(", ")}.` : "";
  },
  typed() {
    const item = this.item;
    if (item === undefined) return;
    store.set(`draft/${item.key}`, this.field.value);
    this.edited();
    if (!outbox.offline && !outbox.expired) show("edited", "Edited");
  },
  accept() {
    if (this.judging) {
      this.goOn();
      return;
    }
    const command = rules.command(this.field.value);
    this.say(command ?? "text");
  },
  say(kind, given) {
    const item = this.item;
    if (item === undefined) return;
    const text = kind === "text" ? rules.clean(given ?? this.field.value) : "";
    const problem = kind === "text" ? rules.problem(text) : "";
    if (problem) {
      show("refused", `Not saved. ${problem}`);
      return;
    }
    const seconds = Math.round((performance.now() - this.shownAt) / 10) / 100;
    const save = operation(item, kind, text, seconds);
    if (!item.said) count(1);
    item.said = { ...save };
    item.lost = "";
    store.remove(`draft/${item.key}`);
    this.history = [...this.history, { item, ...save }].slice(-DEEP);
    if (mode === "disagreement" && !given && kind === "text") this.judging = item;
    else this.goOn();
    outbox.add(save);
    this.showRecentSoon();
    if (this.item && !this.item.failed && !outbox.offline && !outbox.expired) show("saving", "Saving");
    this.fill();
  },
  goOn() {
    this.judging = undefined;
    const after = this.items.findIndex((item, place) => place > this.index && !item.said);
    const any = after >= 0 ? after : this.items.findIndex((item) => !item.said);
    this.index = any >= 0 ? any : this.items.length;
    for (const item of this.items.slice(0, Math.max(0, this.index - 40))) item.image = undefined;
    this.present();
    this.fill();
  },
  go(step) {
    this.index = Math.max(0, Math.min(this.items.length, this.index + step));
    if (this.item && !this.item.image) prepare(this.item);
    this.present();
    this.fill();
  },
  undo() {
    const last = this.history.pop();
    if (last === undefined) return;
    outbox.undo(last);
    count(-1);
    last.item.said = undefined;
    last.item.lost = "";
    if (last.kind === "text") store.set(`draft/${last.item.key}`, last.text);
    this.index = this.items.indexOf(last.item);
    if (!last.item.image) prepare(last.item);
    this.showRecent();
    this.present();
  },
  allSaved() {
    if (this.item === undefined) this.present();
    else show("saved", "Saved");
  },
  clear() {
    this.field.value = this.field.value ? "" : (this.item?.prefill ?? "");
    this.field.select();
    this.typed();
  },
  answered(entry, outcome) {
    const item = this.items.find((one) => one.id === entry.assignment);
    const kept = outbox.kept.get(entry.save_id) ?? "";
    if (item && (kept || item.lost)) {
      item.lost = kept;
      this.showRecent();
    }
    if (kept) show("lost", kept);
    else if (item && outcome.others?.length && this.judging === item) {
      this.judge(item, entry, outcome.others);
    }
  },
  // The third person has read blind; now they see what the first two said.
  judge(item, entry, others) {
    const panel = find("others");
    const sentence = document.createElement("p");
    sentence.textContent = `You read ${entry.text}. The others read ${others.join(" and ")}. Enter keeps yours.`;
    const choices = others.filter((text) => text !== entry.text && !rules.problem(text)).map((text) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `Take ${text}`;
      button.addEventListener("click", () => this.say("text", text));
      return button;
    });
    panel.replaceChildren(sentence, ...choices);
    panel.hidden = false;
    show("saved", "Saved. Compare with the others.");
  },
  // After the next image was painted: nobody waits for the strip.
  showRecentSoon() {
    requestAnimationFrame(() => setTimeout(() => this.showRecent()));
  },
  showRecent() {
    const entries = this.history.toReversed().map((save) => {
      save.entry ??= this.recentEntry(save);
      const text = save.entry.querySelector("span");
      const said = save.item.said ?? save;
      text.textContent = SHOWN[said.kind] ?? said.text;
      text.className = save.item.lost ? "problem" : "";
      save.entry.firstChild.setAttribute("aria-label", `Correct ${text.textContent}`);
      return save.entry;
    });
    find("recent").replaceChildren(...entries);
  },
  recentEntry(save) {
    const entry = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    const picture = new Image();
    picture.src = data.images + save.item.id;
    picture.alt = "";
    button.append(picture, document.createElement("span"));
    button.addEventListener("click", () => {
      this.index = this.items.indexOf(save.item);
      if (!save.item.image) prepare(save.item);
      this.present();
    });
    entry.append(button);
    return entry;
  },
  start() {
    find("entry").addEventListener("submit", (event) => event.preventDefault());
    this.field.addEventListener("input", () => this.typed());
    this.fill();
  },
  key(event) {
    const plain = !event.ctrlKey && !event.altKey && !event.metaKey && !event.shiftKey;
    if (event.key === "Enter" && plain && !event.target.closest("button, a")) return () => this.accept();
    if (event.key === "ArrowUp" && plain) return () => this.go(1);
    if (event.key === "ArrowDown" && plain) return () => this.go(-1);
    if (event.key === "Escape" && plain) return () => this.clear();
    return undefined;
  },
  actions: {
    accept: () => single.accept(),
    next: () => single.go(1),
    previous: () => single.go(-1),
    undo: () => single.undo(),
    clear: () => single.clear(),
    unreadable: () => single.say("unreadable"),
    flag: () => single.say("flagged"),
    skip: () => single.say("skipped"),
    reload: () => single.reload(),
  },
};

function sureness(confidence) {
  if (confidence >= 0.95) return "sure";
  return confidence >= 0.7 ? "less" : "unsure";
}

// --- Twelve tiles at once --------------------------------------------------------------------------------

const grid = {
  tiles: [],
  next: undefined, // the items of the next page, on their way
  history: [],
  place: 0,
  shownAt: 0,

  claimNext() {
    this.next ??= claim(TILES).catch((error) => {
      this.next = undefined;
      claimFailed(error);
      return undefined;
    });
    return this.next;
  },
  async turn() {
    show("loading", "Loading");
    const items = await this.claimNext();
    if (items === undefined) return;
    this.next = undefined;
    if (items.length) this.present(items.map((item) => ({ item, text: store.get(`draft/${item.key}`) ?? item.prefill, out: false })));
    else this.present([]);
    if (items.length) this.claimNext();
  },
  present(tiles) {
    this.tiles = tiles;
    this.place = 0;
    this.shownAt = performance.now();
    showEmpty(!tiles.length);
    find("tiles").replaceChildren(...tiles.map((tile, place) => this.element(tile, place)));
    this.resize();
    document.querySelector('[data-action="reload"]').hidden = tiles.length > 0;
    if (!tiles.length) show("empty", "Nothing is left that the reader is nearly certain of.");
    else if (!outbox.offline && !outbox.expired) show("ready", "Ready");
    this.focus();
  },
  element(tile, place) {
    const box = document.createElement("div");
    box.className = "tile";
    const input = document.createElement("input");
    Object.assign(input, { type: "text", value: tile.text, spellcheck: false, autocomplete: "off", maxLength: 64 });
    input.setAttribute("aria-label", `Image ${place + 1}`);
    input.addEventListener("focus", () => {
      this.place = place;
      input.select();
    });
    input.addEventListener("input", () => {
      tile.text = input.value;
      store.set(`draft/${tile.item.key}`, tile.text);
      this.mark(tile);
      show("edited", "Edited");
    });
    const mark = document.createElement("span");
    mark.className = "mark";
    mark.setAttribute("aria-live", "polite");
    tile.box = box;
    tile.input = input;
    tile.mark = mark;
    box.append(tile.item.image, input, mark);
    this.mark(tile);
    return box;
  },
  mark(tile) {
    const problem = rules.problem(tile.text);
    tile.box.classList.toggle("out", tile.out);
    tile.input.setAttribute("aria-invalid", Boolean(problem) && !tile.out);
    tile.mark.textContent = tile.out ? "Left out" : problem || (rules.clean(tile.text) === tile.item.prefill ? "" : "Changed");
  },
  focus() {
    if (!document.querySelector("dialog[open]")) this.tiles[this.place]?.input.focus();
  },
  move(step) {
    this.place = Math.max(0, Math.min(this.tiles.length - 1, this.place + step));
    this.focus();
  },
  leaveOut() {
    const tile = this.tiles[this.place];
    if (tile === undefined) return;
    tile.out = !tile.out;
    this.mark(tile);
    this.focus();
  },
  accept() {
    const wrong = this.tiles.findIndex((tile) => !tile.out && rules.problem(tile.text));
    if (wrong >= 0) {
      this.place = wrong;
      this.focus();
      show("refused", `Not saved. Image ${wrong + 1}: ${rules.problem(this.tiles[wrong].text)}`);
      return;
    }
    if (!this.tiles.length) return;
    const seconds = Math.round((performance.now() - this.shownAt) / this.tiles.length / 10) / 100;
    const saved = this.tiles.map((tile) => operation(tile.item, tile.out ? "skipped" : "text", rules.clean(tile.text), seconds));
    this.history = [...this.history, { tiles: this.tiles, saved }].slice(-DEEP);
    for (const save of saved) {
      outbox.add(save);
      count(1);
    }
    for (const tile of this.tiles) store.remove(`draft/${tile.item.key}`);
    this.showRecent(saved);
    this.turn();
  },
  undo() {
    const last = this.history.pop();
    if (last === undefined) return;
    for (const save of last.saved.toReversed()) {
      outbox.undo(save);
      count(-1);
    }
    const current = this.tiles.map((tile) => tile.item);
    const coming = this.next;
    this.next = coming === undefined ? Promise.resolve(current) : coming.then((items) => [...current, ...(items ?? [])]);
    if (!current.length) this.next = coming;
    this.present(last.tiles);
    this.showRecent([]);
  },
  allSaved() {
    show("saved", "Saved");
  },
  answered(entry) {
    if (outbox.kept.has(entry.save_id)) show("lost", outbox.kept.get(entry.save_id));
  },
  showRecent(saved) {
    const entries = saved.slice(-DEEP).map((save) => {
      const entry = document.createElement("li");
      entry.textContent = SHOWN[save.kind] ?? save.text;
      return entry;
    });
    find("recent").replaceChildren(...entries);
  },
  decoded(item) {
    if (item.failed && this.tiles.some((tile) => tile.item === item)) show("failed", "An image could not be loaded: leave it out.");
  },
  resize() {
    for (const tile of this.tiles) scale(tile.item, 80, 260);
  },
  start() {
    this.turn();
  },
  key(event) {
    const plain = !event.ctrlKey && !event.altKey && !event.metaKey && !event.shiftKey;
    if (!plain) return undefined;
    if (event.key === "Enter" && !event.target.closest("button, a")) return () => this.accept();
    if (event.key === " " && event.target.closest(".tile") && !data.alphabet.includes(" ")) return () => this.leaveOut();
    if (event.key === "ArrowUp") return () => this.move(-1);
    if (event.key === "ArrowDown") return () => this.move(1);
    return undefined;
  },
  actions: {
    accept: () => grid.accept(),
    undo: () => grid.undo(),
    "leave-out": () => grid.leaveOut(),
    reload: () => grid.turn(),
  },
};

// --- Logging in again, without leaving the page ----------------------------------------------------------

function askToLogIn() {
  outbox.expired = true;
  show("expired", `You are logged out. ${outbox.waiting} waiting to be saved; log in and they will be.`);
  if (!find("login").open) find("login").showModal();
  find("login-password").focus();
}

async function logIn(event) {
  event.preventDefault();
  const form = new FormData(find("login-form"));
  let response;
  try {
    response = await fetch(data.login, {
      method: "POST",
      headers: { "X-CSRFToken": token() },
      body: new URLSearchParams(form),
      redirect: "manual",
    });
  } catch {
    find("login-problem").textContent = "No connection. Try again.";
    return;
  }
  find("login-password").value = "";
  if (response.type !== "opaqueredirect") {
    find("login-problem").textContent = response.status === 429 ? "Too many attempts. Wait a while." : "That password does not fit.";
    return;
  }
  find("login-problem").textContent = "";
  find("login").close();
  outbox.expired = false;
  outbox.offline = false;
  show(outbox.waiting ? "saving" : "ready", outbox.waiting ? "Saving" : "Ready");
  outbox.send();
  if (mode === "grid") {
    if (!grid.tiles.length) grid.turn();
  } else {
    for (const item of single.items.slice(single.index)) if (item.failed) prepare(item);
    single.fill();
  }
  page.focus();
}

// --- Keys and buttons ------------------------------------------------------------------------------------

const page = mode === "grid" ? grid : single;
const actions = {
  ...page.actions,
  grey: () => {
    view.grey = !view.grey;
    showView();
  },
  contrast: () => {
    view.contrast = !view.contrast;
    showView();
  },
  larger: () => zoom(1),
  smaller: () => zoom(-1),
  help: () => (find("help").open ? find("help").close() : find("help").showModal()),
};

function actionOf(event) {
  const control = event.ctrlKey || event.metaKey;
  if (event.key === "F1") return actions.help;
  if (document.querySelector("dialog[open]")) return undefined;
  if (control && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "z") return actions.undo;
  if (control || event.altKey) return undefined;
  if (event.key === "F9") return event.shiftKey ? actions.contrast : actions.grey;
  if (event.shiftKey && event.key === "ArrowUp") return actions.larger;
  if (event.shiftKey && event.key === "ArrowDown") return actions.smaller;
  if (event.key === "F2") return actions.unreadable;
  if (event.key === "F4") return actions.flag;
  if (event.key === "F8") return actions.skip;
  return page.key(event);
}

document.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  const action = actionOf(event);
  if (action === undefined) return;
  event.preventDefault();
  action();
});
for (const button of document.querySelectorAll("[data-action]")) {
  button.addEventListener("click", () => {
    actions[button.dataset.action]();
    page.focus();
  });
}
find("login-form").addEventListener("submit", logIn);
find("login").addEventListener("cancel", (event) => event.preventDefault());
find("help").addEventListener("close", () => page.focus());
addEventListener("online", () => outbox.send());
addEventListener("resize", () => page.resize());
// Typing goes into the field wherever the focus was.
document.addEventListener("keypress", (event) => {
  if (mode !== "grid" && event.key.length === 1 && event.target === document.body) single.focus();
});
addEventListener("pagehide", () => {
  sessionStorage.setItem(LEFT, session);
  fetch(data.release, {
    method: "POST",
    keepalive: true,
    headers: { "Content-Type": "application/json", "X-CSRFToken": token() },
    body: JSON.stringify({ session }),
  }).catch(() => {});
});
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload(); // what this page held was given back
});

outbox.load();
showView();
page.start();
