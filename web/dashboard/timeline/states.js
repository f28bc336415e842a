// How the states of cameras, children and viewers look: a colour of the theme, and a pattern for who cannot tell colours.
// Pure. The later in the list, the more it matters where there is no room for all.

export const STATES = [
  ["idle", "--idle", "line"],
  ["live", "--live", "solid"], ["running", "--live", "solid"], ["connected", "--live", "solid"],
  ["connecting", "--connecting", "rising"], ["starting", "--connecting", "rising"], ["negotiating", "--connecting", "rising"],
  ["queued", "--queued", "dots"],
  ["closing", "--waiting", "falling"], ["stopping", "--waiting", "falling"],
  ["stalled", "--stalled", "bars"], ["silent", "--stalled", "bars"],
  ["waiting", "--waiting", "falling"],
  ["quarantined", "--quarantined", "crossed"],
  ["failed", "--failed", "crossed"], ["unkillable", "--failed", "crossed"],
];

const RANKS = new Map(STATES.map(([name], index) => [name, index]));

// What the page does not know yet looks like rest.
export const rankOf = (state) => RANKS.get(state) ?? 0;

// The states that need to be explained, in their order.
export const legend = (lanes) => {
  const used = new Set(lanes.flatMap(({ spans }) => spans.map(({ state }) => state)));
  return STATES.filter(([name]) => used.has(name));
};
