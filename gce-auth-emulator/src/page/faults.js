/* Faults, with everything that a control request can say. */

import { PREFIX, ask } from "./api.js";
import { $, button, keep, make, say, write } from "./dom.js";

/* Name, what it is, and its parameters with their defaults. */
const KINDS = [
  ["status", "Status", { code: 503, retryAfter: "" }],
  ["delay", "Late", { milliseconds: 2000 }],
  ["hang", "No answer", {}],
  ["close", "Close the connection", {}],
  ["reset", "Reset the connection", {}],
  ["truncate", "Cut off", { bytes: 5 }],
  ["slow", "Slow body", { bytes: 4, milliseconds: 200 }],
  ["missing-flavor", "No flavor", {}],
  ["wrong-flavor", "Wrong flavor", { flavor: "Gooogle" }],
  ["body", "Another body", { contentType: "application/json", text: "{\"access" }],
];
const TIMES = [
  ["once", { times: 1 }],
  ["so many times", { times: 3 }],
  ["for a time", { forSeconds: 30 }],
  ["beyond a rate", { allowed: 10, perSeconds: 60 }],
  ["by chance", { probability: 0.3, seed: 1 }],
  ["always", {}],
];
const NAMES = { code: "status", retryAfter: "Retry-After", milliseconds: "ms", bytes: "bytes", flavor: "flavor", contentType: "type", text: "text",
  times: "times", forSeconds: "s", allowed: "allowed", perSeconds: "in s", probability: "of 1", seed: "seed" };

/* Fields for these parameters. */
function fields(place, parameters) {
  place.replaceChildren(...Object.entries(parameters).map(([name, value]) => {
    const label = make("label", "", NAMES[name] + " "), input = make("input", "number");
    input.value = value;
    input.name = name;
    input.dataset.number = String(typeof value === "number" || name === "retryAfter");
    label.append(input);
    return label;
  }));
}

/* What stands in the fields; empty ones are left out. */
function read(place) {
  const found = {};
  for (const input of place.querySelectorAll("input")) {
    if (input.value === "") continue;
    found[input.name] = input.dataset.number === "true" ? Number(input.value) : input.value;
  }
  return found;
}

function words(rule) {
  const { kind, ...parameters } = rule.fault, known = KINDS.find(([name]) => name === kind);
  const path = rule.path.startsWith(PREFIX) ? rule.path.slice(PREFIX.length) || "the tree" : rule.path === "/" ? "all requests" : rule.path;
  const text = [known ? known[1] : kind];
  for (const [name, value] of Object.entries(parameters)) text.push(NAMES[name] + " " + value);
  text.push(path);
  if (rule.method) text.push(rule.method);
  if (rule.client) text.push("client " + rule.client);
  if (rule.times !== undefined) text.push(rule.times + (rule.times === 1 ? " time" : " times"));
  if (rule.forSeconds !== undefined) text.push("for " + rule.forSeconds + " s");
  if (rule.allowed !== undefined) text.push("beyond " + rule.allowed + " in " + rule.perSeconds + " s");
  if (rule.probability !== undefined) text.push(Math.round(rule.probability * 100) + " % of them, seed " + rule.seed);
  return text.join(" · ");
}

export function show(all, again) {
  $("heal").hidden = all.length === 0;
  keep($("faults"), all, (rule) => rule.id, (rule) => {
    const line = make("li");
    const hits = make("span", "badge bad");
    hits.title = "requests hit so far";
    line.append(hits, make("span", "grow", rule.id + ": " + words(rule)),
      button("Remove", "Remove fault " + rule.id, async () => { await ask("DELETE", "faults/" + rule.id); again(); }));
    return line;
  }, (line, rule) => write(line.firstChild, rule.hits));
}

export function begin(again) {
  const options = (list) => list.map(([, name], index) => new Option(typeof name === "string" ? name : list[index][0], index));
  $("kind").append(...options(KINDS));
  $("often").append(...options(TIMES));
  const chosen = (id, list) => list[Number($(id).value)];
  const kind = () => fields($("parameters"), chosen("kind", KINDS)[2]), often = () => fields($("limits"), chosen("often", TIMES)[1]);
  $("kind").addEventListener("change", kind);
  $("often").addEventListener("change", often);
  kind();
  often();
  $("add-fault").addEventListener("submit", async (event) => {
    event.preventDefault();
    const rule = { path: $("where").value.trim() || "/", fault: { kind: chosen("kind", KINDS)[0], ...read($("parameters")) }, ...read($("limits")) };
    const client = $("client").value.trim(), method = $("method").value.trim();
    if (client) rule.client = client;
    if (method) rule.method = method;
    const added = await ask("POST", "faults", rule);
    if (added) { say("fault " + added.id + " holds"); again(); }
  });
  $("heal").addEventListener("click", async () => { await ask("DELETE", "faults"); $("kind").focus(); again(); });
}
