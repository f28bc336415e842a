// The text over a picture: first the camera's trouble, then the connection's, else nothing.
// Pure. → {mark, title, detail, next, tone, lang?, titleLang?} or null; the languages are those of text from the
// journal. Times are milliseconds since the epoch.
// Tones are the states of a camera; `note` leaves the picture free, `rest` leaves room for the play button.
import { ago, inSeconds } from "../../format.js";
import { n, t } from "../../i18n.js";
import { ENOUGH, hopeless, isPutOff } from "../../player/table.js";
import { span } from "./privacy.js";
import { silence } from "./sound.js";

const CAMERA_TITLES = {
  queued: n("Waiting for a connection slot"),
  connecting: n("Connecting to the camera"),
  waiting: n("Waiting for the camera"),
  failed: n("Failed"),
  quarantined: n("In quarantine"),
};

const B_FRAMES = n("It sends B-frames, which browsers show jerkily: turn them off in the camera");

const ADVICE = {
  temporary: n("This usually passes by itself."),
  fatal: n("Check its settings or the camera."),
  crash: n("A fault in banken; the other cameras continue."),
};

// `stale`: banken is away. `ended`: the server's reason for ending this connection. `heardAt`: when the camera last
// sent anything. `alone`: the camera is displayed alone, and play was not pressed. `takenAt`: when the last snapshot of
// an idle camera was taken. Each of these may be null. `loud`: audio is wanted. `now`: the known moment; `present`: the
// moment against which pictures age. `denied`: the user may not watch.
export function describe({ camera, player, dueAt, paused, agreed, pictured, now, localNow, ...more }) {
  const {
    resting = false,
    fallsBack = false,
    ended = null,
    heardAt = null,
    takenAt = null,
    loud = false,
    substream = null,
    alone = false,
    stale = false,
    endedLang = null,
    denied = false,
    present = now,
  } = more;
  if (denied && !CAMERA_TITLES[camera.state]) return calm(t("No picture"), t("Your role does not watch cameras."));
  if (camera.privacy) return hidden(camera.privacy, now);
  if (ended && !agreed) return { ...calm(sentence(ended), t("Press play to watch again.")), titleLang: endedLang };
  if (resting && !TROUBLES.has(camera.state)) return atRest(camera, takenAt, present, alone);
  if (CAMERA_TITLES[camera.state]) return troubled(camera, now, stale);
  if (camera.state === "stalled" && agreed)
    return note(t("Nothing has come for {time}", { time: ago(now - (heardAt ?? Date.parse(camera.since))) }));
  if (!agreed) return calm(paused ? t("Paused") : t("Not being watched"), t("Press play to watch."));
  const detail = player.reason ? sentence(player.reason) : "";
  if (fallsBack && stale)
    return lost(
      pictured,
      sentence(t("the server did not answer")),
      player.name === "probing" || dueAt !== null ? countdown(dueAt - localNow) : "",
    );
  if (fallsBack)
    return pictured
      ? note(t("Snapshots only: {reason}", { reason: whySnapshots(player) }))
      : calm(t("Loading snapshots"), detail);
  if (player.name === "refused")
    return { mark: "failed", tone: "failed", title: t("Refused"), detail, next: t("Press play to ask again.") };
  if (isPutOff(player) && pictured) return putOff(takenAt, present, detail, countdown(dueAt - localNow));
  if (player.name === "retrying") return lost(pictured, detail, countdown(dueAt - localNow));
  if (player.name === "stale")
    return { mark: "waiting", tone: "waiting", title: t("The picture is frozen"), detail, next: "" };
  if (player.name === "connecting")
    return { mark: "connecting", tone: "connecting", title: t("Opening the picture"), detail, next: "" };
  if (camera.state === "idle" && player.name !== "live") return idle(camera);
  const why = loud && silence(camera, substream);
  if (why) return note(t("No audio: {reason}", { reason: why }));
  if (camera.b_frames && !substream && camera.transcode === "never") return note(t(B_FRAMES));
  return null;
}

const hidden = (privacy, now) => ({
  mark: "private",
  tone: "idle",
  title: t("Private"),
  detail: span(privacy, now),
  next: sentence(privacy.reason.text),
});

// At rest, only these states matter more than the picture; the others come from other viewers' use of the camera.
const TROUBLES = new Set(["waiting", "failed", "quarantined"]);

function atRest(camera, takenAt, now, alone) {
  const title = takenAt === null ? t("No picture yet") : t("Picture of {time} ago", { time: ago(now - takenAt) });
  const detail = camera.state === "queued" ? sentence(camera.reason.text) : "";
  const next = alone ? t("Press play to watch. This page alone opens no camera.") : "";
  return { mark: "idle", tone: "rest", title, detail, next, lang: "en" };
}

// The picture stays free; below it stand the reason and the time of the next attempt.
const putOff = (takenAt, now, detail, next) => ({
  ...note(takenAt === null ? t("Picture lost") : t("Picture of {time} ago", { time: ago(now - takenAt) })),
  detail,
  next,
  lang: "en",
});

const idle = ({ reason }) =>
  reason
    ? { ...calm(t("Idle"), sentence(reason.text)), lang: "en" }
    : calm(t("Idle"), t("Starts when somebody watches."));

const lost = (pictured, detail, next) => ({
  mark: "waiting",
  tone: "waiting",
  title: pictured ? t("Picture lost") : t("No picture yet"),
  detail,
  next,
});

// A failure of WebRTC is certain only where the server answered and no media arrived.
const whySnapshots = ({ misses, reason }) =>
  reason && (hopeless({ misses }) || misses < ENOUGH) ? reason : t("WebRTC cannot connect");

const note = (title) => ({ mark: "idle", tone: "note", title, detail: "", next: "" });

// While banken is away (`stale`) nothing retries the camera.
function troubled(camera, now, stale) {
  const detail = tells(camera) ? sentence(camera.reason.text) : "";
  const advice =
    camera.state === "connecting" ? "" : camera.reason?.fault in ADVICE ? t(ADVICE[camera.reason.fault]) : "";
  const next = stale ? "" : camera.retry_at ? countdown(Date.parse(camera.retry_at) - now) : advice;
  return { mark: camera.state, tone: camera.state, title: t(CAMERA_TITLES[camera.state]), detail, next, lang: "en" };
}

// Whether the camera's reason matters. The reason why it was idle before it was opened does not.
export const tells = ({ state, reason }) =>
  Boolean(reason) && state !== "live" && (state !== "connecting" || reason.fault !== "none");

const calm = (title, detail) => ({ mark: "idle", tone: "idle", title, detail, next: "" });

const countdown = (milliseconds) =>
  milliseconds > 0 ? t("Next try in {time}", { time: inSeconds(milliseconds) }) : t("Trying now");

// A reason as a complete sentence.
export const sentence = (text) =>
  text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?。]$/.test(text) ? "" : /[ -~]$/.test(text) ? "." : "。");
