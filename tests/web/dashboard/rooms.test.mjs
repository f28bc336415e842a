import assert from "node:assert/strict";
import { test } from "node:test";

import { roomLine, short } from "../../../web/dashboard/panels/rooms/rooms.js";
import { HEAR_ALL_THE_SAME, problemOf } from "../../../web/dashboard/panels/rooms/media.js";
import { createPace } from "../../../web/dashboard/panels/rooms/pace.js";
import { NOWHERE, step } from "../../../web/dashboard/panels/rooms/participants.js";
import { endOf } from "../../../web/dashboard/panels/rooms/signaling.js";

// The result of a series of messages: the seat, and all participants who were called and hung up on.
function play(...messages) {
  let seat = NOWHERE;
  const called = [];
  const hung = [];
  for (const message of messages) {
    const next = step(seat, message);
    seat = next.seat;
    called.push(...next.call);
    hung.push(...next.hang);
  }
  return { seat, called, hung };
}

const list = (...participants) => ({ type: "RoomParticipants", room_id: "r", participants });
const came = (id) => ({ type: "PeerConnected", participant_id: id });
const left = (id) => ({ type: "PeerDisconnected", participant_id: id });

test("who makes a room calls nobody, and is called by those who come", () => {
  const { seat, called } = play({ type: "RoomCreated", room_id: "r", self_id: "a" }, list("a"), came("b"), list("a", "b"));
  assert.deepEqual(seat, { room: "r", self: "a", participants: ["a", "b"] });
  assert.deepEqual(called, []);
});

test("who joins learns its own id from the first that came, and calls all who were there before", () => {
  const { seat, called } = play(came("c"), list("a", "b", "c"), came("d"), list("a", "b", "c", "d"));
  assert.equal(seat.self, "c");
  assert.deepEqual(called, ["a", "b"]);
});

test("of any two in a room exactly one calls the other", () => {
  const ids = ["a", "b", "c", "d", "e"];
  const calls = ids.flatMap((id, place) => play(came(id), list(...ids.slice(0, place + 1)), ...ids.slice(place + 1).flatMap((later, more) => [came(later), list(...ids.slice(0, place + more + 2))])).called.map((to) => [id, to].sort().join("")));
  assert.equal(calls.length, new Set(calls).size);
  assert.equal(calls.length, (ids.length * (ids.length - 1)) / 2);
});

test("who leaves, or is in the list no more, is hung up on", () => {
  assert.deepEqual(play(came("c"), list("a", "b", "c"), left("a"), list("b", "c")).hung, ["a", "a"]);
  assert.deepEqual(play(came("c"), list("a", "b", "c"), list("c")).hung, ["a", "b"]);
});

test("never more than the server takes leave within any second, in order, and all in the end", () => {
  const sent = [];
  let time = 0;
  let due = null;
  const pace = createPace((message) => sent.push([time, message]), { now: () => time, later: (run, ms) => (due = { run, at: time + ms }), never: () => (due = null) });
  for (let number = 0; number < 100; number += 1) {
    pace.send(number);
    time += 3;
  }
  while (due) {
    const { run, at } = due;
    due = null;
    time = at;
    run();
  }
  assert.deepEqual(sent.map(([, message]) => message), [...Array(100).keys()]);
  for (const [at] of sent) assert.ok(sent.filter(([other]) => other > at - 1000 && other <= at).length <= 20);
  pace.send("late");
  pace.send("later");
  pace.stop();
  assert.equal(due, null);
});

test("what is missing, and what came to an end, is said in words", () => {
  for (const name of ["InsecureContext", "NotAllowedError", "NotFoundError", "NotReadableError", "Odd"]) {
    const said = problemOf({ name, message: "strange" });
    assert.ok(said.endsWith(HEAR_ALL_THE_SAME), said);
    assert.ok(!said.includes("undefined"), said);
  }
  assert.match(endOf(1001, ""), /stopping/);
  assert.match(endOf(1006, ""), /lost/);
  assert.match(endOf(1008, "you do not read"), /you do not read/);
  assert.equal(short("0123456789"), "01234567");
  assert.match(roomLine({ participants: [], empty_since: "2026-01-05T07:00:00Z" }, Date.parse("2026-01-05T07:00:30Z")), /30 s/);
  assert.equal(roomLine({ participants: [{ client: "192.0.2.1" }], empty_since: null }, 0), "1 participant: 192.0.2.1");
});
