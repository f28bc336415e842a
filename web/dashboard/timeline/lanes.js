// What is drawn where: lanes with their places, and as many boxes in a lane as there are pixels. Pure.
import { rankOf } from "./states.js";

export const AXIS = 24;
export const LANE = 26;
export const THIN = 14;

// Lanes in the order they stand in; those of children and viewers only below a camera that is open.
// With `edge`, what lasts until then goes on: nobody knows of its end yet.
export function arrange({ lanes, marks, edge = Infinity }, open) {
  const rows = [];
  let y = AXIS;
  const place = (lane, height, more) => {
    rows.push({ lane, y, height, ...pack(lane.spans, edge), marks: [], ...more });
    y += height;
  };
  const cameras = lanes.filter(({ kind }) => kind === "camera");
  for (const lane of cameras) {
    const inner = lanes.filter(({ kind, camera }) => kind !== "camera" && camera === lane.name);
    place(lane, LANE, { inner: inner.length, open: open.has(lane.name) });
    rows.at(-1).marks = marks.filter(({ camera }) => camera === lane.name);
    if (open.has(lane.name)) for (const each of inner) place(each, THIN, { inner: 0, open: false });
  }
  return { rows, height: y, general: marks.filter(({ camera }) => !cameras.some(({ name }) => name === camera)) };
}

// Numbers side by side are gone through many times faster than objects.
function pack(spans, edge) {
  const begin = Float64Array.from(spans, (span) => span.begin);
  const end = Float64Array.from(spans, ({ end }) => (end >= edge ? Infinity : end));
  return { begin, end, rank: Uint8Array.from(spans, ({ state }) => rankOf(state)) };
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

// Calls draw(x, width, rank, index) for what is in view. What is narrower than a pixel shares one, and of those that
// share one, that is drawn which matters most.
export function boxes({ begin, end, rank }, view, width, draw) {
  const scale = width / (view.to - view.from);
  let column = -1;
  let worst = -1;
  let index = -1;
  const flush = () => {
    if (worst >= 0) draw(column, 1, worst, index);
    worst = -1;
  };
  for (let i = after(end, view.from); i < begin.length && begin[i] < view.to; i += 1) {
    const from = Math.max(0, (begin[i] - view.from) * scale);
    const to = Math.min(width, (end[i] - view.from) * scale);
    if (to - from >= 1) {
      flush();
      draw(from, to - from, rank[i], i);
      continue;
    }
    const at = Math.floor(from);
    if (at !== column) flush();
    column = at;
    if (rank[i] > worst) [worst, index] = [rank[i], i];
  }
  flush();
}

// What is at a place: {row, span, mark}, each null where there is none.
export function hit({ rows, general }, view, width, x, y, reach = 6) {
  const at = view.from + (x / width) * (view.to - view.from);
  const slack = (reach / width) * (view.to - view.from);
  const row = rows.find((each) => y >= each.y && y < each.y + each.height) ?? null;
  const mark = nearest(row ? row.marks : y < AXIS ? general : [], at, slack);
  if (!row) return { row, span: null, mark };
  const index = after(row.end, at);
  const inside = index < row.begin.length && row.begin[index] <= at + slack / 6;
  return { row, span: inside ? row.lane.spans[index] : null, mark };
}

function nearest(marks, at, slack) {
  let best = null;
  for (const mark of marks) {
    const far = Math.abs(mark.at - at);
    if (far <= slack && (best === null || far < Math.abs(best.at - at))) best = mark;
  }
  return best;
}
