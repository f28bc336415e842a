import assert from "node:assert/strict";
import { test } from "node:test";

import { createModel } from "../../../web/dashboard/model.js";

const NOW = "2026-01-05T06:00:00.000Z";
const WHOLE = {
  type: "state", now: NOW, summary: { daemon: { verdict: "ok", suggestions: [], viewers: 3, rooms: 1 } },
  cameras: { gate: { id: "gate", place: 1, state: "live", reason: null }, yard: { id: "yard", place: 0, state: "live", reason: null } },
  health: { journal: { verdict: "ok", reason: "writes" } },
};
const VIEWERS = { type: "state", now: NOW, leases: { l: { lease: "l", peers: ["p"] } }, peers: { p: { id: "p" } } };

function told(...messages) {
  const model = createModel();
  for (const message of messages) model[message.type](message);
  return model;
}

test("before the first state nothing is shown, and then everything, cameras by their place", () => {
  assert.equal(createModel().message(NOW), null);
  const message = told(WHOLE).message("later");
  assert.deepEqual(message.cameras.map(({ id }) => id), ["yard", "gate"]);
  assert.deepEqual([message.now, message.counts, message.health.parts], ["later", { viewers: 3, rooms: 1 }, [{ part: "journal", verdict: "ok", reason: "writes" }]]);
  assert.deepEqual([message.leases, message.peers, message.rooms], [undefined, undefined, undefined], "lists nobody asked for");
});

test("changes are fields; null is a field of an entity, or an entity that is gone", () => {
  const model = told(WHOLE, { type: "changes", now: NOW, cameras: { gate: { state: "waiting", reason: { text: "x" } }, yard: null } });
  assert.deepEqual(model.message(NOW).cameras, [{ id: "gate", place: 1, state: "waiting", reason: { text: "x" } }]);
  model.changes({ type: "changes", now: NOW, cameras: { gate: { state: "live", reason: null }, new: { id: "new", place: 0, state: "idle" } } });
  assert.deepEqual(model.message(NOW).cameras, [{ id: "new", place: 0, state: "idle" }, { id: "gate", place: 1, state: "live", reason: null }]);
});

test("a refused configuration is handed on, and gone with its cure", () => {
  const refused = { origin: "banken.yaml", lines: ["no"], more: 0 };
  const model = told(WHOLE, { type: "changes", now: NOW, summary: { daemon: { refused } } });
  assert.deepEqual([told(WHOLE).message(NOW).refused, model.message(NOW).refused], [null, refused]);
  model.changes({ type: "changes", now: NOW, summary: { daemon: { refused: null } } });
  assert.equal(model.message(NOW).refused, null);
});

test("what was shown before is not changed by what comes later", () => {
  const model = told(WHOLE);
  const before = model.message(NOW);
  model.changes({ type: "changes", now: NOW, cameras: { gate: { state: "lost" } }, summary: { daemon: { viewers: 9 } } });
  assert.deepEqual([before.cameras[1].state, before.counts.viewers, model.message(NOW).counts.viewers], ["live", 3, 9]);
});

test("a list is there from its own state until its view is left; changes of it that come late are nothing", () => {
  const model = told(WHOLE, VIEWERS);
  model.forget(new Set(["viewers"]));
  assert.deepEqual(model.message(NOW).leases, [{ lease: "l", peers: ["p"] }]);
  model.changes({ type: "changes", now: NOW, peers: { q: { id: "q" } } });
  assert.deepEqual(model.message(NOW).peers.map(({ id }) => id), ["p", "q"]);
  model.forget(new Set());
  model.changes({ type: "changes", now: NOW, peers: { r: { id: "r" } } });
  assert.equal(model.message(NOW).peers, undefined);
});

test("lists begin with the oldest, whatever the order in which they came", () => {
  const leases = { b: { lease: "b", since: "2026-01-05T06:00:02Z" }, a: { lease: "a", since: "2026-01-05T06:00:03Z" } };
  const model = told(WHOLE, { ...VIEWERS, leases });
  model.changes({ type: "changes", now: NOW, leases: { z: { lease: "z", since: "2026-01-05T06:00:01Z" } } });
  assert.deepEqual(model.message(NOW).leases.map(({ lease }) => lease), ["z", "b", "a"]);
});

test("a server that says everything each time is taken at its word", () => {
  const message = { type: "state", now: NOW, cameras: [{ id: "gate" }], peers: [], rooms: [] };
  assert.equal(told(message).message("later"), message);
  const model = told(message, WHOLE);
  assert.equal(model.message(NOW).cameras.length, 2);
  model.clear();
  assert.equal(model.message(NOW), null);
});
