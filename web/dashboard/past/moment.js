// Where in the journal one is, as numbers and words. Pure; times in milliseconds since the epoch.
import { clockDay, clockTime } from "../format.js";
import { t } from "../i18n.js";

export const SPEEDS = [0.1, 0.5, 1, 2, 10, 60, 300, 1000];

// What stands behind at= in the address: the number of an event, or a time. → {seq}, {at} or null
export function parseMoment(text) {
  if (/^\d{1,15}$/.test(text ?? "")) return Number(text) > 0 ? { seq: Number(text) } : null;
  const at = Date.parse(text ?? "");
  return Number.isFinite(at) ? { at } : null;
}

export const formatMoment = ({ seq = null, at = null }) => (seq === null ? new Date(at).toISOString() : String(seq));

export const queryOf = ({ seq = null, at = null }) => (seq === null ? `at=${new Date(at).toISOString()}` : `seq=${seq}`);

// What the slider reaches: the last `span` of the journal (null: all of it), or as much around `at` if that lies before.
export function reach({ first, last, span, at }) {
  const whole = { min: first, max: Math.max(first + 1000, last) };
  if (span === null || last - first <= span) return whole;
  if (at >= last - span) return { min: last - span, max: last };
  const min = Math.max(first, Math.min(at - span / 2, last - span));
  return { min, max: min + span };
}

// Where playing has come to after `elapsed` milliseconds, and whether that is the end.
export function advance(at, speed, elapsed, last) {
  const reached = Math.min(at + elapsed * speed, last);
  return { at: reached, ended: reached >= last };
}

export function words(at) {
  const date = new Date(at);
  return t("This is the past: {time} on {day}", { time: clockTime(date), day: clockDay(date) });
}
