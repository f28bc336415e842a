// Made from supervisor/forensics/chart.py by ops/chart.py.
import { n } from "../../i18n.js";

// [state, colour, pattern]; the later, the graver. A state that is not here looks like the first.
export const STATES = [
  ["idle", "--idle", "line"],
  ["live", "--live", "solid"],
  ["running", "--live", "solid"],
  ["connected", "--live", "solid"],
  ["connecting", "--connecting", "rising"],
  ["starting", "--connecting", "rising"],
  ["negotiating", "--connecting", "rising"],
  ["queued", "--queued", "dots"],
  ["closing", "--waiting", "falling"],
  ["stopping", "--waiting", "falling"],
  ["stalled", "--stalled", "bars"],
  ["silent", "--stalled", "bars"],
  ["waiting", "--waiting", "falling"],
  ["failed", "--failed", "crossed"],
  ["quarantined", "--quarantined", "crossed"],
  ["unkillable", "--failed", "crossed"],
];

// The severities of marks that are drawn differently; the later, the graver. Others look like the first.
export const SHAPES = ["notice", "warning", "error"];

// The word for a time of which nothing is known.
export const NO_DATA = n("no data");

// The distance between marks, in pixels.
export const APART = 7;

// The steps of the axis, in seconds. Longer ones are multiples of the last.
export const STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800,
];

export const DAY_S = 86400;
