import assert from "node:assert/strict";
import { test } from "node:test";

import { AS_IT_COMES, BOUNDS, moved, parse, size, sorted } from "../../../web/dashboard/layout.js";

test("who has arranged the cameras finds them so, and a new one beside the one it follows", () => {
  assert.deepEqual(sorted(["a", "b", "c"], []), ["a", "b", "c"]);
  assert.deepEqual(sorted(["a", "b", "c"], ["c", "a", "b"]), ["c", "a", "b"]);
  assert.deepEqual(sorted(["a", "b", "c", "d"], ["c", "a", "gone"]), ["c", "d", "a", "b"]);
  assert.deepEqual(sorted(["a", "b"], ["b"]), ["a", "b"]);
});

test("a camera is moved as far as there is room, and nothing is lost", () => {
  const ids = ["a", "b", "c"];
  assert.deepEqual([moved(ids, "a", 1), moved(ids, "c", 9), moved(ids, "c", -9), moved(ids, "x", 1)].map((each) => each.join("")), ["bac", "abc", "cab", "abc"]);
  assert.equal(ids.join(""), "abc");
});

test("whatever was remembered, what comes of it is a layout", () => {
  for (const text of [null, "", "{", "null", "7", "[]", '{"order":7,"journal":"x","drawer":null}']) assert.deepEqual(parse(text), AS_IT_COMES, text);
  assert.deepEqual(parse('{"order":["a",7],"journal":30,"drawer":1e9}'), { order: ["a"], journal: 30, drawer: BOUNDS.drawer.most });
});

test("a pane is never narrower than can be read; the journal can be put away", () => {
  assert.deepEqual([size(13, "journal"), size(6, "journal"), size(2, "drawer"), size(NaN, "drawer")], [BOUNDS.journal.least, 0, BOUNDS.drawer.least, null]);
});
