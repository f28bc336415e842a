// Numbers and times as words. Pure; times in milliseconds since the epoch.

export function ago(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${pad(minutes % 60)}`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export const inSeconds = (milliseconds) => {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  return seconds < 90 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
};

export const bitrate = (bits) => (bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mb/s` : `${Math.round(bits / 1e3)} kb/s`);

export const resolution = (width, height) => `${width}×${height}`;

export const codecName = (codec) => (codec ?? "").toUpperCase().replace(/^H26/, "H.26");

export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

// A name that every file system takes: the camera and the second in UTC.
export const pictureName = (camera, time) => `${camera}-${(time ?? "").slice(0, 19).replaceAll(":", "-")}Z.jpg`;

export function clockTime(date, { milliseconds = false } = {}) {
  const text = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return milliseconds ? `${text}.${String(date.getMilliseconds()).padStart(3, "0")}` : text;
}

const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });

export const clockDate = (date) => DAY.format(date);

const DAY_ONLY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export const clockDay = (date) => DAY_ONLY.format(date);

const FULL = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

export const fullTime = (date) => FULL.format(date);

const pad = (number) => String(number).padStart(2, "0");
