/* What is made of requests: a file, a script that sends them again, assertions for a test. */

import { PREFIX, quietly } from "./api.js";
import { $, copy, download, say } from "./dom.js";
import { curl, isRequest, isWhole, secrets } from "./curl.js";
import { chosen } from "./requests.js";

async function requests() {
  const ids = new Set(chosen()), all = await quietly("requests");
  const found = all.requests.filter((request) => ids.has(request.id));
  if (!found.length) say("no request is there");
  return found;
}

function script(every) {
  const all = every.filter(isRequest);
  const lines = ["#!/bin/sh", "# Sends " + all.length + " requests again: sh session.sh [URL]", 'url=${1:-' + location.origin + "}"];
  const most = Math.max(0, ...all.map((request) => secrets(request).length));
  if (most > 0) lines.push("# The secrets are not kept: these stand in their place.");
  for (let number = 1; number <= most; number += 1) {
    const name = "TOKEN" + (number > 1 ? number : "");
    lines.push(name + "=${" + name + ":-}");
  }
  for (const request of all) {
    lines.push("", "# " + request.time + ", answered with " + request.status + (isWhole(request) ? "" : "; its body is not kept whole"));
    lines.push(curl(request, '"$url"'));
    lines.push("echo");
  }
  return lines.join("\n") + "\n";
}

const rust = (text) => '"' + text.replace(/[\\"]/g, "\\$&").replace(/[^ -~]/g, (letter) => "\\u{" + letter.codePointAt(0).toString(16) + "}") + '"';
const place = (path) => (path.startsWith(PREFIX) ? path.slice(PREFIX.length) : path);

/* Counts of paths, and the order of the requests with their answers. */
export function assertions(all) {
  const counts = new Map();
  for (const { path } of all) counts.set(path, (counts.get(path) || 0) + 1);
  const lines = ["use gce_auth_emulator::Emulator;", "", "let emulator = Emulator::builder().start()?;",
    "// Here: run the program with the variables of emulator.env()."];
  for (const [path, count] of counts) lines.push("assert_eq!(emulator.request_count(" + rust(place(path)) + "), " + count + ");");
  lines.push("let requests = emulator.requests();", "let asked: Vec<_> = requests.iter().map(|it| (it.method.as_str(), it.path.as_str(), it.query.as_str(), it.status)).collect();",
    "assert_eq!(asked, [");
  for (const { method, path, query, status } of all) {
    lines.push("    (" + [method, path, query].map(rust).join(", ") + ", " + (status === null ? "None" : "Some(" + status + ")") + "),");
  }
  lines.push("]);");
  return lines.join("\n") + "\n";
}

export function begin() {
  const act = (id, what) => $(id).addEventListener("click", async () => {
    try {
      const all = await requests();
      if (all.length) what(all);
    } catch { say("the emulator does not answer"); }
  });
  act("export", (all) => download("session.json", "application/json", JSON.stringify({ requests: all }, null, 1) + "\n"));
  act("script", (all) => download("session.sh", "text/x-shellscript", script(all)));
  act("assertions", (all) => {
    $("code").textContent = assertions(all);
    $("written").hidden = false;
    $("code").focus();
  });
  $("copy-code").addEventListener("click", () => copy($("code").textContent));
  $("close-code").addEventListener("click", () => { $("written").hidden = true; $("assertions").focus(); });
}
