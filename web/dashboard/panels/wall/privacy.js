// Switches a camera off for privacy, and on again. Rules of this file:
// 1. The server decides. This page shows the switch to those who may use it.
// 2. One press is one request: nothing is resent automatically.
import { may } from "../../access.js";
import { ask } from "../../ask.js";
import { clockMinute, fullTime } from "../../format.js";
import { t } from "../../i18n.js";

const TIMEOUT_MS = 5000;

// A substream is switched with its camera.
export const canHide = ({ id, privacy }) => may("operate") && (!privacy || privacy.camera === id);

// Resolves when the server has accepted the switch. Raises as `ask`.
export const hide = ({ base, camera }) =>
  ask(new URL(`api/cameras/${encodeURIComponent(camera.id)}/privacy`, base), {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ on: !camera.privacy }),
    tries: 1,
    timeout: TIMEOUT_MS,
  });

// Since when and until when a camera is private, in words; times of another day with their date. Pure.
export function span({ since, until }, now) {
  const words = { since: short(since, now), until: until === null ? null : short(until, now) };
  return words.until === null ? t("Since {since}", words) : t("Since {since}, until {until}", words);
}

function short(time, now) {
  const date = new Date(time);
  return date.toDateString() === new Date(now).toDateString() ? clockMinute(date) : fullTime(date);
}
