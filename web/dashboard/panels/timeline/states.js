// The states of cameras, children and viewers, in the order of their gravity. Pure.
import { STATES } from "./chart.js";

const RANKS = new Map(STATES.map(([name], index) => [name, index]));

export const rankOf = (state) => RANKS.get(state) ?? 0;

// The states that need an explanation, in their order; `lanes` are those that are shown.
export const legend = (lanes) => {
  const used = new Set(lanes.flatMap(({ spans, below = [] }) => [...spans, ...below].map(({ state }) => state)));
  return STATES.filter(([name]) => used.has(name));
};
