import assert from "node:assert/strict";
import { test } from "node:test";

import { codecName, pictureName } from "../../../web/dashboard/format.js";
import { alertsOf } from "../../../web/dashboard/panels/alerts.js";
import { budget } from "../../../web/dashboard/panels/devices.js";
import { KEPT, NOBODY, remember } from "../../../web/dashboard/panels/ended.js";
import { describe, tells } from "../../../web/dashboard/panels/overlay.js";
import { arrange, COLUMNS, counts, press } from "../../../web/dashboard/panels/process-order.js";
import { silence, soundName } from "../../../web/dashboard/panels/sound.js";
import { inForce } from "../../../web/dashboard/panels/suggest.js";
import { viewingOf } from "../../../web/dashboard/panels/viewing.js";
import { queryOf } from "../../../web/dashboard/panels/detections.js";
import { peerOf } from "../../../web/dashboard/player/whep.js";

const process = (id, more = {}) => ({ id, camera: "front", purpose: "source", state: "running", pid: 7, parent: 1, age_s: 5, arguments: ["a"], ...more });
const ids = (list) => list.map(({ id }) => id).join("");

test("processes stand in any column's order, both ways, and what does not die on top of each", () => {
  const list = [process("a", { age_s: 9 }), process("b", { age_s: 1, pid: null }), process("c", { state: "unkillable", age_s: 5 })];
  assert.equal(ids(arrange(list, { by: "age", down: true })), "cab");
  assert.equal(ids(arrange(list, { by: "age", down: false })), "cba");
  assert.equal(ids(arrange(list, { by: "pid", down: true })), "cba", "one without a pid yet is the newest");
  for (const by of COLUMNS) for (const down of [true, false]) assert.equal(arrange(list, { by, down })[0].id, "c", by);
  assert.equal(ids(list), "abc", "the list given is not changed");
});

test("pressing a column sorts by it, pressing it again turns it round; age begins with the oldest", () => {
  const first = press({ by: "pid", down: false }, "age");
  assert.deepEqual([first, press(first, "age")], [{ by: "age", down: true }, { by: "age", down: false }]);
  assert.deepEqual(press(first, "camera"), { by: "camera", down: false });
});

test("processes are counted for each camera", () => {
  assert.deepEqual(counts([process("a", { camera: "yard" }), process("b"), process("c")]), [["front", 2], ["yard", 1]]);
  assert.deepEqual(counts([]), []);
});

const event = (seq, type, body) => ({ seq, type, time: "2026-11-22T06:00:00.000Z", body: { child: "c1", camera: "front", ...body } });
const reason = (fault = "none") => ({ code: "x", text: "because", fault });

test("an ended child is remembered with what its earlier events told of it", () => {
  const life = [event(1, "ChildStarting", { purpose: "source" }), event(2, "ChildStarted", { pid: 42 })];
  const begun = remember(NOBODY, life);
  const end = event(3, "ChildEnded", { reason: reason("temporary"), signal: "SIGKILL", exit_code: null, stderr_tail: ["ow"] });
  const [{ pid, purpose, how, why, troubled, words }] = remember(begun, [end]).ended;
  assert.deepEqual([pid, purpose, how, why, troubled, words], [42, "source", "ended by SIGKILL", "because", true, ["ow"]]);
  assert.deepEqual([NOBODY.ended.length, NOBODY.alive.size, begun.ended.length], [0, 0, 0]);
});

test("how a child ended is said in words", () => {
  const how = (type, more) => remember(NOBODY, [event(1, type, { reason: reason("temporary"), signal: null, exit_code: 0, ...more })]).ended[0].how;
  assert.equal(how("ChildEnded", { exit_code: 8 }), "exited with 8");
  assert.equal(how("ChildEnded", { exit_code: null }), "did not start");
  assert.equal(how("ChildEnded", { signal: "SIGTERM", reason: reason() }), "ended as asked");
  assert.equal(how("ChildAbandoned", {}), "left behind");
});

