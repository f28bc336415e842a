// Which stretch of time is looked at. Pure; a view is {from, to} in milliseconds since the epoch.

export const LEAST = 1000;

export const xOf = (view, width) => (time) => ((time - view.from) / (view.to - view.from)) * width;

export const timeAt = (view, width, x) => view.from + (x / width) * (view.to - view.from);

// Nearer (factor < 1) or further, with `at` staying where it is; never beyond `bounds`.
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

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800].map((seconds) => seconds * 1000);

// Round times at which the axis is labelled, `apart` pixels or more from each other.
export function ticks(view, width, apart, offset = new Date(view.from).getTimezoneOffset() * 60_000) {
  const least = ((view.to - view.from) / width) * apart;
  const step = STEPS.find((each) => each >= least) ?? Math.ceil(least / STEPS.at(-1)) * STEPS.at(-1);
  const found = [];
  for (let at = Math.ceil((view.from - offset) / step) * step + offset; at <= view.to; at += step) found.push(at);
  return found;
}
