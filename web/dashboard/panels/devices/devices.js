// The view of devices: how many connections each serves, who holds them, who waits for one and since when. While banken
// is away, it shows who held them.
import { $, say, set } from "../../dom.js";
import { about } from "../../events.js";
import { ago, plural } from "../../format.js";
import { n, t } from "../../i18n.js";
import { UNKNOWN } from "../past/view.js";
import { createPoll } from "../../poll.js";
import { createRows } from "../../rows.js";
import { complaint, noAnswer } from "../../complaint.js";
import { definePanel } from "../../panel.js";
import { JA } from "./devices.ja.js";

// Entities whose events change slots and limits; so does a camera that comes to rest.
const ENTITIES = new Set(["slot", "device", "configuration"]);
const touches = ({ type }) => {
  const { entity = "", phase } = about(type);
  return ENTITIES.has(entity) || (entity === "camera" && phase === "idle");
};

export function createDevices({ base, clock }) {
  const note = $("device-note");
  const drawCards = createRows($("device-rows"), {
    key: ({ id }) => id,
    create: card,
    fill: (node, device) => fill(node, device, clock.isSilent()),
  });
  const poll = createPoll({
    url: () => new URL("api/devices", base),
    take,
    fail: (error) => say(note, complaint(error)),
    clock,
    tick,
  });
  let known = null; // the last answer

  function take(answer) {
    known = answer;
    draw();
  }

  function draw() {
    if (!known) return say(note, clock.isSilent() ? noAnswer() : t("Requesting…"));
    const { devices, unknown = null } = known;
    drawCards(devices);
    say($("device-count"), unknown || clock.isSilent() ? "–" : String(devices.length));
    say(
      note,
      devices.length
        ? ""
        : unknown
          ? t(UNKNOWN)
          : t("No camera is assigned to a device, so each can connect at any time."),
    );
    tick();
  }

  function tick() {
    for (const node of $("device-rows").querySelectorAll("time"))
      say(node, ago(clock.now() - Date.parse(node.dateTime)));
  }

  clock.onSilence(draw);

  return {
    events: (list) => list.some(touches) && poll.hurry(),
    // A moment of the past brings its list; now is asked for.
    state: (message) => message.processes && poll.give(message),
    inPast: (is) => is || poll.give(null),
    enter: poll.start,
    leave: poll.stop,
  };
}

// The connections in use, their limit, and the origin of that limit. Pure.
export function budget({ max_connections: most, configured, holders }) {
  const used =
    most === null
      ? plural(holders.length, "connection")
      : t("{used} of {most}", { used: holders.length, most: plural(most, "connection") });
  const learned = most !== null && most !== configured ? t("it refused more than {most}", { most }) : null;
  const said = configured === null ? null : t("{configured} configured", { configured });
  return { used, said: [said, learned].filter(Boolean).join(", ") || t("its connection limit is not known") };
}

function card() {
  const node = document.createElement("li");
  node.append(...["h3", "p", "ul"].map((tag) => document.createElement(tag)));
  return node;
}

function fill(node, device, was) {
  const [title, numbers, list] = node.children;
  const { used, said } = budget(device);
  say(title, device.id);
  say(numbers, `${used} · ${said}`);
  node.toggleAttribute("data-waited", device.waiting.length > 0);
  const held = device.holders.map((slot) => place(slot, "has", was));
  const waited = device.waiting.map((slot) => place(slot, "waits", was));
  list.replaceChildren(...held, ...waited);
}

const DOES = { has: n("holds a slot ({use}) for"), waits: n("waits ({use}) for") };
const DID = { has: n("held a slot ({use}) for"), waits: n("waited ({use}) for") };

function place({ camera, use, since }, how, was) {
  const row = document.createElement("li");
  const time = Object.assign(document.createElement("time"), { dateTime: since });
  const does = t((was ? DID : DOES)[how], { use });
  row.append(Object.assign(document.createElement("b"), { textContent: camera }), ` ${does} `, time);
  set(row, "data-how", how);
  return row;
}

export const panel = definePanel({
  id: "devices",
  needs: "inspect",
  title: n("Devices"),
  past: true,
  words: JA,
  count: "device-count",
  shortcuts: [{ keys: ["d"], says: n("devices") }],
  mount: (_root, { base, clock }) => createDevices({ base, clock }),
});
