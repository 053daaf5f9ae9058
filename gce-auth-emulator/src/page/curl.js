/* A request as a command that sends it again. */

/* So much of a body is kept. */
export const KEPT = 4096;

const HOP = ["connection", "content-length", "transfer-encoding", "keep-alive", "te", "upgrade"];
const SECRET = /\[(?:redacted|access token|private key|JWT(?: \d+)?)\]/g;

/* Names a variable for each secret, in the order of the command. A JWT that occurs again has the same. */
function names() {
  const known = new Map();
  const all = [];
  return {
    all,
    of(secret, where) {
      const token = secret.startsWith("[JWT ") ? known.get(secret) : undefined;
      if (token) return token;
      const name = "TOKEN" + (all.length ? all.length + 1 : "");
      known.set(secret, name);
      all.push({ name, where, secret });
      return name;
    },
  };
}

/* Quotes a text for a shell. What was a secret becomes a variable. */
function quote(text, where, variables) {
  const secrets = text.match(SECRET) || [];
  const plain = (part) => (part ? "'" + part.replaceAll("'", "'\\''") + "'" : "");
  const parts = text.split(SECRET).map((part, index) => plain(part) + (index < secrets.length ? '"$' + variables.of(secrets[index], where) + '"' : ""));
  return parts.join("") || "''";
}

/* The words of the command, and the secrets that it needs. With the emulator's address as `base`, in quotes or not. */
function command(request, base) {
  const variables = names(), word = (text, where) => quote(text, where, variables);
  const words = ["curl -sS -i --globoff --path-as-is"], known = new Set();
  if (request.method === "HEAD") words.push("--head");
  else if (request.method !== "GET" || request.bodyLength) words.push("-X " + word(request.method, "the method"));
  for (const [name, value] of request.headers) {
    known.add(name);
    if (!HOP.includes(name)) words.push("-H " + word(value === "" ? name + ";" : name + ": " + value, "the header " + name));
  }
  const own = request.bodyLength ? ["user-agent", "accept", "content-type"] : ["user-agent", "accept"];
  for (const name of own) if (!known.has(name)) words.push("-H '" + name + ":'");
  if (request.body) words.push("--data-raw " + word(request.body, "the body"));
  else if (request.bodyBase64) words.push("--data-binary @-");
  const target = request.path + (request.query ? "?" + request.query : "");
  if (target.startsWith("/")) words.push(base + word(target, "the address"));
  else words.push("--request-target " + word(target, "the address"), base + "/");
  const bytes = request.body ? "" : request.bodyBase64;
  return { text: (bytes ? "printf %s " + word(bytes) + " | base64 -d | " : "") + words.join(" "), secrets: variables.all };
}

/* Bytes that were no request of HTTP are none again. */
export const isRequest = (request) => request.method !== "-";
export const curl = (request, base) => command(request, base).text;
export const secrets = (request) => command(request, "").secrets;

export function isWhole(request) {
  if (request.bodyLength === 0) return true;
  if (request.bodyBase64) return atob(request.bodyBase64).length === request.bodyLength;
  if (request.body === null) return false;
  const kept = new TextEncoder().encode(request.body).length;
  /* A secret and its mark differ in length. */
  return request.body.search(SECRET) < 0 ? kept === request.bodyLength : request.bodyLength <= KEPT;
}

/* What the answer to the command depends on, in words. */
export function promise(request) {
  const needed = secrets(request);
  if (request.headers.filter(([name]) => name === "host").length > 1) return "curl sends one Host header: the answer is another.";
  if (!isWhole(request)) return "The body is not kept whole: the answer may be another.";
  if (!needed.length) return "Gives the same answer again.";
  const list = needed.map(({ name, where, secret }) => name + " to the " + (secret === "[redacted]" ? "secret" : secret.slice(1, -1)) + " of " + where);
  return "Gives the same answer again once you set " + list.join(", ") + ": secrets are not kept.";
}
