// The view of recordings: which cameras are recorded, why one is not, how much room is left. A person starts and stops
// those that the configuration leaves to people, and takes clips.
import { may } from "../../access.js";
import { complaint, noAnswer } from "../../complaint.js";
import { on, partsOf, say, set, stamp } from "../../dom.js";
import { about } from "../../events.js";
import { problemOf, send } from "../../forms.js";
import { fixed, fullTime } from "../../format.js";
import { n, t } from "../../i18n.js";
import { createPoll } from "../../poll.js";
import { createRows } from "../../rows.js";
import { definePanel } from "../../panel.js";
import { JA } from "./recordings.ja.js";

const BY_PEOPLE = new Set(["demand", "events"]);
const STEPS = ["B", "kB", "MB", "GB", "TB"];

// Bytes in words: 3.4 GB. Pure.
export function sizeWords(bytes) {
  const step = Math.min(STEPS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const value = bytes / 1000 ** step;
  return `${fixed(value, step && value < 100 ? 1 : 0)} ${STEPS[step]}`;
}

// The state of a camera's recording, in words. Pure.
export function recordingWords({ state, mode, reason }) {
  if (state === "recording") return t("is recorded");
  if (state === "interrupted") return t("is interrupted: {reason}", { reason: reason?.text ?? "" });
  if (mode === "off") return t("is not recorded");
  if (mode === "demand") return t("is recorded when somebody starts it");
  return mode === "events" ? t("waits for an event") : t("waits for its camera");
}

// How long the room lasts, in words. Pure.
export function roomWords({ days_left: days, turns_over_days: turns }) {
  if (days !== null) return t("full in {days} days at today's rate", { days: fixed(days, days < 10 ? 1 : 0) });
  return turns === null ? "" : t("keeps about {days} days", { days: fixed(turns, turns < 10 ? 1 : 0) });
}

// `takeClip(id)`: the dialog of clips is opened.
export function createRecordings({ root, base, clock, takeClip }) {
  const parts = partsOf(root);
  const note = parts["recording-note"];
  const rooms = new Map();
  const titles = new Map();
  const nameOf = (id) => titles.get(id) ?? id;
  const draw = createRows(parts["recording-rows"], { key: ({ camera }) => camera, create, fill });
  const drawRooms = createRows(parts["recording-rooms"], {
    key: ({ archive }) => archive,
    create: () => document.createElement("li"),
    fill: fillRoom,
  });
  let recordings = null; // until the first answer
  let problem = "";
  const poll = createPoll({
    url: () => new URL("api/recordings", base),
    take(answer) {
      recordings = answer.recordings;
      show();
    },
    fail: (error) => say(note, complaint(error)),
    clock,
    tick() {},
  });
  const room = createPoll({
    url: () => new URL("api/archives", base),
    take(answer) {
      rooms.clear();
      for (const { cameras } of answer.archives) for (const each of cameras) rooms.set(each.camera, each);
      drawRooms(answer.archives);
      show();
    },
    fail() {},
    clock,
    tick() {},
  });

  function create({ camera }) {
    const row = stamp("recording-template");
    const cells = partsOf(row);
    on(cells["recording-switch"], "click", () => change(camera, cells["recording-switch"].dataset.starts === "true"));
    on(cells["recording-clip"], "click", () => takeClip(camera));
    return row;
  }

  function fill(row, recording) {
    const cells = partsOf(row);
    const { camera, mode, state, began, requested, until } = recording;
    const kept = rooms.get(camera);
    const name = nameOf(camera);
    const facts = [
      began && t("since {time}", { time: fullTime(new Date(began)) }),
      until && t("until {time}", { time: fullTime(new Date(until)) }),
      kept && sizeWords(kept.bytes),
      kept?.oldest && t("from {time} on", { time: fullTime(new Date(kept.oldest)) }),
      mode === "off" && t("record: always in the configuration records it"),
    ];
    set(row, "data-state", state === "stopped" ? mode : state);
    say(cells["recording-camera"], name);
    say(cells["recording-state"], recordingWords(recording));
    say(cells["recording-facts"], facts.filter(Boolean).join(" · "));
    const button = cells["recording-switch"];
    button.hidden = !BY_PEOPLE.has(mode) || !may("operate");
    button.dataset.starts = String(!requested);
    say(button, requested ? t("Stop recording") : t("Record"));
    set(button, "aria-label", requested ? t("Stop recording {name}", { name }) : t("Record {name}", { name }));
    cells["recording-clip"].hidden = !may("review");
    set(cells["recording-clip"], "aria-label", t("Take a clip of {name}", { name }));
  }

  function fillRoom(node, one) {
    const used = t("{bytes} of {budget}", { bytes: sizeWords(one.bytes), budget: sizeWords(one.budget_bytes) });
    say(node, [one.archive, used, roomWords(one), one.warning].filter(Boolean).join(" · "));
    node.toggleAttribute("data-troubled", Boolean(one.warning));
  }

  function show() {
    if (!recordings) return say(note, clock.isSilent() ? noAnswer() : t("Requesting…"));
    draw(recordings);
    const none = recordings.every(({ mode }) => mode === "off");
    say(note, problem || (none ? t("No camera is recorded. With record: always, its video is kept.") : ""));
  }

  async function change(camera, starts) {
    problem = "";
    const url = new URL(starts ? "api/recordings" : `api/recordings/${encodeURIComponent(camera)}`, base);
    await send(url, starts ? "POST" : "DELETE", starts ? { camera } : null).catch((error) => {
      problem = problemOf(error);
    });
    poll.again();
  }

  return {
    state(message) {
      titles.clear();
      for (const { id, title } of message.cameras) titles.set(id, title);
    },
    events: (list) => list.some(({ type }) => about(type).entity === "recording") && poll.hurry(),
    enter() {
      problem = "";
      poll.start();
      if (may("review")) room.start();
    },
    leave() {
      poll.stop();
      room.stop();
    },
  };
}

export const panel = definePanel({
  id: "recordings",
  needs: "inspect",
  title: n("Recordings"),
  past: false,
  words: JA,
  shortcuts: [{ keys: ["c"], says: n("recordings") }],
  mount: (root, { base, clock, panels }) =>
    createRecordings({
      root,
      base,
      clock,
      takeClip: (id) => panels.clip.open(id),
    }),
});
