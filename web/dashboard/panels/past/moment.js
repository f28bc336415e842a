// A position in the journal, as numbers and words. Pure; times in milliseconds since the epoch.
import { clockDay, zonedTime } from "../../format.js";
import { t } from "../../i18n.js";

export const SPEEDS = [0.1, 0.5, 1, 2, 10, 60, 300, 1000];

// A browser takes much for a date: "-1" is in the year 2001. A time begins with a day of ISO 8601.
const DAY = /^\d{4}-\d\d-\d\d/;

// The value of at= in the address: the number of an event, or a time. → {seq}, {at} or null
export function parseMoment(text) {
  if (/^\d{1,15}$/.test(text ?? "")) return Number(text) > 0 ? { seq: Number(text) } : null;
  const at = DAY.test(text ?? "") ? Date.parse(text) : NaN;
  return Number.isFinite(at) ? { at } : null;
}

/** @typedef {{seq?: number | null, at?: any}} Moment the number of an event, or a time */

/** @type {(moment: Moment) => string} */
export const formatMoment = ({ seq = null, at = null }) => (seq === null ? new Date(at).toISOString() : String(seq));

/** @type {(moment: Moment) => string} */
export const queryOf = ({ seq = null, at = null }) =>
  seq === null ? `at=${new Date(at).toISOString()}` : `seq=${seq}`;

/**
 * The range of the slider: the last `span` of the journal (null: all of it), or a range of that length around `at` if
 * `at` lies before. The previous range (`held`) stays while `at` is within it. → {min, max, span, toEnd}
 *
 * @param {{first: number, last: number, span: number | null, at: number, held?: any}} wanted
 */
export function reach({ first, last, span, at, held = null }) {
  const end = Math.max(first + 1000, last);
  if (span === null || last - first <= span) return { min: first, max: end, span, toEnd: true };
  if (at >= last - span) return { min: last - span, max: last, span, toEnd: true };
  const isWithin = held?.span === span && held.min < at && at < held.max;
  if (isWithin && !held.toEnd) return held;
  const min = Math.max(first, Math.min(at - span / 2, last - span));
  return { min, max: min + span, span, toEnd: false };
}

// The position of the playback after `elapsed` milliseconds, and whether it is the end.
export function advance(at, speed, elapsed, last) {
  const reached = Math.min(at + elapsed * speed, last);
  return { at: reached, ended: reached >= last };
}

export function words(at) {
  const date = new Date(at);
  return t("This is the past: {time} on {day}", { time: zonedTime(date), day: clockDay(date) });
}

// The largest number of steps in one request, however many are wanted.
export const MOST_STEPS = 100;

// One wish in place of two: steps of the same kind add up, and steps that cancel out leave no wish (null). Otherwise
// the last wish counts. A wish for steps is {find: "event" | "failure", by}.
export function added(waiting, wish) {
  if (!wish.find || waiting.find !== wish.find) return wish;
  const by = Math.max(-MOST_STEPS, Math.min(MOST_STEPS, waiting.by + wish.by));
  return by === 0 ? null : { ...wish, by };
}
