/* What happens to the machine: events, and the steps that they take. */

import { ask } from "./api.js";
import { $, button, keep, make, say, write } from "./dom.js";

/* Kind, name, and what may be changed. */
const KINDS = [
  ["preempt", "Preemption", { noticeSeconds: 30 }],
  ["maintenance", "Maintenance: live migration", { action: "MIGRATE", noticeSeconds: 60 }],
  ["maintenance", "Maintenance: termination", { action: "TERMINATE", noticeSeconds: 60 }],
  ["live-migration", "Live migration with a jump of the clock", { noticeSeconds: 60, jumpSeconds: 1 }],
  ["host-error", "Host error", { restartSeconds: 60 }],
  ["shutdown", "Shutdown", { graceSeconds: 600, targetState: "STOPPED" }],
  ["detach-account", "Account detached", {}],
  ["exchange-account", "Account exchanged", { email: "other@my-project.iam.gserviceaccount.com" }],
  ["attach-disk", "Disk attached", { deviceName: "data" }],
  ["attach-interface", "Interface attached", {}],
  ["set-attributes", "Attributes set", { attributes: { key: "value" } }],
];

const SHOWN = { scheduled: "warn", playing: "bad", over: "good" };

/* `noticeSeconds: 60` as `notice 60 s`. What is off is left out. */
function detail([key, value]) {
  if (value === null || value === false || value === 0) return [];
  const name = key.replace(/Seconds$/, "").replace(/[A-Z]/g, (letter) => " " + letter.toLowerCase());
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return [value === true ? name : name + " " + text + (key.endsWith("Seconds") ? " s" : "")];
}

function words(shown) {
  const { kind, ...details } = shown.event;
  const text = [shown.id + ": " + kind];
  if (shown.client) text.push("client " + shown.client);
  if (shown.repeat > 1) text.push("round " + shown.round + " of " + shown.repeat);
  if (shown.isDown) text.push("the machine is down");
  text.push(...Object.entries(details).flatMap(detail));
  return text.join(" · ");
}

export function show(all, again) {
  $("cancel-all").hidden = all.length === 0;
  keep($("events"), all, (event) => event.id, (event) => {
    const line = make("li"), steps = make("ol");
    steps.setAttribute("aria-label", "Steps of event " + event.id);
    line.append(make("span", "badge"), make("span", "grow"),
      button("Cancel", "Cancel event " + event.id + " and take back what it did", async () => { await ask("DELETE", "machine-events/" + event.id); again(); }), steps);
    return line;
  }, (line, event) => {
    line.firstChild.className = "badge " + (SHOWN[event.state] || "");
    write(line.firstChild, event.state);
    write(line.children[1], words(event));
    const steps = event.steps.map((step, index) => ({ ...step, index }));
    keep(line.lastChild, steps, (step) => step.index, () => make("li"), (item, step) => {
      item.className = step.done ? "done" : "";
      write(item, step.at.replace("T", " ").replace("Z", "") + " " + step.what);
    });
  });
}

export function begin(again) {
  $("event").append(...KINDS.map(([, name], index) => new Option(name, index)));
  const chosen = () => KINDS[Number($("event").value)];
  const details = () => { $("details").value = JSON.stringify(chosen()[2]); };
  $("event").addEventListener("change", details);
  details();
  $("play").addEventListener("submit", async (event) => {
    event.preventDefault();
    let more;
    try { more = JSON.parse($("details").value || "{}"); } catch { say("the details must be a JSON object"); return; }
    const body = { event: { kind: chosen()[0], ...more } };
    const number = (id) => Number($(id).value) || 0;
    if (number("delay")) body.inSeconds = number("delay");
    if (number("repeat") > 1) body.repeat = number("repeat");
    const client = $("event-client").value.trim();
    if (client) body.client = client;
    const added = await ask("POST", "machine-events", body);
    if (added) { say("event " + added.id + " is scheduled"); again(); }
  });
  $("cancel-all").addEventListener("click", async () => { await ask("DELETE", "machine-events"); $("event").focus(); again(); });
}
