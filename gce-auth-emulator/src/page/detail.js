/* All that is known of one request. */

import { quietly } from "./api.js";
import { button, copy, make } from "./dom.js";
import { KEPT, curl, isRequest, promise } from "./curl.js";

function list(entries) {
  const shown = make("dl");
  for (const [name, value] of entries) shown.append(make("dt", "", name), make("dd", "mono", value));
  return shown;
}

function part(title, ...content) {
  const section = make("section");
  section.append(make("h3", "", title), ...content);
  return section;
}

function body(text, length) {
  if (length === 0) return [];
  if (text === null) return [make("p", "dim", length + " bytes that are no text")];
  const shown = [make("pre", "mono", pretty(text))];
  if (length > KEPT) shown.push(make("p", "dim", "the beginning of " + length + " bytes"));
  return shown;
}

function pretty(text) {
  if (!/^\s*[[{]/.test(text) || /\d{16}/.test(text)) return text;
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

function lifetime(token) {
  const seconds = token.lifetimeSeconds;
  const lives = seconds === null ? "no exp and iat" : "lives " + seconds + " s";
  return lives + (token.expiresAt ? ", until " + token.expiresAt : "");
}

function source(request) {
  const process = request.process;
  const words = [request.peer || "a Unix socket"];
  if (process) words.push(process.name + " (process " + process.pid + ", uid " + process.uid + ")");
  return words.join(", ");
}

/* Fills an element; gives what was shown. */
export async function detail(place, id) {
  let request;
  try { request = await quietly("requests/" + id); } catch { place.replaceChildren(make("p", "dim", "the emulator has forgotten it")); return; }
  const client = request.client;
  const facts = [["time", request.time], ["from", source(request)], ["client", client.name]];
  if (client.asks) facts.push(["asks for", client.asks + (client.credential ? ", credential " + client.credential : "")]);
  if (request.answeredBy) facts.push(["answered by", request.answeredBy]);
  const shown = [];
  if (request.why) {
    const cause = make("p", "cause");
    cause.append(make("b", "", "Why: " + request.why));
    if (request.instead) cause.append("Instead: " + request.instead);
    shown.push(cause);
  }
  shown.push(list(facts));
  const target = request.path + (request.query ? "?" + request.query : "");
  shown.push(part("Request", make("p", "mono", request.method + " " + target), list(request.headers), ...body(request.body, request.bodyLength)));
  if (request.answer) {
    const length = request.answer.bodyLength;
    shown.push(part("Answer " + request.status, list(request.answer.headers), ...body(request.answer.body, length)));
  }
  request.webTokens.forEach((token, index) => shown.push(part("JWT " + (index + 1) + ": " + lifetime(token),
    make("pre", "mono", JSON.stringify({ header: token.header, claims: token.claims }, null, 2)))));
  const command = curl(request, location.origin);
  if (isRequest(request)) shown.push(part("Again", make("pre", "mono", command), button("Copy as curl", "", () => copy(command)), make("p", "dim promise", promise(request))));
  place.replaceChildren(...shown);
}
