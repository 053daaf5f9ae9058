/* A request as a command that sends it again. */

const HOP = ["connection", "content-length", "transfer-encoding", "keep-alive", "te", "upgrade"];
const SECRET = /\[(?:redacted|access token|private key|JWT(?: \d+)?)\]/g;

/* Quotes a text for a shell. What was a secret becomes a variable. */
function quote(text) {
  const parts = text.split(SECRET).map((part) => (part ? "'" + part.replaceAll("'", "'\\''") + "'" : ""));
  return parts.join('"$TOKEN"') || "''";
}

export const hasSecrets = (request) =>
  [request.query, request.path, request.body || "", ...Object.values(request.headers)].some((text) => text.search(SECRET) >= 0);

/* With the emulator's address as `base`, in quotes or not. */
export function curl(request, base) {
  const words = ["curl -sS -i --globoff --path-as-is"];
  if (request.method === "HEAD") words.push("--head");
  else if (request.method !== "GET" || request.body) words.push("-X " + request.method);
  for (const [name, value] of Object.entries(request.headers)) {
    if (HOP.includes(name)) continue;
    words.push("-H " + quote(value === "" ? name + ";" : name + ": " + value));
  }
  for (const name of ["user-agent", "accept"]) if (request.headers[name] === undefined) words.push("-H '" + name + ":'");
  if (request.body) words.push("--data-raw " + quote(request.body));
  words.push(base + quote(request.path + (request.query ? "?" + request.query : "")));
  return words.join(" ");
}

export const isWhole = (request) => request.bodyLength === 0 || (request.body !== null && new TextEncoder().encode(request.body).length === request.bodyLength);
