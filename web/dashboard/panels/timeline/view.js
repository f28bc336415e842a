// The displayed stretch of time. Pure; a view is {from, to} in milliseconds since the epoch.

import { clockDay, clockMinute, clockTime, isMidnight } from "../../format.js";
import { DAY_S, STEPS_S } from "./chart.js";

export const LEAST = 1000;

export const xOf = (view, width) => (time) => ((time - view.from) / (view.to - view.from)) * width;

export const timeAt = (view, width, x) => view.from + (x / width) * (view.to - view.from);

// Zooms in (factor < 1) or out around `at`, never beyond `bounds`.
export function zoom(view, factor, at, bounds) {
  const span = Math.min(bounds.to - bounds.from, Math.max(LEAST, (view.to - view.from) * factor));
  const share = (at - view.from) / (view.to - view.from);
  return within({ from: at - share * span, to: at + (1 - share) * span }, bounds);
}

export const pan = (view, by, bounds) => within({ from: view.from + by, to: view.to + by }, bounds);

function within({ from, to }, bounds) {
  const span = Math.min(to - from, bounds.to - bounds.from);
  const begin = Math.max(bounds.from, Math.min(from, bounds.to - span));
  return { from: begin, to: begin + span };
}

// The times at which the axis is labelled, `apart` pixels or more from each other, and their distance in seconds.
// `offset`: how far UTC is ahead of the reader's clock, in milliseconds.
export function ticks(view, width, apart, offset = new Date(view.from).getTimezoneOffset() * 60_000) {
  const least = ((view.to - view.from) * apart) / width / 1000;
  const longest = STEPS_S[STEPS_S.length - 1];
  const seconds = STEPS_S.find((each) => each >= least) ?? Math.ceil(least / longest) * longest;
  const step = seconds * 1000;
  const times = [];
  for (let at = Math.ceil((view.from - offset) / step) * step + offset; at <= view.to; at += step) times.push(at);
  return { times, step: seconds };
}

// The label of a time on an axis with this step: midnight is named by its day.
export function labelOf(date, step) {
  if (step >= DAY_S || isMidnight(date)) return clockDay(date);
  return step < 60 ? clockTime(date) : clockMinute(date);
}
