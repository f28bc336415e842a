import assert from "node:assert/strict";
import { test } from "node:test";

import { format, parse } from "../../../web/dashboard/address.js";
import { createLatest } from "../../../web/dashboard/past/latest.js";
import { advance, formatMoment, parseMoment, queryOf, reach } from "../../../web/dashboard/past/moment.js";
import { pastView } from "../../../web/dashboard/past/view.js";

test("the address names a view, a moment, a camera, or none of them, and what is formed from it is the same again", () => {
  for (const [hash, view, at, camera = null] of [
    ["", null, null], ["#camera=front", null, null, "front"], ["#viewers&at=7&camera=a%26b", "viewers", "7", "a&b"], ["#processes", "processes", null], ["#at=481", null, "481"], ["#timeline&at=481", "timeline", "481"],
    ["#at=2026-11-23T07:51:03.000Z&viewers", "viewers", "2026-11-23T07:51:03.000Z"], ["#at=%zz", null, "%zz"], ["#at=", null, null],
  ]) {
    const found = parse(hash);
    assert.deepEqual(found, { view, at, camera }, hash);
    assert.deepEqual(parse(`#${format(found)}`), found);
  }
});

test("a moment is the number of an event or a time, and anything else is none", () => {
  assert.deepEqual(parseMoment("481"), { seq: 481 });
  const at = Date.parse("2026-11-23T07:51:03.250Z");
  assert.deepEqual(parseMoment("2026-11-23T07:51:03.250Z"), { at });
  assert.equal(formatMoment({ at }), "2026-11-23T07:51:03.250Z");
  assert.equal(formatMoment({ seq: 481 }), "481");
  assert.deepEqual([queryOf({ seq: 7 }), queryOf({ at })], ["seq=7", "at=2026-11-23T07:51:03.250Z"]);
  for (const text of [null, "", "0", "yesterday", "<b>", "-3x", "9".repeat(30)]) assert.equal(parseMoment(text), null, text);
});

test("the slider reaches the end of the journal, or a stretch round a moment that lies before", () => {
  const all = { first: 0, last: 100_000 };
  assert.deepEqual(reach({ ...all, span: null, at: 5 }), { min: 0, max: 100_000 });
  assert.deepEqual(reach({ ...all, span: 10_000, at: 100_000 }), { min: 90_000, max: 100_000 });
  assert.deepEqual(reach({ ...all, span: 10_000, at: 50_000 }), { min: 45_000, max: 55_000 });
  assert.deepEqual(reach({ ...all, span: 10_000, at: 1000 }), { min: 0, max: 10_000 });
  assert.deepEqual(reach({ first: 50, last: 50, span: 10_000, at: 50 }), { min: 50, max: 1050 });
  for (let at = 0; at <= 100_000; at += 700) {
    const { min, max } = reach({ ...all, span: 10_000, at });
    assert.ok(min <= at && at <= max && min >= 0 && max <= 100_000);
  }
});

test("playing goes at its speed and ends at the end", () => {
  assert.deepEqual(advance(1000, 60, 200, 1e9), { at: 13_000, ended: false });
  assert.deepEqual(advance(1000, 0.1, 200, 1e9), { at: 1020, ended: false });
  assert.deepEqual(advance(1000, 1000, 200, 5000), { at: 5000, ended: true });
});

test("one question is out at a time; of those that wait only the last is asked", async () => {
  const asked = [];
  const answers = [];
  const latest = createLatest((question) => new Promise((resolve) => {
    asked.push(question);
    answers.push(resolve);
  }));
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  for (const question of [1, 2, 3, 4]) latest.ask(question);
  assert.deepEqual([asked, latest.busy()], [[1], true]);
  answers[0]();
  await turn();
  assert.deepEqual(asked, [1, 4]);
  latest.ask(5);
  latest.drop();
  answers[1]();
  await turn();
  assert.deepEqual([asked, latest.busy()], [[1, 4], false]);
});

test("a tile of the past says what was, with the reason, and never that it plays", () => {
  const camera = (state, more = {}) => ({ id: "gate", state, since: "2026-11-23T07:51:03Z", reason: null, retry_at: null, ...more });
  assert.equal(pastView(camera("live"), 0).title, "Was live");
  assert.equal(pastView(camera("idle"), 0).tone, "idle");
  const reason = { code: "x", text: "connection refused", fault: "temporary" };
  const view = pastView(camera("waiting", { reason, retry_at: "2026-11-23T07:51:10Z" }), Date.parse("2026-11-23T07:51:07Z"));
  assert.deepEqual([view.title, view.detail, view.next], ["Waiting for the camera", "Connection refused.", "Next try in 3 s"]);
  for (const state of ["live", "idle", "stalled", "queued", "connecting", "waiting", "failed", "quarantined"]) {
    assert.ok(pastView(camera(state, { reason }), 0).title, state);
  }
});
