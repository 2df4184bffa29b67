// The demo around the shop. It shows what each click has changed, and runs the trials. The shop itself needs no script.
"use strict";

const KEPT = 6;
const memory = {
  get: (key) => JSON.parse(sessionStorage.getItem(key)),
  set: (key, value) => sessionStorage.setItem(key, JSON.stringify(value)),
};
const tabs = new BroadcastChannel("session");
let latest = Promise.resolve();

/** Return what the page shows of the session: a text for each path. Of what has parts, those are compared. */
function look() {
  const seen = document.getElementById("seen");
  const values = {};
  const whole = {};
  for (const part of seen.querySelectorAll("[data-path]")) {
    whole[part.dataset.path] = part.textContent;
    values[part.dataset.path] = "value" in part.dataset ? part.textContent : "";
  }
  return { values, whole, digest: seen.dataset.digest, size: Number(seen.dataset.size) };
}

/** Return the paths of one look that another one does not have, without the parts of those. */
function missing(from, values) {
  const paths = Object.keys(from).filter((path) => !(path in values));
  return paths.filter((path) => !paths.some((other) => other !== path && path.startsWith(other)));
}

function compare(before, now) {
  const cookie = before.digest === now.digest ? "The cookie is the same." : `A new cookie: ${before.size} → ${now.size} bytes.`;
  return {
    cookie: now.digest ? cookie : before.digest ? "The cookie is gone." : "No cookie.",
    parts: [
      ...missing(now.values, before.values).map((path) => ["added", path, now.whole[path]]),
      ...Object.keys(now.values)
        .filter((path) => path in before.values && before.values[path] !== now.values[path])
        .map((path) => ["changed", path, `${before.values[path]} → ${now.values[path]}`]),
      ...missing(before.values, now.values).map((path) => ["removed", path, before.whole[path]]),
    ],
  };
}

function element(name, className, ...children) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
}

/** Show the changes that the list does not show yet. A screen reader reads what is added to it, so nothing is added twice. */
function show() {
  const list = document.getElementById("changes");
  const changes = memory.get("changes") ?? [];
  const news = changes.filter(({ number }) => number > Number(list.dataset.latest ?? 0));
  list.prepend(...news.map(({ click, cookie, parts }) =>
    element("li", "", element("b", "", click), ...parts.map(([how, path, text]) =>
      element("p", how, element("span", "how", how), " ", element("i", "", path), " ", text)),
    element("small", "", parts.length ? cookie : `Nothing changed. ${cookie}`))));
  while (list.childElementCount > KEPT) list.lastElementChild.remove();
  list.dataset.latest = changes[0]?.number ?? 0;
}

/** Write down what has changed since the last look, as the doing of a click. */
function note(click) {
  const now = look();
  const before = memory.get("look") ?? now;
  const changes = memory.get("changes") ?? [];
  const change = { number: (changes[0]?.number ?? 0) + 1, click: click || "Elsewhere", ...compare(before, now) };
  const isNews = change.parts.length > 0 || before.digest !== now.digest;
  memory.set("look", now);
  if (isNews || click) memory.set("changes", [change, ...changes].slice(0, KEPT));
  show();
  for (const [, path] of change.parts) document.querySelector(`#seen [data-path="${CSS.escape(path)}"]`)?.classList.add("fresh");
  if (isNews && click) tabs.postMessage("changed");
}

/** Replace parts of the page by what the shop shows now. */
async function refresh(...ids) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ids) document.getElementById(id).replaceWith(fresh.getElementById(id) ?? document.getElementById(id));
}

/** Run a trial once those before it have ended, with the cookie that they have left. */
function queue(button) {
  if (button.ariaBusy) return;
  button.ariaBusy = "true";
  latest = latest.then(() => run(button));
}

async function run(button) {
  const row = button.closest("li");
  const [status, steps] = [row.querySelector("[role=status]"), row.querySelector(".steps")];
  try {
    const answer = await fetch(button.dataset.trial, { method: "POST" });
    if (!answer.ok) throw new Error(`${answer.status}`);
    const outcome = new DOMParser().parseFromString(await answer.text(), "text/html");
    status.replaceChildren(outcome.querySelector(".verdict"));
    steps.replaceChildren(outcome.querySelector(".steps"));
    await refresh("nav", "main");
    await refresh("seen", "raw");
    note(row.querySelector("h3").textContent);
  } catch (error) {
    status.replaceChildren(element("p", "verdict failed", `The shop did not answer (${error.message}).`));
  } finally {
    button.ariaBusy = null;
  }
}

document.addEventListener("click", (event) => {
  const clicked = event.target.closest("a, button");
  if (clicked?.dataset.trial) queue(clicked);
  else if (clicked) memory.set("click", clicked.textContent.replace(/\s+/g, " ").trim());
});

async function lookAgain() {
  await refresh("nav", "seen", "raw");
  note("");
}

document.addEventListener("visibilitychange", () => document.hidden || lookAgain());
window.addEventListener("pageshow", (event) => event.persisted && lookAgain());
tabs.addEventListener("message", lookAgain);
for (const button of document.querySelectorAll("[data-trial]")) button.hidden = false;
// What has been read on another page is there before the list is a log, of which what is added is read.
show();
document.getElementById("changes").parentElement.setAttribute("role", "log");
// A message that this page has shown was in the session when it was made, and is not any more.
refresh("seen", "raw").then(() => {
  note(memory.get("click") ?? "");
  memory.set("click", "");
});
