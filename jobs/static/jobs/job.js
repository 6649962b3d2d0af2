// The page of one run looks once a second how far it is, until it has ended.

import { drawCurves } from "./curves.js";

const SECOND = 1000;
const find = (id) => document.getElementById(id);
const states = { queued: "queued", running: "running", succeeded: "succeeded", failed: "failed", cancelled: "cancelled" };
let points = 0;

function say(id, text) {
  if (find(id).textContent !== text) find(id).textContent = text; // a status is read aloud when it changes
}

function duration(seconds) {
  return seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function show(run) {
  say("job-state", run.cancelling ? "cancelling" : states[run.state]);
  say("job-time", duration(run.seconds));
  say("job-line", run.of ? `${run.done} of ${run.of}. ${run.line}` : run.line);
  const failed = run.exit_code === null ? run.outcome : `${run.outcome} (exit code ${run.exit_code})`;
  say("job-outcome", run.outcome ? failed : "");
  const bar = find("job-bar");
  if (run.of) {
    bar.max = run.of;
    bar.value = run.done;
  } else if (run.state === "running") {
    bar.removeAttribute("value");
  } else {
    bar.value = run.ended ? bar.max : 0;
  }
  const log = find("job-log");
  if (log && log.textContent !== run.log) {
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    log.textContent = run.log;
    if (atEnd) log.scrollTop = log.scrollHeight;
  }
  if (run.curve.length !== points) {
    points = run.curve.length;
    drawCurves(find("job-curves"), run.curve);
  }
  const form = find("job-cancel");
  if (form) {
    form.hidden = run.ended;
    form.querySelector("button").disabled = run.cancelling;
  }
}

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch(find("job").dataset.stateUrl, { headers: { Accept: "application/json" } });
      if (answer.status === 404) return; // logged out, or the run was deleted
      if (answer.ok) {
        const run = await answer.json();
        show(run);
        if (run.ended) {
          if (find("job").dataset.reload) location.reload(); // the page has more to show now
          return;
        }
      }
    } catch {
      // the network is away; the next look may find it
    }
  }
  setTimeout(look, SECOND);
}

const shown = JSON.parse(find("shown").textContent);
show(shown);
if (!shown.ended) setTimeout(look, SECOND);
