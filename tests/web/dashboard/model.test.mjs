import assert from "node:assert/strict";
import { test } from "node:test";

import { createModel } from "../../../web/dashboard/model.js";

const NOW = "2026-01-05T06:00:00.000Z";
const WHOLE = {
  type: "state", now: NOW, summary: { daemon: { verdict: "ok", suggestion: null, viewers: 3, rooms: 1 } },
  cameras: { yard: { id: "yard", state: "live", reason: null }, gate: { id: "gate", state: "live", reason: null } },
  health: { journal: { verdict: "ok", reason: "writes" } },
};
const VIEWERS = { type: "state", now: NOW, leases: { l: { lease: "l", peers: ["p"] } }, peers: { p: { id: "p" } } };

function told(...messages) {
  const model = createModel();
  for (const message of messages) model[message.type](message);
  return model;
}

test("before the first state nothing is shown, and then everything, cameras by name", () => {
  assert.equal(createModel().message(NOW), null);
  const message = told(WHOLE).message("later");
  assert.deepEqual(message.cameras.map(({ id }) => id), ["gate", "yard"]);
  assert.deepEqual([message.now, message.counts, message.health.parts], ["later", { viewers: 3, rooms: 1 }, [{ part: "journal", verdict: "ok", reason: "writes" }]]);
  assert.deepEqual([message.leases, message.peers, message.rooms], [undefined, undefined, undefined], "lists nobody asked for");
});

test("changes are fields; null is a field of an entity, or an entity that is gone", () => {
  const model = told(WHOLE, { type: "changes", now: NOW, cameras: { gate: { state: "waiting", reason: { text: "x" } }, yard: null } });
  assert.deepEqual(model.message(NOW).cameras, [{ id: "gate", state: "waiting", reason: { text: "x" } }]);
  model.changes({ type: "changes", now: NOW, cameras: { gate: { state: "live", reason: null }, new: { id: "new", state: "idle" } } });
  assert.deepEqual(model.message(NOW).cameras, [{ id: "gate", state: "live", reason: null }, { id: "new", state: "idle" }]);
});

test("what was shown before is not changed by what comes later", () => {
  const model = told(WHOLE);
  const before = model.message(NOW);
  model.changes({ type: "changes", now: NOW, cameras: { gate: { state: "lost" } }, summary: { daemon: { viewers: 9 } } });
  assert.deepEqual([before.cameras[0].state, before.counts.viewers, model.message(NOW).counts.viewers], ["live", 3, 9]);
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
