/* The requests, the newest first. */

import { PREFIX, ask } from "./api.js";
import { $, button, make, remove, write } from "./dom.js";
import { detail } from "./detail.js";

const KEPT = 500;
const rows = new Map();
const waiting = [];
let held = false, paused = false, leftOut = 0;

export const isPaused = () => paused;
export const pending = () => [...rows.values()].filter((row) => row.request.milliseconds === null).map((row) => row.request.id);
export const chosen = () => {
  const all = [...rows.values()], selected = all.filter((row) => row.check.checked);
  return (selected.length ? selected : all.filter((row) => !row.element.hidden)).map((row) => row.request.id).sort((one, other) => one - other);
};

function duration(milliseconds) {
  if (milliseconds === null) return "…";
  if (milliseconds < 1) return milliseconds.toFixed(2) + " ms";
  return milliseconds < 1000 ? milliseconds.toFixed(1) + " ms" : (milliseconds / 1000).toFixed(1) + " s";
}

function time(text) {
  const when = new Date(text), two = (number) => String(number).padStart(2, "0");
  return two(when.getHours()) + ":" + two(when.getMinutes()) + ":" + two(when.getSeconds()) + "." + String(when.getMilliseconds()).padStart(3, "0");
}

function create(request) {
  const element = make("li"), line = make("div", "line"), check = make("input");
  check.type = "checkbox";
  check.setAttribute("aria-label", "Select request " + request.id);
  check.addEventListener("change", selected);
  const more = make("div", "more");
  more.hidden = true;
  const row = { element, check, more, request, parts: {} };
  const open = button("", "", () => {
    more.hidden = !more.hidden;
    open.setAttribute("aria-expanded", String(!more.hidden));
    if (!more.hidden) detail(more, row.request.id);
  });
  open.className = "row";
  open.setAttribute("aria-expanded", "false");
  const parts = row.parts;
  parts.when = make("span", "when", time(request.time));
  parts.when.title = request.time;
  const state = make("span"), path = make("span", "path mono");
  parts.badge = make("span", "badge");
  state.append(parts.badge);
  const short = request.path.startsWith(PREFIX) ? request.path.slice(PREFIX.length) || "/" : request.path;
  path.append(make("span", "verb", request.method + " "), short, make("span", "query", request.query ? "?" + request.query : ""));
  open.title = request.path;
  parts.fault = make("span", "note fault");
  parts.why = make("span", "note hint");
  parts.instead = make("span", "note dim");
  path.append(parts.fault, parts.why, parts.instead);
  parts.who = make("span", "who");
  parts.time = make("span", "time");
  open.append(parts.when, state, path, parts.who, parts.time);
  line.append(check, open);
  element.append(line, more);
  return row;
}

function update(row, request) {
  const parts = row.parts, status = request.status, ended = request.milliseconds !== null;
  row.request = request;
  write(parts.badge, status === null ? (ended ? "none" : "…") : status);
  parts.badge.className = "badge " + (status === null ? (ended ? "bad" : "") : status < 300 ? "good" : status < 400 ? "warn" : "bad");
  write(parts.fault, request.fault ? "fault " + request.faultId + ": " + request.fault : "");
  write(parts.why, request.why || "");
  write(parts.instead, request.instead ? "→ " + request.instead : "");
  write(parts.who, request.client.name + (request.client.asks ? " · " + request.client.asks : "") + (request.process ? " · " + request.process.name : ""));
  write(parts.time, duration(request.milliseconds));
  row.element.hidden = !fits(request);
  if (!row.more.hidden) detail(row.more, request.id);
}

function fits(request) {
  const wanted = $("filter").value.trim().toLowerCase();
  if (!wanted) return true;
  const all = [request.method, request.path, request.query, request.client.name, request.status, request.fault, request.hint, request.process?.name, request.peer];
  return all.join(" ").toLowerCase().includes(wanted);
}

/* Takes in what is new. While a pointer is down nothing moves under it. */
export function take(news) {
  for (const request of news.requests) {
    const known = rows.get(request.id);
    if (known) update(known, request); else waiting.push(request);
  }
  for (const [id, row] of rows) if (id < news.firstId) drop(id, row);
  leftOut += news.leftOut;
  if (!held) show();
}

function show() {
  for (const request of waiting.splice(0)) {
    const row = create(request);
    rows.set(request.id, row);
    $("rows").prepend(row.element);
    update(row, request);
  }
  for (const [id, row] of rows) {
    if (rows.size <= KEPT) break;
    if (row.more.hidden && !row.check.checked && !row.element.contains(document.activeElement)) drop(id, row);
  }
  counted();
}

function drop(id, row) {
  remove(row.element);
  rows.delete(id);
}

export function counted() {
  const shown = [...rows.values()].filter((row) => !row.element.hidden).length;
  write($("count"), shown === rows.size ? rows.size : shown + " of " + rows.size);
  $("none").hidden = rows.size > 0;
  $("no-fit").hidden = rows.size === 0 || shown > 0;
  $("left-out").hidden = leftOut === 0;
  write($("left-out"), leftOut.toLocaleString("en") + (leftOut === 1 ? " request was" : " requests were") + " left out: more came at once than the page shows");
  selected();
}

function selected() {
  const count = [...rows.values()].filter((row) => row.check.checked).length;
  $("unselect").hidden = count === 0;
  write($("chosen"), count ? count + " selected" : "All requests");
}

/* The newest request that the page has. */
export const newest = () => Math.max(0, ...rows.keys(), ...waiting.map((request) => request.id));

/* Forgets the requests up to this one: others may come, and be shown, before the answer that says that all are
   forgotten. */
export function forget(last = Infinity) {
  for (const [id, row] of rows) if (id <= last) drop(id, row);
  for (const request of waiting.splice(0)) if (request.id > last) waiting.push(request);
  leftOut = 0;
  counted();
}

/* How many came during a pause. */
export function waits(count) {
  write($("pause"), paused ? "Continue" + (count ? " (" + count + " new)" : "") : "Pause");
}

export function begin(again) {
  $("filter").addEventListener("input", () => { for (const row of rows.values()) row.element.hidden = !fits(row.request); counted(); });
  $("clear").addEventListener("click", async () => {
    const last = newest();
    if (await ask("DELETE", "requests")) forget(last);
  });
  $("pause").addEventListener("click", () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", String(paused));
    waits(0);
    again();
  });
  $("unselect").addEventListener("click", () => { for (const row of rows.values()) row.check.checked = false; selected(); $("export").focus(); });
  $("rows").addEventListener("pointerdown", () => { held = true; });
  for (const end of ["pointerup", "pointercancel", "blur"]) window.addEventListener(end, () => { held = false; setTimeout(show); });
}
