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
const whose = document.getElementById("whose");
let source = null;
// The environment whose events are in the table.
let shown = null;
// Counts what ends a stream: whatever is still to be told of an earlier one is not.
let attempt = 0;
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
  attempt += 1;
  unsubscribe.disabled = true;
  state.textContent = text;
}

// The table is of one environment; events of another would look like its own.
function show(key) {
  if (key === shown) return;
  shown = key;
  rows.replaceChildren();
  whose.textContent = ` of ${key}`;
}

// An EventSource does not tell with which status it was refused: ask again.
async function whyRefused(url) {
  const asking = new AbortController();
  try {
    const response = await fetch(url, {
      headers: { Accept: "text/event-stream" },
      signal: asking.signal,
    });
    if (response.ok) return "refused a moment ago, and not any more: subscribe again";
    const status = response.status;
    if (status === 404) return "refused (404): this cannot be an environment key";
    const detail = await response.json().then((body) => body.detail, () => "");
    return `refused (${status})${detail ? `: ${detail}` : ""}`;
  } catch {
    return "refused; the server cannot be asked why";
  } finally {
    // Where a stream is open now, nobody reads it.
    asking.abort();
  }
}

async function refused(url) {
  close("refused; asking why…");
  const refusedAttempt = attempt;
  const reason = await whyRefused(url);
  // Unless somebody has subscribed again meanwhile.
  if (attempt === refusedAttempt) state.textContent = reason;
}

document.getElementById("subscription").addEventListener("submit", (event) => {
  event.preventDefault();
  close("connecting");
  const key = environment.value.trim();
  show(key);
  const url = `${playground.dataset.streams}${encodeURIComponent(key)}/stream`;
  source = new EventSource(url);
  unsubscribe.disabled = false;
  source.addEventListener("open", () => {
    clicks = new Map();
    state.textContent = "subscribed";
  });
  source.addEventListener("environment_updated", receive);
  source.addEventListener("error", () => {
    clicks = null;
    if (source.readyState === EventSource.CLOSED) refused(url);
    else state.textContent = "reconnecting";
  });
});

unsubscribe.addEventListener("click", () => close("not subscribed"));

// What came of it, and of which level that is.
async function publish(key) {
  const form = new FormData(publication);
  form.set("environment", key);
  const during = clicks;
  const clickedAt = performance.now();
  const response = await fetch(publication.action, {
    method: "POST",
    body: form,
    headers: { Accept: "application/json" },
    redirect: "manual",
  });
  if (response.type === "opaqueredirect" || response.status === 403) {
    return ["Not sent: you are not logged in any more, or may not do this. Reload the page.", "error"];
  }
  if (response.headers.get("Content-Type") !== "application/json") {
    return [`Not confirmed: the server answers ${response.status}.`, "error"];
  }
  const answer = await response.json();
  if (during !== null && answer.updated_at) {
    during.set(answer.updated_at, clickedAt);
    measure(during, answer.updated_at);
  }
  return [answer.outcome, answer.level];
}

function tell(text, level = "", key = environment.value.trim()) {
  // It may come when another environment is already in the field.
  outcome.textContent = key === environment.value.trim() ? text : `${key}: ${text}`;
  outcome.className = level;
}

if (publication !== null) {
  // What was confirmed, and what came of it, is about that environment.
  environment.addEventListener("input", () => {
    confirmed.checked = false;
    tell("");
  });
  publication.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!environment.reportValidity()) return;
    const key = environment.value.trim();
    tell("…");
    try {
      tell(...await publish(key), key);
    } catch {
      tell("Not confirmed: the server cannot be reached.", "error", key);
    }
  });
}
