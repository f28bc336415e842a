import assert from "node:assert/strict";
import { test } from "node:test";

import { between } from "../../../web/dashboard/panels/timeline/chain.js";
import { STATES } from "../../../web/dashboard/panels/timeline/chart.js";
import { after, arrange, AXIS, boxes, hit, joined, LANE, shorten, THIN } from "../../../web/dashboard/panels/timeline/lanes.js";
import { legend, rankOf } from "../../../web/dashboard/panels/timeline/states.js";
import { nameOf, rowsOf } from "../../../web/dashboard/panels/timeline/table.js";
import { labelOf, LEAST, pan, ticks, timeAt, xOf, zoom } from "../../../web/dashboard/panels/timeline/view.js";

const span = (state, begin, end, seq = begin) => ({ state, begin, end, seq, text: `${state} at ${begin}` });
const lane = (name, spans, kind = "camera", camera = name) => ({ kind, name, camera, spans });
const bounds = { from: 0, to: 100_000 };

test("zooming leaves the time under the pointer where it is, and ends at the bounds and at a second", () => {
  const view = { from: 20_000, to: 40_000 };
  for (const factor of [0.5, 0.9, 1.3]) {
    const next = zoom(view, factor, 25_000, bounds);
    assert.ok(Math.abs(xOf(next, 800)(25_000) - xOf(view, 800)(25_000)) < 1e-6, String(factor));
    assert.ok(Math.abs(timeAt(next, 800, xOf(next, 800)(31_000)) - 31_000) < 1e-6);
  }
  assert.deepEqual(zoom(view, 1000, 25_000, bounds), bounds);
  const least = zoom(view, 1e-9, 25_000, bounds);
  assert.equal(least.to - least.from, LEAST);
});

test("panning stops at the ends, and what is in sight stays as long as it was", () => {
  for (const by of [-1e9, -500, 0, 700, 1e9]) {
    const { from, to } = pan({ from: 20_000, to: 40_000 }, by, bounds);
    assert.equal(to - from, 20_000);
    assert.ok(from >= 0 && to <= 100_000);
  }
});

test("the axis is labelled at round times, far enough from each other", () => {
  for (const length of [1000, 61_000, 3_600_000, 40 * 86_400_000]) {
    const { times, step } = ticks({ from: 1234, to: 1234 + length }, 800, 90, 0);
    assert.ok(times.length <= 9, String(length));
    for (const at of times) assert.equal(at % (step * 1000), 0);
  }
});

test("a label has seconds where the step needs them, and midnight is named by its day", () => {
  const night = new Date(2026, 0, 6);
  const evening = new Date(2026, 0, 5, 23, 30);
  assert.deepEqual([15, 60, 86_400].map((step) => labelOf(evening, step)), ["23:30:00", "23:30", "5 Jan"]);
  assert.deepEqual([15, 60, 86_400].map((step) => labelOf(night, step)), ["6 Jan", "6 Jan", "6 Jan"]);
});

test("marks that would hide each other are one: where the first is, as the gravest", () => {
  const severities = ["info", "notice", "warning", "notice", "error", "warning"];
  const marks = severities.map((severity, index) => ({ severity, at: index * 3 }));
  const drawn = joined(marks, { from: 0, to: 100 }, 100, 7).map(({ x, mark }) => [x, mark.severity]);
  assert.deepEqual(drawn, [[0, "warning"], [9, "error"]]);
});

test("children and viewers stand below their camera while it is open, and only then", () => {
  const data = { lanes: [lane("a", [span("live", 0, 9)]), lane("b", [span("idle", 0, 9)]), lane("c1", [span("running", 1, 2)], "child", "a")], marks: [] };
  const closed = arrange(data, new Set());
  assert.deepEqual(closed.rows.map(({ lane: { name }, y }) => [name, y]), [["a", AXIS], ["b", AXIS + LANE]]);
  const open = arrange(data, new Set(["a"]));
  assert.deepEqual(open.rows.map(({ lane: { name } }) => name), ["a", "c1", "b"]);
  assert.equal(open.height, AXIS + 2 * LANE + THIN);
  assert.deepEqual([open.rows[0].inner, open.rows[2].inner], [1, 0]);
});

