/* The document: shown as a tree that is changed in place, set and deleted. */

import { MARK, PREFIX, ask } from "./api.js";
import { $, button, keep, make, say, write } from "./dom.js";

let now = null;
let waiters = new Map();

const kebab = (key) => key.replace(/[A-Z]/g, (letter, at) => (at ? "-" : "") + letter.toLowerCase());
const verbatim = (path) => /^(instance|project)\/attributes$|^instance\/service-accounts$|^instance\/(guest|partner)-attributes(\/|$)|^oslogin\/authenticate\/sessions/.test(path);
const url = (path) => "document/" + path.split("/").map(encodeURIComponent).join("/");
const isDirectory = (value) => value !== null && typeof value === "object" && (!Array.isArray(value) || value.some((item) => item && typeof item === "object"));
const plain = (value) => (value === null ? "not configured" : typeof value === "string" ? value.replace(MARK, "") : text(value));
/* JSON, with the exact numbers. */
const text = (value) => JSON.stringify(value).replace(/"\\u0000(-?\d+)"/g, "$1");

function entries(value, path) {
  return Object.keys(value).map((key) => {
    const name = verbatim(path) ? key : kebab(key);
    return { name, path: path ? path + "/" + name : name, value: value[key] };
  });
}

function sync(list, value, path) {
  keep(list, entries(value, path), (entry) => entry.name + (isDirectory(entry.value) ? "/" : ""), create, (element, entry) => {
    const badge = element.querySelector(":scope > summary > .waiters, :scope > .waiters");
    const count = waiters.get(entry.path) || 0;
    badge.hidden = count === 0;
    write(badge, count + " waiting");
    if (isDirectory(entry.value)) {
      sync(element.lastChild, entry.value, entry.path);
    } else {
      const shown = plain(entry.value);
      element.dataset.value = entry.value === null ? "" : shown;
      write(element.querySelector(".value"), shown.length > 160 ? shown.slice(0, 160) + "…" : shown);
    }
  });
}

function create(entry) {
  const badge = make("span", "waiters");
  badge.hidden = true;
  if (isDirectory(entry.value)) {
    const place = make("details"), summary = make("summary", "", entry.name + "/");
    place.open = ["instance", "instance/attributes", "project"].includes(entry.path);
    summary.append(badge);
    summary.addEventListener("click", () => { $("place").value = entry.path; });
    place.append(summary, make("div"));
    return place;
  }
  const leaf = button("", entry.path, () => {
    $("place").value = entry.path;
    $("value").value = leaf.dataset.value;
    $("value").focus();
  });
  leaf.className = "leaf";
  leaf.append(entry.name + " ", make("span", "value"), badge);
  return leaf;
}

export async function load() {
  const value = await ask("GET", "document/");
  if (!value) return;
  now = value;
  sync($("tree"), value, "");
}

export function showWaiters(all) {
  const next = new Map(all.map(({ path, count }) => [path.replace(PREFIX, "").replace(/\/$/, ""), count]));
  const same = next.size === waiters.size && [...next].every(([path, count]) => waiters.get(path) === count);
  waiters = next;
  if (!same && now) sync($("tree"), now, "");
}

function find(path) {
  let place = now, walked = "";
  for (const segment of path.split("/")) {
    if (place === null || typeof place !== "object") return undefined;
    const key = verbatim(walked) ? segment : Object.keys(place).find((key) => kebab(key) === segment);
    place = key === undefined ? undefined : place[key];
    walked = walked ? walked + "/" + segment : segment;
  }
  return place;
}

async function set(path, given) {
  const old = find(path);
  let json = JSON.stringify(given);
  if (old !== undefined && old !== null && (typeof old !== "string" || old.startsWith(MARK))) {
    try { JSON.parse(given); } catch { say("JSON is needed here: " + (isDirectory(old) ? "an object" : "a " + (typeof old === "string" ? "number" : typeof old))); return; }
    json = given;
  }
  if (await ask("PUT", url(path), json)) { say("set"); load(); }
}

export function begin() {
  const path = () => $("place").value.trim().replace(/^\/|\/$/g, "");
  $("edit").addEventListener("submit", (event) => { event.preventDefault(); set(path(), $("value").value); });
  $("delete").addEventListener("click", async () => {
    if (!path()) { say("which path?"); return; }
    if (await ask("DELETE", url(path()))) { say("deleted"); load(); }
  });
}
