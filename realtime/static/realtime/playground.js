// Subscribes with the browser's own EventSource, and publishes.
"use strict";

const MOST_EVENTS = 100;

const playground = document.getElementById("playground");
const environment = document.getElementById("environment");
const unsubscribe = document.getElementById("unsubscribe");
const state = document.getElementById("state");
const rows = document.querySelector("#events tbody");
const publication = document.getElementById("publication");
const outcome = document.getElementById("outcome");
let source = null;
let clickedAt = null;

function milliseconds(value) {
  return Math.abs(value) < 10000 ? `${value.toFixed(1)} ms` : `${(value / 1000).toFixed(0)} s`;
}

function add(...texts) {
  const row = rows.insertRow(0);
  for (const text of texts) row.insertCell().textContent = text;
  if (rows.rows.length > MOST_EVENTS) rows.deleteRow(-1);
}

function receive(event) {
  const now = Date.now();
  let age = "?";
  try {
    age = milliseconds(now - JSON.parse(event.data).updated_at * 1000);
  } catch {
    // It is shown as it came.
  }
  const waited = clickedAt === null ? "–" : milliseconds(performance.now() - clickedAt);
  clickedAt = null;
  add(new Date(now).toISOString().slice(11, 23), event.data, waited, age);
}

function close(text) {
  if (source !== null) source.close();
  source = null;
  unsubscribe.disabled = true;
  state.textContent = text;
}

document.getElementById("subscription").addEventListener("submit", (event) => {
  event.preventDefault();
  close("connecting");
  const key = encodeURIComponent(environment.value.trim());
  source = new EventSource(`${playground.dataset.streams}${key}/stream`);
  unsubscribe.disabled = false;
  source.addEventListener("open", () => { state.textContent = "subscribed"; });
  source.addEventListener("environment_updated", receive);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) close("refused");
    else state.textContent = "reconnecting";
  });
});

unsubscribe.addEventListener("click", () => close("not subscribed"));

if (publication !== null) {
  publication.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!environment.reportValidity()) return;
    const form = new FormData(publication);
    form.set("environment", environment.value.trim());
    outcome.textContent = "…";
    clickedAt = performance.now();
    try {
      const response = await fetch(publication.action, {
        method: "POST",
        body: form,
        headers: { Accept: "application/json" },
      });
      outcome.textContent = response.ok
        ? (await response.json()).outcome
        : `Not sent: the server answers ${response.status}.`;
    } catch {
      outcome.textContent = "Not sent: the server cannot be reached.";
    }
  });
}
