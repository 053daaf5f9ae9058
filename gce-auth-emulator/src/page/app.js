/* The page: asks for what is new, again and again, and shows it. A connection is held for no longer than an answer, so
   that any number of tabs can be open. */

import { PREFIX, ask, quietly } from "./api.js";
import { $, say, write } from "./dom.js";
import * as clock from "./clock.js";
import * as events from "./events.js";
import * as faults from "./faults.js";
import * as requests from "./requests.js";
import * as session from "./session.js";
import * as tokens from "./tokens.js";
import * as tree from "./tree.js";

const PERIOD = 300, HIDDEN = 5000, AFTER_FAILURE = 2000;
const AT_ONCE = 60, AFTER_PAUSE = 500;

let emulator = null, after = 0, limit = AFTER_PAUSE, version = null, timer = 0, turn = 0, asking = false, wanted = false;

async function look() {
  clearTimeout(timer);
  if (asking) { wanted = true; return; }
  asking = true;
  const paused = requests.isPaused(), news = await fresh(paused);
  asking = false;
  timer = setTimeout(look, !news ? AFTER_FAILURE : document.hidden ? HIDDEN : PERIOD);
  if (news) {
    if (emulator !== news.emulator) begun(news);
    else if (paused === requests.isPaused()) taken(news, paused);
    state(news.state);
  }
  if (wanted) { wanted = false; look(); }
}

async function fresh(paused) {
  const pending = requests.pending().slice(0, 500);
  const more = pending.length ? "&pending=" + pending.join(",") : "";
  try {
    const news = await quietly("news?after=" + after + "&limit=" + (paused ? 0 : limit) + more);
    live(true, "live");
    return news;
  } catch (error) {
    live(false, error.message.startsWith("open") ? error.message : "not connected");
    return null;
  }
}

/* Another emulator is at this address, or the first. */
function begun(news) {
  requests.forget();
  emulator = news.emulator;
  version = null;
  /* Of those before the page was opened, none is left out. */
  after = news.lastId;
  limit = AT_ONCE;
  requests.take({ ...news, leftOut: 0 });
}

function taken(news, paused) {
  if (paused) {
    requests.waits(news.leftOut);
    requests.take({ ...news, leftOut: 0 });
    limit = AFTER_PAUSE;
    return;
  }
  after = news.lastId;
  limit = AT_ONCE;
  requests.take(news);
}

function live(on, text) {
  write($("live"), text);
  $("live").classList.toggle("on", on);
}

function state(now) {
  clock.show(now);
  write($("waiting"), now.waiting);
  write($("profile"), now.profile);
  faults.show(now.faults, look);
  events.show(now.machineEvents, look);
  tree.showWaiters(now.waiters);
  if (now.version !== version) { version = now.version; tree.load(); }
  turn += 1;
  if (turn % 4 === 1) tokens.load();
}

$("origin").textContent = location.host;
$("example").textContent = "curl -H 'Metadata-Flavor: Google' " + location.origin + PREFIX + "instance/id";
for (const part of [requests, faults, events]) part.begin(look);
for (const part of [session, tree, clock, tokens]) part.begin();
$("reset").addEventListener("click", async () => {
  const last = requests.newest();
  if (await ask("POST", "reset")) { requests.forget(last); tree.load(); tokens.load(); tokens.lifetimes(); look(); say("as at the start"); }
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
look();
