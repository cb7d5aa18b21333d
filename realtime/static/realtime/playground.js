// Subscribes with the browser's own EventSource, and publishes.
"use strict";

const MOST_EVENTS = 100;

const playground = document.getElementById("playground");
const environment = document.getElementById("environment");
const unsubscribe = document.getElementById("unsubscribe");
const state = document.getElementById("state");
const rows = document.querySelector("#events tbody");
const publication = document.getElementById("publication");
const confirmed = document.getElementById("confirmed");
const outcome = document.getElementById("outcome");
let source = null;
// While a stream is open: when updates were asked for from here, by their own time. An
// update that comes on the next stream is a replay, and tells nothing.
let clicks = null;

function milliseconds(value) {
  return Math.abs(value) < 10000 ? `${value.toFixed(1)} ms` : `${(value / 1000).toFixed(0)} s`;
}

function add(...texts) {
  const row = rows.insertRow(0);
  for (const text of texts) row.insertCell().textContent = text;
  if (rows.rows.length > MOST_EVENTS) rows.deleteRow(-1);
  return row;
}

// Called when an update has come, and when it is known which one was asked for.
function measure(during, updatedAt) {
  const clickedAt = during.get(updatedAt);
  const row = [...rows.rows].find((one) => one.during === during && one.updatedAt === updatedAt);
  if (clickedAt !== undefined && row !== undefined) {
    row.cells[2].textContent = milliseconds(row.receivedAt - clickedAt);
  }
}

function receive(event) {
  const receivedAt = performance.now();
  const now = Date.now();
  let updatedAt = null;
  let age = "?";
  try {
    updatedAt = JSON.parse(event.data).updated_at;
    age = milliseconds(now - updatedAt * 1000);
  } catch {
    // It is shown as it came.
  }
  const row = add(new Date(now).toISOString().slice(11, 23), event.data, "–", age);
  Object.assign(row, { during: clicks, updatedAt, receivedAt });
  measure(clicks, updatedAt);
}

function close(text) {
  if (source !== null) source.close();
  source = clicks = null;
  unsubscribe.disabled = true;
  state.textContent = text;
}

document.getElementById("subscription").addEventListener("submit", (event) => {
  event.preventDefault();
  close("connecting");
  const key = encodeURIComponent(environment.value.trim());
  source = new EventSource(`${playground.dataset.streams}${key}/stream`);
  unsubscribe.disabled = false;
  source.addEventListener("open", () => {
    clicks = new Map();
    state.textContent = "subscribed";
  });
  source.addEventListener("environment_updated", receive);
  source.addEventListener("error", () => {
    clicks = null;
    if (source.readyState === EventSource.CLOSED) close("refused");
    else state.textContent = "reconnecting";
  });
});

unsubscribe.addEventListener("click", () => close("not subscribed"));

async function publish() {
  const form = new FormData(publication);
  form.set("environment", environment.value.trim());
  const during = clicks;
  const clickedAt = performance.now();
  const response = await fetch(publication.action, {
    method: "POST",
    body: form,
    headers: { Accept: "application/json" },
    redirect: "manual",
  });
  if (response.type === "opaqueredirect" || response.status === 403) {
    return "Not sent: you are not logged in any more, or may not do this. Reload the page.";
  }
  if (response.headers.get("Content-Type") !== "application/json") {
    return `Not confirmed: the server answers ${response.status}.`;
  }
  const answer = await response.json();
  if (during !== null && answer.updated_at) {
    during.set(answer.updated_at, clickedAt);
    measure(during, answer.updated_at);
  }
  return answer.outcome;
}

if (publication !== null) {
  // What was confirmed is about that environment.
  environment.addEventListener("input", () => { confirmed.checked = false; });
  publication.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!environment.reportValidity()) return;
    outcome.textContent = "…";
    try {
      outcome.textContent = await publish();
    } catch {
      outcome.textContent = "Not confirmed: the server cannot be reached.";
    }
  });
}
