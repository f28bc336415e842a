// How somebody has arranged the page: the order of the cameras, and the sizes of the panes. Remembered by this browser.
import { recall, remember } from "./storage.js";

const KEY = "banken.layout";

// Sizes in rem; null: as it comes. A journal of 0 is put away.
export const AS_IT_COMES = Object.freeze({ order: [], journal: null, drawer: null });

export const BOUNDS = { journal: { least: 14, most: 60 }, drawer: { least: 6, most: 60 } };

// What was remembered → a layout, whatever it was. Pure.
export function parse(text) {
  let found = {};
  try {
    found = JSON.parse(text ?? "{}") ?? {};
  } catch {
    // Not ours any more: begun anew.
  }
  const order = Array.isArray(found.order) ? found.order.filter((id) => typeof id === "string").slice(0, 1000) : [];
  return { order, journal: size(found.journal, "journal"), drawer: size(found.drawer, "drawer") };
}

// A size that may be had; below half of the least it is put away, where that is possible. Pure.
export function size(value, pane) {
  if (!Number.isFinite(value)) return null;
  const { least, most } = BOUNDS[pane];
  if (pane === "journal" && value < least / 2) return 0;
  return Math.min(most, Math.max(least, value));
}

// Those that somebody has placed, as he placed them, each of the others behind the one it usually follows. Pure.
export function sorted(ids, order) {
  const placed = order.filter((id) => ids.includes(id));
  const result = [...placed];
  ids.forEach((id, index) => {
    if (placed.includes(id)) return;
    const before = ids.slice(0, index).findLast((other) => result.includes(other));
    result.splice(before === undefined ? 0 : result.indexOf(before) + 1, 0, id);
  });
  return result;
}

// One of them, some places on or back, as far as it goes. Pure.
export function moved(ids, id, by) {
  const at = ids.indexOf(id);
  const to = Math.max(0, Math.min(ids.length - 1, at + by));
  if (at === -1) return ids;
  const others = ids.filter((other) => other !== id);
  return [...others.slice(0, to), id, ...others.slice(to)];
}

export function createLayout({ onChange }) {
  let layout = parse(recall(localStorage, KEY));

  function change(more) {
    layout = { ...layout, ...more };
    const same = JSON.stringify(layout) === JSON.stringify(AS_IT_COMES);
    remember(localStorage, KEY, same ? null : JSON.stringify(layout));
    onChange(layout);
  }

  return { now: () => layout, change, reset: () => change(AS_IT_COMES) };
}