test("the memory of the ended is bounded and its newest comes first; other events leave no trace in it", () => {
  const many = Array.from({ length: 50 }, (_, seq) => event(seq, "ChildEnded", { child: `c${seq}`, reason: reason(), exit_code: 0 }));
  const memory = remember(NOBODY, [...many, { seq: 99, type: "CameraLive", body: { camera: "front" } }]);
  assert.deepEqual([memory.ended.length, memory.ended[0].seq, memory.alive.size], [KEPT, 49, 0]);
});

test("a device says how many of how many, and who said so", () => {
  const device = (max_connections, configured) => budget({ max_connections, configured, holders: [{}] });
  assert.deepEqual(device(2, 2), { used: "1 of 2 connections", said: "2 configured" });
  assert.deepEqual(device(1, 2), { used: "1 of 1 connection", said: "2 configured, it refused more than 1" });
  assert.deepEqual(device(1, null), { used: "1 of 1 connection", said: "it refused more than 1" });
  assert.deepEqual(device(null, null), { used: "1 connection", said: "nobody has said how many it serves" });
});

test("a viewer of MJPEG has one row, that of its lease", () => {
  const held = { lease: "m", kind: "viewer", camera: "front", client: "c", purpose: "", since: "2026-11-22T06:00:00Z", expires: null, peers: [] };
  const uses = [{ id: "m", kind: "mjpeg", camera: "front", client: "c", since: "2026-11-22T06:00:00Z" }];
  const viewers = viewingOf({ leases: [held], peers: [{ id: "p", state: "connected" }], uses });
  assert.deepEqual(viewers.map(({ id, state, peers }) => [id, state, peers]), [["lease/m", "still pictures", []], ["p", "connected", ["p"]]]);
});

test("a lease and its connections are one who watches; a lease without one is still somebody", () => {
  const lease = (id, kind, peers) => ({ lease: id, kind, camera: "front", client: "c", purpose: null, since: "2026-11-22T06:00:00Z", expires: "2026-11-22T06:00:30Z", peers });
  const message = { leases: [lease("L", "modal", ["p"]), lease("M", "suggest", [])], peers: [{ id: "p", state: "connected" }, { id: "q", state: "opening" }] };
  const shown = viewingOf(message).map(({ id, lease, kind, state, peers }) => [id, lease, kind, state, peers]);
  assert.deepEqual(shown, [["lease/L", "L", "modal", "connected", ["p"]], ["lease/M", "M", "suggest", "no connection", []], ["q", null, null, "opening", ["q"]]]);
});

test("only a suggestion that is in force, now, not put away and of a camera that there is, is shown", () => {
  const suggestion = { lease: "L", camera: "front", until: "2026-11-22T06:00:30Z" };
  const standing = { away: null, past: false, cameras: new Map([["front", {}]]), now: Date.parse("2026-11-22T06:00:00Z") };
  assert.equal(inForce(suggestion, standing), suggestion);
  assert.equal(inForce(null, standing), null);
  for (const other of [{ away: "L" }, { past: true }, { cameras: new Map() }, { now: Date.parse(suggestion.until) }]) {
    assert.equal(inForce(suggestion, { ...standing, ...other }), null, JSON.stringify(other));
  }
});

test("detections are asked for as narrowly as is wanted", () => {
  assert.equal(String(queryOf({}, 5)), "limit=5");
  assert.equal(String(queryOf({ camera: "a&b", label: " cat " }, 5)), "limit=5&camera=a%26b&label=cat");
});

test("alerts are picked from the parts of health", () => {
  const parts = [{ part: "journal", reason: "writes" }, { part: "alert/stderr/gate", reason: "look here" }];
  assert.deepEqual(alertsOf({ parts }), [{ name: "stderr/gate", text: "look here" }]);
  assert.deepEqual(alertsOf(undefined), []);
});

const seen = { player: { name: "live", reason: null }, dueAt: null, paused: false, agreed: true, pictured: true, now: 60_000, localNow: 0 };

