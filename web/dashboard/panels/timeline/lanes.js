// The layout of the drawing: lanes with their positions, and at most one box per pixel in a lane. Pure.
import { APART, SHAPES } from "./chart.js";
import { rankOf } from "./states.js";

export const AXIS = 24;
export const LANE = 26;
export const THIN = 14;
// The strip at the bottom of a camera's lane with the worst state of the lanes below it.
export const BELOW = 6;

// Lanes in display order; those of children and viewers only below a camera that is open. With `edge`, a span that
// lasts until then continues, because its end is not known yet: it continues to `last`, the last moment of which
// anything is known.
export function arrange({ lanes, marks, edge = Infinity, last = Infinity }, open) {
  const rows = [];
  // Not the order of the journal, if the clock was set back.
  const inOrder = [...marks].sort((a, b) => a.at - b.at);
  let y = AXIS;
  const place = (lane, height, more) => {
    rows.push({ lane, y, height, ...pack(lane.spans, edge, last), marks: [], ...more });
    y += height;
  };
  const cameras = lanes.filter(({ kind }) => kind === "camera");
  for (const lane of cameras) {
    const inner = lanes.filter(({ kind, camera }) => kind !== "camera" && camera === lane.name);
    place(lane, LANE, { inner: inner.length, open: open.has(lane.name), below: pack(lane.below ?? [], edge, last) });
    rows.at(-1).marks = inOrder.filter(({ camera }) => camera === lane.name);
    if (open.has(lane.name)) for (const each of inner) place(each, THIN, { inner: 0, open: false });
  }
  return { rows, height: y, general: inOrder.filter(({ camera }) => !cameras.some(({ name }) => name === camera)) };
}

// Typed arrays are traversed many times faster than objects.
/** @param {{begin: number, end: number, state: string}[]} spans @param {number} edge @param {number} last */
function pack(spans, edge, last) {
  const begin = Float64Array.from(spans, (span) => span.begin);
  const end = Float64Array.from(spans, ({ end }) => (end >= edge ? Math.max(end, last) : end));
  return { begin, end, rank: Uint8Array.from(spans, ({ state }) => rankOf(state)) };
}

// The part of a text that fits, with an ellipsis where that is not all. `measure` gives the width of a text.
export function shorten(text, room, measure) {
  if (measure(text) <= room) return text;
  const letters = [...text];
  let [low, high] = [0, letters.length - 1];
  const first = (count) => `${letters.slice(0, count).join("").trimEnd()}…`;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (measure(first(middle)) <= room) low = middle;
    else high = middle - 1;
  }
  return first(low);
}

// The first of the sorted times that is greater than `time`.
export function after(times, time) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] > time) high = middle;
    else low = middle + 1;
  }
  return low;
}

// Calls draw(x, width, rank, index) for the runs of pixels that show the same span, from left to right. A pixel shows
// the gravest of the spans that touch it.
export function boxes({ begin, end, rank }, view, width, draw) {
  const length = view.to - view.from;
  const cells = new Int32Array(Math.ceil(width)).fill(-1);
  for (let i = after(end, view.from); i < begin.length && begin[i] < view.to; i += 1) {
    const from = Math.max(0, Math.floor(((begin[i] - view.from) * width) / length));
    const to = Math.min(cells.length, Math.ceil(((end[i] - view.from) * width) / length));
    for (let cell = from; cell < to; cell += 1) if (cells[cell] < 0 || rank[i] > rank[cells[cell]]) cells[cell] = i;
  }
  for (let from = 0, to = 0; from < cells.length; from = to) {
    while (to < cells.length && cells[to] === cells[from]) to += 1;
    if (cells[from] >= 0) draw(from, to - from, rank[cells[from]], cells[from]);
  }
}

const gravityOf = ({ severity }) => SHAPES.indexOf(severity);

// Marks that would hide each other, in groups: [{x, mark}]. A group is drawn where its first mark is, as its gravest
// mark. `marks` are sorted by time.
export function joined(marks, view, width, apart = APART) {
  const found = [];
  for (const mark of marks) {
    const x = ((mark.at - view.from) * width) / (view.to - view.from);
    if (x < -apart) continue;
    if (x > width + apart) break;
    const last = found.at(-1);
    if (!last || x - last.x >= apart) found.push({ x, mark });
    else if (gravityOf(mark) > Math.max(0, gravityOf(last.mark))) last.mark = mark;
  }
  return found;
}

// The hit at a position: {row, span, mark}, each null where nothing is there.
export function hit({ rows, general }, view, width, x, y, reach = 6) {
  const at = view.from + (x / width) * (view.to - view.from);
  const slack = (reach / width) * (view.to - view.from);
  const row = rows.find((each) => y >= each.y && y < each.y + each.height) ?? null;
  const mark = nearest(row ? row.marks : y < AXIS ? general : [], at, slack);
  if (!row) return { row, span: null, mark };
  const foot =
    row.below && y >= row.y + row.height - BELOW - 4 ? spanAt(row.below, row.lane.below, at, slack / 6) : null;
  return { row, span: foot ?? spanAt(row, row.lane.spans, at, slack / 6), mark };
}

function spanAt({ begin, end }, spans, at, slack) {
  const index = after(end, at);
  return index < begin.length && begin[index] <= at + slack ? spans[index] : null;
}

function nearest(marks, at, slack) {
  let best = null;
  for (const mark of marks) {
    const far = Math.abs(mark.at - at);
    if (far <= slack && (best === null || far < Math.abs(best.at - at))) best = mark;
  }
  return best;
}