test("marks that belong to no camera stand on the axis, the others on the lane of theirs, by time", () => {
  const marks = [{ camera: "a", at: 4 }, { camera: null, at: 2 }, { camera: "gone", at: 3 }, { camera: "a", at: 1 }];
  const { rows, general } = arrange({ lanes: [lane("a", [span("live", 0, 9)])], marks }, new Set());
  assert.deepEqual([rows[0].marks.map(({ at }) => at), general.map(({ at }) => at)], [[1, 4], [2, 3]]);
});

test("the lane of a camera shows the worst of what is below it, which its foot names and the legend explains", () => {
  const stuck = { ...span("unkillable", 20, 80), seq: 7 };
  const data = { lanes: [{ ...lane("a", [span("idle", 0, 100)]), below: [stuck] }], marks: [] };
  const laid = arrange(data, new Set());
  const at = (x, y) => hit(laid, { from: 0, to: 100 }, 1000, x, y).span;
  assert.deepEqual([...laid.rows[0].below.rank], [rankOf("unkillable")]);
  assert.equal(at(500, AXIS + LANE - 3).seq, 7);
  assert.equal(at(500, AXIS + 3).state, "idle");
  assert.equal(at(900, AXIS + LANE - 3).state, "idle");
  assert.deepEqual(legend(data.lanes).map(([name]) => name), ["idle", "unkillable"]);
});

test("what lasts to the edge goes on", () => {
  const { rows } = arrange({ lanes: [lane("a", [span("idle", 0, 5), span("live", 5, 9)])], marks: [], edge: 9 }, new Set());
  assert.deepEqual([...rows[0].end], [5, Infinity]);
});

test("what lasts to the edge goes on to the last moment that is known, and is drawn and found no further", () => {
  const spans = [span("idle", 0, 5), span("live", 5, 9)];
  const laid = arrange({ lanes: [{ ...lane("a", spans), below: [span("running", 2, 9)] }], marks: [], edge: 9, last: 12 }, new Set());
  assert.deepEqual([[...laid.rows[0].end], [...laid.rows[0].below.end]], [[5, 12], [12]]);
  const drawn = [];
  boxes(laid.rows[0], { from: 0, to: 20 }, 200, (x, width) => drawn.push(x + width));
  assert.equal(Math.max(...drawn), 120);
  const at = (x) => hit(laid, { from: 0, to: 20 }, 2000, x, AXIS + 3).span?.state ?? null;
  assert.deepEqual([at(1100), at(1500)], ["live", null]);
});

test("the search by halves finds what a search from the front finds", () => {
  const times = Float64Array.from([1, 3, 3, 7, 20]);
  for (let time = -1; time < 25; time += 1) {
    const expected = times.findIndex((each) => each > time);
    assert.equal(after(times, time), expected < 0 ? times.length : expected);
  }
});

test("a lane has never more boxes than pixels, covers all of them, and shows the worst where many share one", () => {
  const states = STATES.map(([name]) => name);
  const spans = Array.from({ length: 100_000 }, (_, index) => span(states[(index * 7) % 3], index, index + 1));
  spans[61_234] = span("failed", 61_234, 61_235);
  const [row] = arrange({ lanes: [lane("a", spans)], marks: [] }, new Set()).rows;
  const drawn = [];
  boxes(row, { from: 0, to: 100_000 }, 800, (x, width, rank, index) => drawn.push({ x, width, rank, index }));
  assert.ok(drawn.length <= 800);
  assert.ok(drawn.some(({ rank, index }) => rank === rankOf("failed") && index === 61_234));
  for (let index = 1; index < drawn.length; index += 1) assert.ok(drawn[index].x <= drawn[index - 1].x + drawn[index - 1].width + 1e-6);
  const near = [];
  boxes(row, { from: 500, to: 510 }, 800, (x, width) => near.push([x, width]));
  assert.deepEqual(near, Array.from({ length: 10 }, (_, index) => [index * 80, 80]));
});

