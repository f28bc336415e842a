// The canvas of a timeline: {timeline, width} on standard input; on standard output its lanes, marks, axis and
// legend. A lane is a list of the colours of its pixels, the gravest of each.
import { readFileSync } from "node:fs";

import { createCanvas } from "./canvas.mjs";
import { NO_DATA, STATES } from "../../../web/dashboard/panels/timeline/chart.js";
import { arrange } from "../../../web/dashboard/panels/timeline/lanes.js";
import { createPainter } from "../../../web/dashboard/panels/timeline/paint.js";
import { legend } from "../../../web/dashboard/panels/timeline/states.js";
import { MARK } from "../../../web/dashboard/panels/timeline/theme.js";

const { timeline, width } = JSON.parse(readFileSync(0, "utf8"));
const canvas = createCanvas();
const laid = arrange(timeline, new Set());
const view = { from: timeline.from, to: timeline.to };
createPainter(canvas)({ laid, gaps: timeline.gaps, view, width, height: laid.height, left: 0, cursor: null, chosen: null });

const { rects, images, texts } = canvas.pen;
const GRAVE = ["--sunken", ...new Set(STATES.map(([, colour]) => colour))];

function pixels({ y, height }) {
  const found = Array(width).fill(null);
  for (const { x, width: wide, y: top, height: high, colour } of rects) {
    if (top + high <= y || top >= y + height || !GRAVE.includes(colour)) continue;
    for (let at = Math.floor(x); at < Math.min(width, Math.ceil(x + wide)); at += 1)
      if (found[at] === null || GRAVE.indexOf(colour) > GRAVE.indexOf(found[at])) found[at] = colour;
  }
  return found;
}

const marksAt = (top, height) =>
  images.filter(({ y }) => y >= top && y < top + height).map(({ x, colour }) => [x + MARK / 2, colour]);

const answer = {
  lanes: Object.fromEntries(laid.rows.map((row) => [row.lane.name, pixels(row)])),
  marks: { "": marksAt(0, laid.rows[0].y), ...Object.fromEntries(laid.rows.map((row) => [row.lane.name, marksAt(row.y, row.height)])) },
  axis: texts.filter(({ y }) => y === 12).map(({ text, x }) => [x - 4, text]),
  legend: [...legend(laid.rows.map(({ lane }) => lane)).map(([name]) => name), ...(timeline.gaps.length ? [NO_DATA] : [])],
};
process.stdout.write(JSON.stringify(answer));
