// Numbers and times as words. Pure but for the language; times in milliseconds since the epoch.
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

export const inSeconds = (milliseconds) => {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  return seconds < 90 ? t("{seconds} s", { seconds }) : t("{minutes} min", { minutes: Math.ceil(seconds / 60) });
};

export const bitrate = (bits) => (bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mb/s` : `${Math.round(bits / 1e3)} kb/s`);

export const resolution = (width, height) => `${width}×${height}`;

export const codecName = (codec) => (codec ?? "").toUpperCase().replace(/^H26/, "H.26");

export const plural = (count, word) => t(`{count} ${word}${count === 1 ? "" : "s"}`, { count });

// A name that every file system takes: the camera and the second in UTC.
export const pictureName = (camera, time) => `${camera}-${(time ?? "").slice(0, 19).replaceAll(":", "-")}Z.jpg`;

export function clockTime(date, { milliseconds = false } = {}) {
  const text = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return milliseconds ? `${text}.${String(date.getMilliseconds()).padStart(3, "0")}` : text;
}

const TAGS = { en: "en-GB", ja: "ja-JP" };

// Made once it is known which language is spoken.
const formatter = (options) => {
  let made = null;
  return (date) => (made ??= new Intl.DateTimeFormat(TAGS[currentLanguage()], options)).format(date);
};

export const clockDate = formatter({ weekday: "short", day: "numeric", month: "short" });

export const clockDay = formatter({ day: "numeric", month: "short" });

export const fullTime = formatter({ dateStyle: "medium", timeStyle: "long" });

const pad = (number) => String(number).padStart(2, "0");
