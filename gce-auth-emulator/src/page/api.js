/* Control requests. */

import { say } from "./dom.js";

export const PREFIX = "/computeMetadata/v1/";

/* Numbers that JavaScript cannot hold exactly are kept as text behind this mark. */
export const MARK = "\u0000";
const exact = (text) => JSON.parse(text.replace(/"(?:\\.|[^"\\])*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g,
  (token) => (/^-?\d{16,}$/.test(token) ? '"\\u0000' + token + '"' : token)));

/* Only another machine than the emulator's needs it. */
const token = location.hash.length > 1 ? { Authorization: "Bearer " + location.hash.slice(1) } : {};

/* The answer; null if it was refused, which the person is told. */
export async function ask(method, path, body) {
  try {
    const answer = await send(method, path, body);
    if (answer.status === 401) {
      say("open the page as /emulator/#TOKEN, with the token of the ready line");
      return null;
    }
    const json = exact(await answer.text());
    if (!answer.ok) say(json.error || "status " + answer.status);
    return answer.ok ? json : null;
  } catch {
    say("the emulator does not answer");
    return null;
  }
}

/* The answer, or an error. */
export async function quietly(path) {
  const answer = await send("GET", path);
  if (answer.status === 401) throw new Error("open the page as /emulator/#TOKEN");
  if (!answer.ok) throw new Error("status " + answer.status);
  return exact(await answer.text());
}

function send(method, path, body) {
  const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
  return fetch("v1/" + path, { method, body: text, headers: token, cache: "no-store" });
}
