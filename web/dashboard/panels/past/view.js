// The text on a camera's tile in the past, and why no action is possible there. Pure.
import { n, t } from "../../i18n.js";
import { describe, sentence } from "../wall/overlay.js";

export const REFUSAL = n("This is the past: it cannot be changed.");

// For a moment at which no daemon ran.
export const UNKNOWN = n("No data for this time: the daemon was not running, or it ended abnormally.");

const TITLES = {
  live: n("Was live"),
  idle: n("Was at rest"),
  stalled: n("Had stalled"),
  unknown: n("Nothing is known"),
};
const NO_PLAYER = Object.freeze({ name: "idle", reason: null });

export function pastView(camera, now) {
  const title = camera.privacy ? undefined : TITLES[camera.state];
  if (!title)
    return describe({
      camera,
      player: NO_PLAYER,
      dueAt: null,
      paused: false,
      agreed: false,
      pictured: false,
      now,
      localNow: now,
    });
  const words = { mark: camera.state, tone: camera.state, title: t(title), detail: "", next: "" };
  if (camera.state === "live") return { ...words, detail: t("Its video is not recorded.") };
  if (camera.state === "unknown") return { ...words, detail: t("The daemon was not running, or it ended abnormally.") };
  return camera.reason ? { ...words, detail: sentence(camera.reason.text), lang: "en" } : words;
}

const NOTHING = Object.freeze({
  state: "unknown",
  since: null,
  reason: null,
  retry_at: null,
  retried: false,
  viewers: null,
  codec: null,
  width: null,
  height: null,
  audio: "",
  mute: "",
  b_frames: false,
  transcoder_cpu: null,
  privacy: null,
});

// The message of a moment without a daemon, made from the state before: its cameras, without their states. Pure.
export const unknownOf = (message) => ({
  ...message,
  cameras: message.cameras.map((camera) => ({ ...camera, ...NOTHING })),
  health: { verdict: "unknown", parts: [] },
  refused: null,
  suggestions: [],
  leases: [],
  peers: [],
  uses: [],
  rooms: [],
  processes: [],
  devices: [],
});