test("a stalled camera says how long nothing has come, over a picture that stays", () => {
  const camera = { state: "stalled", since: new Date(59_000).toISOString(), reason: reason() };
  const view = describe({ ...seen, camera, heardAt: 48_500 });
  assert.deepEqual([view.tone, view.title], ["note", "Nothing has come for 11 s"]);
  assert.equal(describe({ ...seen, camera }).title, "Nothing has come for 1 s");
});

test("a queued camera says who has the places", () => {
  const taken = { code: "queued", text: "waits for a connection to hall, which serves 1; taken by door (live)", fault: "none" };
  const view = describe({ ...seen, camera: { state: "queued", reason: taken } });
  assert.deepEqual([view.tone, view.detail.includes("taken by door")], ["queued", true]);
  const atRest = describe({ ...seen, agreed: false, resting: true, camera: { state: "queued", reason: taken } });
  assert.deepEqual([atRest.tone, atRest.detail.includes("taken by door")], ["rest", true]);
});

test("what a camera waited for before it was opened is no reason any more; what it was lost for is", () => {
  assert.equal(tells({ state: "connecting", reason: reason() }), false);
  assert.equal(tells({ state: "connecting", reason: reason("temporary") }), true);
  assert.equal(tells({ state: "live", reason: null }), false);
});

test("at rest the age of the last picture is said, but trouble comes first", () => {
  const rest = { ...seen, agreed: false, resting: true };
  const camera = { state: "idle", reason: { ...reason(), code: "unused" } };
  assert.equal(describe({ ...rest, camera, takenAt: 0 }).title, "Picture of 1 min ago");
  assert.equal(describe({ ...rest, camera }).title, "No picture yet");
  assert.equal(describe({ ...rest, camera: { state: "failed", reason: reason("fatal") } }).tone, "failed");
});

test("a connection that an operator ended says so until play is pressed", () => {
  const kicked = { ...seen, camera: { state: "live" }, agreed: false, paused: true, ended: "an operator ended this connection" };
  assert.equal(describe(kicked).title, "An operator ended this connection.");
  assert.equal(describe({ ...kicked, agreed: true }), null);
});

test("still pictures are called what they are", () => {
  const view = describe({ ...seen, player: { name: "retrying", reason: "r" }, camera: { state: "live" }, fallsBack: true });
  assert.deepEqual([view.tone, view.title.startsWith("Still pictures only")], ["note", true]);
});

test("still pictures say why, where that is known for certain", () => {
  const player = { name: "retrying", misses: Infinity, reason: "this browser does not play H.265, which the camera sends" };
  const view = describe({ ...seen, player, camera: { state: "live" }, fallsBack: true });
  assert.equal(view.title, "Still pictures only: this browser does not play H.265, which the camera sends");
});

test("who wants sound is told why there is none; who does not is left in peace", () => {
  const camera = { state: "live", codec: "h264", audio: "", mute: "" };
  assert.equal(describe({ ...seen, camera }), null);
  assert.equal(describe({ ...seen, camera, loud: true }).title, "No sound: the camera sends none");
  assert.equal(describe({ ...seen, camera: { ...camera, mute: "the sound is MP3" }, loud: true }).title, "No sound: the sound is MP3");
  assert.equal(describe({ ...seen, camera: { ...camera, audio: "aac" }, loud: true }), null);
  assert.equal(describe({ ...seen, camera, loud: true, substream: "low" }), null, "another camera is heard");
  assert.equal(silence({ codec: null, audio: "", mute: "" }), "", "not known before there was a picture");
});

test("codecs are called what people call them", () => {
  assert.deepEqual(["h264", "h265", null].map(codecName), ["H.264", "H.265", ""]);
  assert.deepEqual(["aac", "pcma", ""].map(soundName), ["AAC", "G.711", ""]);
});

test("a saved picture is named after its camera and its second", () => {
  assert.equal(pictureName("front", "2026-11-22T06:01:02.345Z"), "front-2026-11-22T06-01-02Z.jpg");
});

test("a connection's name is told from its Location, and the owner's secret is not part of it", () => {
  assert.equal(peerOf("http://127.0.0.1:8620/whep/front/ab12.s3cr3t"), "ab12");
});
