// Replaces the overview by a newer one every two seconds, and says so when it cannot. In
// a tab that nobody sees its title and its icon are seen all the same: every ten.
"use strict";

const EVERY_MS = 2000;
const HIDDEN_MS = 10000;
const GIVE_UP_MS = 5000;
const STALE_MS = 6000;

const fleet = document.getElementById("fleet");
const staleness = document.getElementById("staleness");
const reason = document.getElementById("staleness-reason");
const since = document.getElementById("staleness-since");
const announcement = document.getElementById("announcement");
const favicon = document.getElementById("favicon");
const heading = document.title.slice(document.title.indexOf(" – "));
let updatedAt = performance.now();
let problem = "";
let wake = () => {};

function verdict() {
  return fleet.querySelector("[data-level]");
}

function inWords() {
  const reason = verdict().querySelector(".reason").textContent;
  return `${document.getElementById("verdict").textContent}: ${reason}`;
}

// What somebody is about to copy stays as it is.
function selecting() {
  const selection = document.getSelection();
  return !selection.isCollapsed && selection.containsNode(fleet, true);
}

// The server has escaped everything: there is nothing to put together here.
function show(html) {
  const newer = document.createElement("template");
  newer.innerHTML = html;
  if (!newer.content.querySelector("[data-level]")) {
    throw new Error("the server answers with something else");
  }
  const before = verdict().dataset.level;
  const focused = document.activeElement && document.activeElement.id;
  const opened = [...fleet.querySelectorAll("details[open]")].map((one) => one.id);
  fleet.replaceChildren(newer.content);
  for (const id of opened) {
    const details = document.getElementById(id);
    if (details) details.open = true;
  }
  if (focused && document.activeElement.id !== focused) {
    const again = document.getElementById(focused);
    if (again) again.focus({ preventScroll: true });
  }
  const { level, title, favicon: icon } = verdict().dataset;
  if (level !== before) {
    document.title = `${title}${heading}`;
    favicon.href = icon;
    announcement.textContent = inWords();
  }
}

async function refresh() {
  try {
    const response = await fetch(fleet.dataset.url, {
      signal: AbortSignal.timeout(GIVE_UP_MS),
      redirect: "manual",
    });
    if (response.type === "opaqueredirect" || response.status === 403) {
      throw new Error("you are not logged in any more, or may not see this: reload the page");
    }
    if (!response.ok) throw new Error(`the server answers ${response.status}`);
    const html = await response.text();
    problem = "";
    if (selecting()) return;
    show(html);
    updatedAt = performance.now();
  } catch (error) {
    problem = error instanceof TypeError ? "the server cannot be reached"
      : error.name === "TimeoutError" ? "the server does not answer" : error.message;
  }
}

function judgeAge() {
  const age = performance.now() - updatedAt;
  const limit = document.hidden ? HIDDEN_MS + GIVE_UP_MS : STALE_MS;
  const stale = problem !== "" || age > limit;
  const why = problem || (selecting() ? "text in it is selected" : "");
  staleness.hidden = !stale;
  fleet.classList.toggle("stale", stale);
  // An alert, read out whenever it changes: its age is no part of it.
  const text = stale ? `This is not up to date${why && `: ${why}`}.` : "";
  if (reason.textContent !== text) reason.textContent = text;
  since.textContent = `It is ${Math.round(age / 1000)} s old.`;
}

async function run() {
  for (;;) {
    const began = performance.now();
    await refresh();
    const every = document.hidden ? HIDDEN_MS : EVERY_MS;
    const rest = Math.max(0, every - (performance.now() - began));
    await new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, rest);
    });
  }
}

document.addEventListener("visibilitychange", () => wake());
setInterval(judgeAge, 500);
setTimeout(run, EVERY_MS);
