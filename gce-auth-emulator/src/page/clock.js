/* The emulator's time. */

import { ask } from "./api.js";
import { $, button, write } from "./dom.js";

export function show(state) {
  write($("now"), state.now.replace("T", " ").replace(/(\.\d+)?Z/, " UTC"));
  $("freeze").setAttribute("aria-pressed", String(state.frozen));
  write($("freeze"), state.frozen ? "Run on" : "Freeze");
}

async function change(body) {
  const state = await ask("POST", "clock", body);
  if (state) show(state);
}

export function begin() {
  for (const [text, seconds] of [["−1 h", -3600], ["−1 min", -60], ["+1 min", 60], ["+5 min", 300], ["+1 h", 3600], ["+1 day", 86400]]) {
    $("moves").append(button(text, seconds < 0 ? "Move the clock back" : "Move the clock ahead", () => change({ advanceSeconds: seconds })));
  }
  $("set-clock").addEventListener("submit", (event) => { event.preventDefault(); change({ now: $("time").value.trim() }); });
  $("freeze").addEventListener("click", () => change({ frozen: $("freeze").getAttribute("aria-pressed") !== "true" }));
}