test("a loss that is shorter than a pixel has the pixel that it shares with what comes before and after", () => {
  const spans = [span("live", 0, 10.7), span("failed", 10.7, 10.9), span("live", 10.9, 20)];
  const drawn = [];
  boxes(arrange({ lanes: [lane("a", spans)], marks: [] }, new Set()).rows[0], { from: 0, to: 20 }, 20, (...box) => drawn.push(box));
  assert.deepEqual(drawn, [[0, 10, rankOf("live"), 0], [10, 1, rankOf("failed"), 1], [11, 9, rankOf("live"), 2]]);
});

test("what is pointed at is found: a span, a mark near by, or nothing", () => {
  const marks = [{ camera: "a", at: 50, kind: "kill", severity: "warning", text: "" }];
  const laid = arrange({ lanes: [lane("a", [span("live", 0, 40), span("waiting", 60, 100)])], marks }, new Set());
  const view = { from: 0, to: 100 };
  const at = (x, y = AXIS + 5) => hit(laid, view, 1000, x, y);
  assert.equal(at(100).span.state, "live");
  assert.equal(at(700).span.state, "waiting");
  assert.deepEqual([at(450).span, at(450).mark], [null, null]);
  assert.equal(at(503).mark.kind, "kill");
  assert.equal(at(100, 500).row, null);
});

test("every state that the legend explains has a colour and, where its colour is another's, a different pattern", () =>
{
  const shown = legend([lane("a", [span("waiting", 0, 1), span("live", 1, 2)])]);
  assert.deepEqual(shown.map(([name]) => name), ["live", "waiting"]);
  const pairs = new Map();
  for (const [, colour, pattern] of STATES) pairs.set(colour, (pairs.get(colour) ?? new Set()).add(pattern));
  for (const [colour, patterns] of pairs) assert.equal(patterns.size, 1, colour);
});

test("as a table: spans, marks and gaps in view, the newest first", () => {
  const data = { lanes: [lane("a", [span("live", 0, 40), span("idle", 40, 90)]), lane("c1", [span("running", 5, 9)], "child", "a")], marks: [{ at: 41, camera: "a", kind: "kill", text: "k" }], gaps: [{ begin: 60, end: 70, kind: "down", text: "d" }] };
  assert.deepEqual(rowsOf(data, { from: 20, to: 80 }).map(([at, what, state]) => [at, what, state]), [[60, "", "no data"], [41, "a", "kill"], [40, "a", "idle"], [0, "a", "live"]]);
  assert.equal(rowsOf(data, { from: 0, to: 10 })[0][1], "child c1 of a");
});

test("times between the steps of a chain are words", () => {
  assert.deepEqual([0, 0.05, 0.34, 12.2, 300, 7300].map(between), ["at once", "0.05 s later", "0.3 s later", "12 s later", "5 min later", "2.0 h later"]);
});

test("a label that has no room ends in an ellipsis, as long as it may be; its full name is kept", () => {
  const measure = (text) => 10 * [...text].length;
  assert.equal(shorten("front", 50, measure), "front");
  assert.equal(shorten("front-door", 60, measure), "front…");
  assert.equal(shorten("far end", 50, measure), "far…");
  for (const room of [10, 11, 25, 59, 99]) assert.ok(measure(shorten("玄関の前のカメラです", room, measure)) <= room, String(room));
  assert.equal(shorten("", 0, measure), "");
  assert.equal(nameOf({ kind: "camera", name: "front", camera: "front" }), "front");
  assert.equal(nameOf({ kind: "child", name: "c1", camera: "front" }), "child c1 of front");
});
