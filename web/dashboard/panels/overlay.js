// What stands over a picture, in words: first the camera's trouble, then the connection's, else nothing.
// Pure; → {mark, title, detail, next, tone} or null. Times are milliseconds since the epoch.
// Tones are the states of a camera; `note` leaves the picture free, `rest` leaves room for the play button.
import { ago, inSeconds } from "../format.js";
import { n, t } from "../i18n.js";
import { hopeless } from "../player/table.js";
import { silence } from "./sound.js";

const CAMERA_TITLES = {
  queued: n("Waiting for its turn"),
  connecting: n("Connecting to the camera"),
  waiting: n("Waiting for the camera"),
  failed: n("Failed"),
  quarantined: n("In quarantine"),
};

const ADVICE = {
  temporary: n("This usually passes by itself."),
  fatal: n("Check its settings or the camera."),
  crash: n("A fault in banken; the others run on."),
};

// `ended` is what the server said when it ended this connection, `heardAt` when the camera last sent anything,
// `takenAt` of when the last picture of a camera at rest is; each may be null. `loud`: sound is wanted.
export function describe({ camera, player, dueAt, paused, agreed, pictured, now, localNow, ...more }) {
  const { resting = false, fallsBack = false, ended = null, heardAt = null, takenAt = null, loud = false, substream = null } = more;
  if (ended && !agreed) return calm(sentence(ended), t("Press play to watch again."));
  if (resting && !TROUBLES.has(camera.state)) return atRest(camera, takenAt, now);
  if (CAMERA_TITLES[camera.state]) return troubled(camera, now);
  if (camera.state === "stalled" && agreed) return note(t("Nothing has come for {time}", { time: ago(now - (heardAt ?? Date.parse(camera.since))) }));
  if (!agreed) return calm(paused ? t("Paused") : t("Not being watched"), t("Press play to watch."));
  const detail = player.reason ? sentence(player.reason) : "";
  if (fallsBack) return pictured ? note(t("Still pictures only: {reason}", { reason: hopeless(player) ? player.reason : t("WebRTC does not come through") })) : calm(t("Asking for still pictures"), detail);
  if (player.name === "refused") return { mark: "failed", tone: "failed", title: t("Refused"), detail, next: t("Press play to ask again.") };
  if (player.name === "retrying") {
    return { mark: "waiting", tone: "waiting", title: pictured ? t("Picture lost") : t("No picture yet"), detail, next: countdown(dueAt - localNow) };
  }
  if (player.name === "stale") return { mark: "waiting", tone: "waiting", title: t("Picture stands still"), detail, next: "" };
  if (player.name === "connecting") return { mark: "connecting", tone: "connecting", title: t("Opening the picture"), detail, next: "" };
  if (camera.state === "idle" && player.name !== "live") return calm(t("Idle"), camera.reason?.text ?? t("Starts when somebody watches."));
  const why = loud && silence(camera, substream);
  if (why) return note(t("No sound: {reason}", { reason: why }));
  return null;
}

// At rest, only these are worth more words than the picture: the others are what somebody else has it open for.
const TROUBLES = new Set(["waiting", "failed", "quarantined"]);

function atRest(camera, takenAt, now) {
  const title = takenAt === null ? t("No picture yet") : t("Picture of {time} ago", { time: ago(now - takenAt) });
  const detail = camera.state === "queued" ? sentence(camera.reason.text) : "";
  return { mark: "idle", tone: "rest", title, detail, next: "" };
}

const note = (title) => ({ mark: "idle", tone: "note", title, detail: "", next: "" });

function troubled(camera, now) {
  const detail = tells(camera) ? sentence(camera.reason.text) : "";
  const advice = camera.state === "connecting" ? "" : (camera.reason?.fault in ADVICE ? t(ADVICE[camera.reason.fault]) : "");
  const next = camera.retry_at ? countdown(Date.parse(camera.retry_at) - now) : advice;
  return { mark: camera.state, tone: camera.state, title: t(CAMERA_TITLES[camera.state]), detail, next };
}

// Whether the camera's reason is of concern. Why it rested before it was opened is not.
export const tells = ({ state, reason }) => Boolean(reason) && state !== "live" && (state !== "connecting" || reason.fault !== "none");

const calm = (title, detail) => ({ mark: "idle", tone: "idle", title, detail, next: "" });

const countdown = (milliseconds) => (milliseconds > 0 ? t("Next try in {time}", { time: inSeconds(milliseconds) }) : t("Trying now"));

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?。]$/.test(text) ? "" : /[ -~]$/.test(text) ? "." : "。");
