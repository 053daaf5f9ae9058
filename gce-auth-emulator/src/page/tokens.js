/* The access tokens that are accepted, and how long new ones live. */

import { ask, quietly } from "./api.js";
import { $, button, keep, make, say, write } from "./dom.js";

function left(seconds) {
  if (seconds < 120) return seconds + " s left";
  return seconds < 7200 ? Math.floor(seconds / 60) + " min left" : Math.floor(seconds / 3600) + " h left";
}

function scopes(token) {
  const short = token.scopes.map((scope) => scope.replace("https://www.googleapis.com/auth/", ""));
  return (token.downscoped ? "downscoped, " : "") + short.join(" ");
}

export async function load() {
  let all;
  try { all = await quietly("tokens/current"); } catch { return; }
  write($("token-count"), all.count + (all.count > all.tokens.length ? ", " + all.tokens.length + " shown" : ""));
  keep($("tokens"), all.tokens, (token) => token.id, (token) => {
    const line = make("li"), bar = make("meter"), who = make("span", "grow");
    who.append(make("b", "", token.principal), " ", make("span", "dim", scopes(token)));
    who.title = "token " + token.id + ", until " + token.expiresAt;
    bar.max = Math.max(token.lifetimeSeconds, 1);
    bar.setAttribute("aria-label", "What is left of token " + token.id);
    line.append(who, make("span", "dim"), button("Revoke", "Revoke token " + token.id, async () => {
      if (await ask("DELETE", "tokens/current/" + token.id)) say("revoked");
      load();
    }), bar);
    return line;
  }, (line, token) => {
    write(line.children[1], left(token.secondsLeft));
    line.lastChild.value = token.secondsLeft;
  });
}

export async function lifetimes() {
  const known = await ask("GET", "tokens");
  if (!known) return;
  $("lifetime").value = known.lifetimeSeconds;
  $("renewal").value = known.renewalSeconds;
}

export function begin() {
  lifetimes();
  $("set-tokens").addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = { lifetimeSeconds: Number($("lifetime").value), renewalSeconds: Number($("renewal").value) };
    if (await ask("POST", "tokens", body)) { say("set for new tokens"); lifetimes(); }
  });
  $("rotate").addEventListener("click", async () => { if (await ask("POST", "tokens/rotate")) say("the next token is a new one"); });
  $("revoke").addEventListener("click", async () => { if (await ask("POST", "tokens/revoke")) { say("all are revoked"); load(); } });
}
