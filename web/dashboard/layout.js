// The user's arrangement of the page: the order of the cameras and the sizes of the panes. Stored in this browser.
import { recall, remember } from "./storage.js";

const KEY = "banken.layout";

// Sizes in rem; null: the default. A journal of size 0 is hidden.
export const AS_IT_COMES = Object.freeze({ order: [], journal: null, drawer: null });

export const BOUNDS = { journal: { least: 14, most: 60 }, drawer: { least: 6, most: 60 } };

// The stored text → a valid layout, whatever the text is. Pure.
export function parse(text) {
  let found = {};
  try {
    found = JSON.parse(text ?? "{}") ?? {};
  } catch {
    // Not a layout that we wrote: start with the default.
  }
  const order = Array.isArray(found.order) ? found.order.filter((id) => typeof id === "string").slice(0, 1000) : [];
  return { order, journal: size(found.journal, "journal"), drawer: size(found.drawer, "drawer") };
}

// The nearest allowed size; below half of the minimum the pane is hidden, where that is possible. Pure.
export function size(value, pane) {
  if (!Number.isFinite(value)) return null;
  const { least, most } = BOUNDS[pane];
  if (pane === "journal" && value < least / 2) return 0;
  return Math.min(most, Math.max(least, value));
}

// The cameras in the user's order; each camera without a place follows the one that it usually follows. Pure.
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

// Moves one camera some positions forward or back, at most to the end. Pure.
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
