// The view of devices: how many connections each serves, who has them, who waits for one and since when.
import { $, say, set } from "../dom.js";
import { ago, plural } from "../format.js";
import { t } from "../i18n.js";
import { createPoll } from "../poll.js";
import { createRows } from "../rows.js";
import { complaint } from "./complaint.js";

const TOUCHES = /^(Slot|CameraQueued|CameraIdle|Device|ConfigurationApplied)/;

export function createDevices({ base, clock }) {
  const note = $("device-note");
  const draw = createRows($("device-rows"), { key: ({ id }) => id, create: card, fill });
  const poll = createPoll({ url: () => new URL("api/devices", base), take, fail: (error) => say(note, complaint(error)), clock, tick });

  function take({ devices }) {
    draw(devices);
    say($("device-count"), String(devices.length));
    say(note, devices.length ? "" : t("No camera names a device, so each may open its connection at any time."));
    tick();
  }

  function tick() {
    for (const node of $("device-rows").querySelectorAll("time")) say(node, ago(clock.now() - Date.parse(node.dateTime)));
  }

  return {
    events: (list) => list.some(({ type }) => TOUCHES.test(type)) && poll.hurry(),
    past: (message) => poll.give(message),
    enter: poll.start,
    leave: poll.stop,
  };
}

// How many of how many, and who said so. Pure.
export function budget({ max_connections: most, configured, holders }) {
  const used = most === null ? plural(holders.length, "connection") : t("{used} of {most}", { used: holders.length, most: plural(most, "connection") });
  const learned = most !== null && most !== configured ? t("it refused more than {most}", { most }) : null;
  const said = configured === null ? null : t("{configured} configured", { configured });
  return { used, said: [said, learned].filter(Boolean).join(", ") || t("nobody has said how many it serves") };
}

function card() {
  const node = document.createElement("li");
  node.append(...["h3", "p", "ul"].map((tag) => document.createElement(tag)));
  return node;
}

function fill(node, device) {
  const [title, numbers, list] = node.children;
  const { used, said } = budget(device);
  say(title, device.id);
  say(numbers, `${used} · ${said}`);
  node.toggleAttribute("data-waited", device.waiting.length > 0);
  const held = device.holders.map((slot) => place(slot, "has"));
  const waited = device.waiting.map((slot) => place(slot, "waits"));
  list.replaceChildren(...held, ...waited);
}

function place({ camera, use, since }, how) {
  const row = document.createElement("li");
  const time = Object.assign(document.createElement("time"), { dateTime: since });
  const does = how === "has" ? t("has one ({use}) for", { use }) : t("waits ({use}) for", { use });
  row.append(Object.assign(document.createElement("b"), { textContent: camera }), ` ${does} `, time);
  set(row, "data-how", how);
  return row;
}
