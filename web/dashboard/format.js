// Numbers and times as words. Pure except for the language; times in milliseconds since the epoch.
import { currentLanguage, t } from "./i18n.js";

export function ago(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return t("{seconds} s", { seconds });
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return t("{minutes} min", { minutes });
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return t("{hours} h {minutes}", { hours, minutes: pad(minutes % 60) });
  return t("{days} d {hours} h", { days: Math.floor(hours / 24), hours: hours % 24 });
}

// A duration in the words of `banken stats` (describe.py, `seconds`).
export function lasted(seconds) {
  if (seconds < 10) return t("{seconds} s", { seconds: fixed(seconds, 1) });
  if (seconds < 120) return t("{seconds} s", { seconds: fixed(seconds, 0) });
  const minutes = Number(fixed(seconds / 60, 0));
  if (minutes < 120) return t("{minutes} min", { minutes });
  return t("{hours} h {minutes} min", { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
}

const EXACT = 100;

// Rounds as Python prints a number: half to even, where `toFixed` takes the greater value.
export function fixed(value, digits) {
  const [whole, rest] = value.toFixed(EXACT).split(".");
  const kept = whole + rest.slice(0, digits);
  if (!/^50*$/.test(rest.slice(digits)) || Number(kept.at(-1)) % 2) return value.toFixed(digits);
  return digits ? `${whole}.${rest.slice(0, digits)}` : whole;
}

export const inSeconds = (milliseconds) => {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  return seconds < 90 ? t("{seconds} s", { seconds }) : t("{minutes} min", { minutes: Math.ceil(seconds / 60) });
};

export const bitrate = (bits) => (bits >= 1e6 ? `${fixed(bits / 1e6, 1)} Mb/s` : `${fixed(bits / 1e3, 0)} kb/s`);

export const resolution = (width, height) => `${width}×${height}`;

// The usual spelling of codecs, as in supervisor/domain/values.py; that of others is in capitals.
const CODEC_NAMES = {
  h264: "H.264",
  h265: "H.265",
  mpeg4: "MPEG-4",
  aac: "AAC",
  latm: "AAC (LATM)",
  opus: "Opus",
  pcmu: "G.711 µ-law",
  pcma: "G.711 A-law",
  g722: "G.722",
  g723: "G.723",
  g726: "G.726",
  "aal2-g726": "G.726 (AAL2)",
  mpa: "MPEG audio",
  speex: "Speex",
  pcm: "PCM",
};

export const codecName = (codec) => CODEC_NAMES[(codec ?? "").toLowerCase()] ?? (codec ?? "").toUpperCase();

export const plural = (count, word) => t(`{count} ${word}${count === 1 ? "" : "s"}`, { count });

// The current state, or the one last known.
export const stateWords = (state, was) => (was ? t("was {state}", { state: t(state) }) : t(state));

// A file name that every file system accepts: the camera and the second in UTC.
export const pictureName = (camera, time) => `${camera}-${(time ?? "").slice(0, 19).replaceAll(":", "-")}Z.jpg`;

// The offset of local time at a moment, as UTC, UTC+1 or UTC-3:30.
export function zoneOf(date) {
  const minutes = -date.getTimezoneOffset();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return minutes === 0 ? "UTC" : `UTC${minutes < 0 ? "-" : "+"}${hours}${rest ? `:${pad(rest)}` : ""}`;
}

// The current offset is in the page's header, once; a time with another offset shows its own.
const another = (date) => (zoneOf(date) === zoneOf(new Date()) ? "" : ` ${zoneOf(date)}`);

export const clockTime = (date, { milliseconds = false } = {}) => clock(date, milliseconds) + another(date);

// 07:51 UTC+2, or 07:51 where the offset is the current one.
export const clockMinute = (date) => clock(date).slice(0, 5) + another(date);

// Always with its offset: for places where the header is out of sight.
export const zonedTime = (date) => `${clock(date)} ${zoneOf(date)}`;

function clock(date, milliseconds = false) {
  const text = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return milliseconds ? `${text}.${String(date.getMilliseconds()).padStart(3, "0")}` : text;
}

export const isMidnight = (date) => clock(date, true) === "00:00:00.000";

const TAGS = { en: "en-GB", ja: "ja-JP" };

// Created once the language is known.
const formatter = (options) => {
  let made = null;
  return (date) => (made ??= new Intl.DateTimeFormat(TAGS[currentLanguage()], options)).format(date);
};

export const clockDate = formatter({ weekday: "short", day: "numeric", month: "short" });

export const clockDay = formatter({ day: "numeric", month: "short" });

const dayAndTime = formatter({ dateStyle: "medium", timeStyle: "medium" });

export const fullTime = (date) => `${dayAndTime(date)} ${zoneOf(date)}`;

const pad = (number) => String(number).padStart(2, "0");
