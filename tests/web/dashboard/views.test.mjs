import assert from "node:assert/strict";
import { test } from "node:test";

import { hintOf } from "../../../web/dashboard/drawer.js";
import { JA as WORDS } from "../../../web/dashboard/panels/detections/detections.ja.js";
import { codecName, pictureName } from "../../../web/dashboard/format.js";
import { alertsOf, complaintsOf, stripOf } from "../../../web/dashboard/panels/alerts/alerts.js";
import { budget } from "../../../web/dashboard/panels/devices/devices.js";
import { KEPT, NOBODY, remember } from "../../../web/dashboard/panels/processes/ended.js";
import { describe, tells } from "../../../web/dashboard/panels/wall/overlay.js";
import { arrange, COLUMNS, counts, press } from "../../../web/dashboard/panels/processes/process-order.js";
import { canRetry } from "../../../web/dashboard/panels/wall/retry.js";
import { silence, soundName } from "../../../web/dashboard/panels/wall/sound.js";
import { inForce, unlisted, whatOf } from "../../../web/dashboard/panels/suggest/suggest.js";
import { endingOf, viewingOf, watching } from "../../../web/dashboard/panels/viewers/viewing.js";
import { figures } from "../../../web/dashboard/panels/detections/detectors.js";
import { queryOf } from "../../../web/dashboard/panels/detections/query.js";
import { pastView } from "../../../web/dashboard/panels/past/view.js";
import { wantsPicture } from "../../../web/dashboard/player/connection-policy.js";
import { peerOf } from "../../../web/dashboard/player/whep.js";

const process = (id, more = {}) => ({ id, camera: "front", purpose: "source", state: "running", pid: 7, parent: 1, age_s: 5, arguments: ["a"], ...more });
const ids = (list) => list.map(({ id }) => id).join("");

test("processes are sorted by any column, both ways, with unkillable ones first in each", () => {
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
  assert.deepEqual(counts([process("a", { camera: "yard" }), process("b"), process("c")], ["yard", "front"]), [["yard", 1], ["front", 2]]);
  assert.deepEqual(counts([process("a"), process("b", { camera: "" })], ["front"]), [["", 1], ["front", 1]]);
  const ids = Array.from({ length: 1000 }, (_, number) => `camera-${number}`);
  const looks = { of: 0 };
  const counted = new Proxy(ids, { get: (list, key) => (looks.of++, Reflect.get(list, key)) });
  assert.deepEqual(counts(ids.toReversed().map((camera) => process(camera, { camera })), counted).map(([id]) => id), ids);
  assert.ok(looks.of < 10_000, "each place is looked up once");
  assert.deepEqual(counts([], []), []);
});

test("processes are counted without a walk over all cameras for each comparison", () => {
  const ids = Object.assign(["yard", "front"], { indexOf: () => assert.fail("a walk") });
  assert.deepEqual(counts([process("a"), process("b", { camera: "yard" })], ids), [["yard", 1], ["front", 1]]);
});

const event = (seq, type, body) => ({ seq, type, time: "2026-11-22T06:00:00.000Z", body: { child: "c1", camera: "front", ...body } });
const reason = (fault = "none") => ({ code: "x", text: "because", fault });

test("an ended child keeps the facts of its earlier events", () => {
  const life = [event(1, "ChildStarting", { purpose: "source" }), event(2, "ChildStarted", { pid: 42 })];
  const begun = remember(NOBODY, life);
  const end = event(3, "ChildEnded", { reason: reason("temporary"), signal: "SIGKILL", exit_code: null, stderr_tail: ["ow"] });
  const [{ pid, purpose, how, why, troubled, words }] = remember(begun, [end]).ended;
  assert.deepEqual([pid, purpose, how, why, troubled, words], [42, "source", "ended by SIGKILL", "because", true, ["ow"]]);
  assert.deepEqual([NOBODY.ended.length, NOBODY.alive.size, begun.ended.length], [0, 0, 0]);
});

test("the purpose of an ended child is that of its last event, or in an older journal of its first", () => {
  const end = (purpose) => event(3, "ChildEnded", { purpose, reason: reason(), exit_code: 0 });
  assert.equal(remember(NOBODY, [end("daemon/switcher")]).ended[0].purpose, "daemon/switcher");
  const old = [event(1, "ChildStarting", { purpose: "source" }), event(2, "ChildStarted", { purpose: "", pid: 42 }), end("")];
  assert.equal(remember(NOBODY, old).ended[0].purpose, "source");
  const found = [event(1, "ChildFound", { purpose: "", pid: 42 }), event(2, "ChildStopping", { purpose: "" }), end("")];
  assert.equal(remember(NOBODY, found).ended[0].purpose, "stray");
});

test("how a child ended is said in words", () => {
  const how = (type, more) => remember(NOBODY, [event(1, type, { reason: reason("temporary"), signal: null, exit_code: 0, ...more })]).ended[0].how;
  assert.equal(how("ChildEnded", { exit_code: 8 }), "exited with 8");
  assert.equal(how("ChildEnded", { exit_code: null }), "did not start");
  assert.equal(how("ChildEnded", { signal: "SIGTERM", reason: reason() }), "stopped as requested");
  assert.equal(how("ChildAbandoned", { exit_code: undefined }), "orphaned");
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
  assert.deepEqual(device(null, null), { used: "1 connection", said: "its connection limit is not known" });
});

test("a viewer of MJPEG has one row, that of its lease", () => {
  const held = { lease: "m", kind: "viewer", camera: "front", client: "c", purpose: "", since: "2026-11-22T06:00:00Z", expires: null, held: true, peers: [] };
  const uses = [{ id: "m", kind: "mjpeg", camera: "front", client: "c", since: "2026-11-22T06:00:00Z" }];
  const viewers = viewingOf({ leases: [held], peers: [{ id: "p", state: "connected" }], uses });
  assert.deepEqual(viewers.map(({ id, state, peers }) => [id, state, peers]), [["lease/m", "snapshots", []], ["p", "connected", ["p"]]]);
});

test("a lease and its connections are one who watches; a lease without one is still somebody", () => {
  const lease = (id, kind, peers) => ({ lease: id, kind, camera: "front", client: "c", purpose: null, since: "2026-11-22T06:00:00Z", expires: "2026-11-22T06:00:30Z", peers });
  const message = { leases: [lease("L", "modal", ["p"]), lease("M", "suggest", [])], peers: [{ id: "p", state: "connected" }, { id: "q", state: "opening" }] };
  const shown = viewingOf(message).map(({ id, lease, kind, state, peers }) => [id, lease, kind, state, peers]);
  assert.deepEqual(shown, [["lease/L", "L", "modal", "connected", ["p"]], ["lease/M", "M", "suggest", "lease only", []], ["q", null, null, "opening", ["q"]]]);
});

test("a reader by RTSP is shown as one, and its end speaks of no page", () => {
  const lease = { lease: "p", kind: "viewer", camera: "front", client: "c", since: "2026-11-22T06:00:00Z", expires: null, held: true, peers: ["p"] };
  const [over] = viewingOf({
    peers: [{ id: "p", state: "connected", protocol: "rtsp", transport: "udp", token: "nvr" }],
  });
  assert.deepEqual([over.kind, over.purpose], ["rtsp-udp", "nvr"]);
  const [shown] = viewingOf({ leases: [lease], peers: [{ id: "p", state: "connected", protocol: "rtsp" }] });
  assert.deepEqual([shown.kind, shown.state, shown.peers], ["rtsp", "connected", ["p"]]);
  assert.match(endingOf(shown, false).text, /reads .* by RTSP/);
});

test("a lease under which nobody watches is a lease, also in the past, and can be ended", () => {
  const lease = { lease: "L", kind: "viewer", camera: "front", client: "c", purpose: "door bell", since: "2026-11-22T06:00:00Z", held: false, peers: [] };
  for (const expires of ["2026-11-22T06:00:30Z", null]) {
    const [shown] = viewingOf({ leases: [{ ...lease, expires }], peers: [] });
    assert.deepEqual([shown.lease, shown.state, shown.purpose, shown.peers], ["L", "lease only", "door bell", []]);
  }
});

test("only suggestions that are in force, now, and not put away are shown, in their order", () => {
  const first = { lease: "L", camera: "front", until: "2026-11-22T06:00:30Z" };
  const second = { lease: "M", camera: "yard", until: "2026-11-22T06:00:20Z" };
  const standing = { away: new Set(), past: false, now: Date.parse("2026-11-22T06:00:00Z") };
  assert.deepEqual(inForce([first, second], standing), [first, second]);
  assert.deepEqual(inForce([], standing), []);
  assert.deepEqual(inForce([first, second], { ...standing, away: new Set(["L"]) }), [second]);
  assert.deepEqual(inForce([first, second], { ...standing, now: Date.parse(second.until) }), [first]);
  assert.deepEqual(inForce([first, second], { ...standing, past: true }), []);
});

test("a camera that the page does not list is described by its suggestion, and may be opened", () => {
  const camera = unlisted({ camera: "newcomer", since: "2026-11-22T06:00:00Z" });
  assert.deepEqual([camera.id, camera.title, camera.state], ["newcomer", "newcomer", "connecting"]);
  assert.equal(wantsPicture({ camera, paused: true, asked: true, visible: true, holding: false }), true);
});

test("a suggestion names its camera by its title, as the tile does", () => {
  const suggestion = { camera: "front", label: "person", score: 0.871 };
  assert.equal(whatOf(suggestion, "Front door"), "person at Front door, 87 %");
});

test("a detector is shown with the state of the API, and with words for what was not used", () => {
  const known = { pictures: 2, detections: 1, latency_s: null, reason: "", dropped: { "long-line": 3, "other": 1 } };
  for (const state of ["starting", "running", "backoff", "quarantined"])
    assert.equal(figures({ ...known, state }).line, `${state} · 2 pictures · 1 detections · 4 not used`);
  assert.equal(figures({ ...known, state: "running" }).why, "line too long: 3, other: 1");
  const reasons = ["long-line", "no-json", "wrong-field", "unknown-camera", "wrong-time", "too-many", "large-picture", "no-picture"];
  for (const reason of reasons) {
    const [words] = figures({ ...known, state: "running", dropped: { [reason]: 1 } }).why.split(": ");
    assert.ok(WORDS[words], reason);
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

test("a refused configuration is what follows from it and its lines; none is nothing", () => {
  const refused = { origin: "banken.yaml", lines: ["banken.yaml:3: no", "banken.yaml:7: no"], more: 1, since: "" };
  const rows = complaintsOf(refused);
  assert.deepEqual(rows.map(({ name }) => name), ["configuration", "", "", ""]);
  assert.match(rows[0].text, /^banken.yaml was changed and cannot be used/);
  assert.deepEqual(rows.slice(1).map(({ text }) => text), ["banken.yaml:3: no", "banken.yaml:7: no", "and 1 problem more"]);
  assert.equal(new Set(rows.map(({ key }) => key)).size, 4);
  assert.deepEqual([complaintsOf(null), complaintsOf(undefined)], [[], []]);
});

test("an alert stands before the lines of a configuration, which may fill the strip", () => {
  const health = { parts: [{ part: "alert/disk", reason: "the disk is full" }] };
  const refused = { origin: "banken.yaml", lines: Array(20).fill("no"), more: 0, since: "" };
  assert.equal(stripOf(health, refused)[0].text, "the disk is full");
  assert.equal(stripOf(health, refused).length, 22);
});

test("a camera can be tried while it waits for its next attempt", () => {
  const can = ["waiting", "failed", "quarantined", "queued", "connecting", "live", "stalled", "idle"].filter((state) => canRetry({ state }));
  assert.deepEqual(can, ["waiting", "failed", "quarantined"]);
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
  assert.deepEqual([atRest.tone, atRest.detail.includes("taken by door"), atRest.lang], ["rest", true, "en"]);
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
  assert.equal(describe({ ...rest, camera, takenAt: 0, present: 300_000 }).title, "Picture of 5 min ago", "it grows old while banken is away");
  assert.equal(describe({ ...rest, camera }).title, "No picture yet");
  assert.equal(describe({ ...rest, camera: { state: "failed", reason: reason("fatal") } }).tone, "failed");
});

test("what stands over a picture begins with a capital letter, now and in the past", () => {
  const camera = { state: "idle", reason: { ...reason(), code: "unused", text: "nobody needs it now" } };
  assert.equal(describe({ ...seen, player: { name: "idle", reason: null }, camera }).detail, "Nobody needs it now.");
  assert.equal(pastView(camera, 0).detail, "Nobody needs it now.");
  const languages = [camera, { ...camera, reason: null }].map((each) => describe({ ...seen, player: { name: "idle", reason: null }, camera: each }).lang);
  assert.deepEqual(languages, ["en", undefined], "a reason is the journal's, and what the page says by itself is not");
});

test("a connection that an operator ended says so until play is pressed", () => {
  const kicked = { ...seen, camera: { state: "live" }, agreed: false, paused: true, ended: "an operator ended this connection" };
  assert.equal(describe(kicked).title, "An operator ended this connection.");
  assert.deepEqual([describe({ ...kicked, endedLang: "en" }).titleLang, describe(kicked).titleLang], ["en", null]);
  assert.equal(describe({ ...kicked, agreed: true }), null);
});

test("header and view count those who watch, and leave out a lease under which nobody watches", () => {
  assert.equal(watching([{ viewers: 2 }, { viewers: 0 }, { viewers: 1 }]), 3);
});

test("what is asked before an end is called as its page calls it afterwards, and this page by its name", () => {
  const [lease, alone] = [{ lease: "l1", state: "connected" }, { lease: null, state: "connected" }];
  for (const [row, mine, word, whose] of [[lease, false, "lease", "Its page"], [alone, false, "connection", "Its page"], [lease, true, "lease", "This page"], [alone, true, "connection", "This page"]]) {
    const { title, text } = endingOf(row, mine);
    assert.deepEqual([title, text.includes(`ended the ${word}`), text.includes(whose), text.includes("Its page") && mine], [`End this ${word}?`, true, true, false]);
  }
  assert.ok(endingOf({ lease: "l1", state: "lease only" }, false).text.includes("nobody watches"));
});

test("a camera that is looked at by itself says that only play opens it", () => {
  const rest = { ...seen, resting: true, agreed: false, camera: { state: "live", reason: null } };
  assert.equal(describe({ ...rest, alone: true }).next, "Press play to watch. This page alone opens no camera.");
  assert.equal(describe(rest).next, "");
});

test("snapshots are named as such", () => {
  const view = describe({ ...seen, player: { name: "retrying", reason: "r" }, camera: { state: "live" }, fallsBack: true });
  assert.deepEqual([view.tone, view.title.startsWith("Snapshots only")], ["note", true]);
});

test("snapshots say why, where that is certain", () => {
  const player = { name: "retrying", misses: Infinity, reason: "this browser does not play H.265, which the camera sends" };
  const view = describe({ ...seen, player, camera: { state: "live" }, fallsBack: true });
  assert.equal(view.title, "Snapshots only: this browser does not play H.265, which the camera sends");
});

test("a viewer who wants audio sees why it is missing; others see nothing", () => {
  const camera = { state: "live", codec: "h264", audio: "", mute: "" };
  assert.equal(describe({ ...seen, camera }), null);
  assert.equal(describe({ ...seen, camera, loud: true }).title, "No audio: the camera sends none");
  assert.equal(describe({ ...seen, camera: { ...camera, mute: "the audio is MP3" }, loud: true }).title, "No audio: the audio is MP3");
  assert.equal(describe({ ...seen, camera: { ...camera, audio: "aac" }, loud: true }), null);
  assert.equal(describe({ ...seen, camera, loud: true, substream: "low" }), null, "another camera is heard");
  assert.equal(silence({ codec: null, audio: "", mute: "" }), "", "not known before there was a picture");
});

test("a tile says at once that its camera sends B-frames which browsers show jerkily, and what helps", () => {
  const camera = { state: "live", codec: "h264", audio: "aac", mute: "", b_frames: true, transcode: "never" };
  const view = describe({ ...seen, camera });
  assert.deepEqual([view.tone, view.title], ["note", "It sends B-frames, which browsers show jerkily: turn them off in the camera"]);
  assert.equal(describe({ ...seen, camera: { ...camera, transcode: "auto" } }), null, "transcoded video needs no note over it");
  assert.equal(describe({ ...seen, camera: { ...camera, b_frames: false } }), null);
  assert.equal(describe({ ...seen, camera, substream: "low" }), null, "another camera is shown");
});

test("codecs are called what people call them", () => {
  assert.deepEqual(["h264", "h265", null].map(codecName), ["H.264", "H.265", ""]);
  assert.deepEqual(["aac", "pcma", ""].map(soundName), ["AAC", "G.711", ""]);
});

test("a saved picture is named after its camera and its second", () => {
  assert.equal(pictureName("front", "2026-11-22T06:01:02.345Z"), "front-2026-11-22T06-01-02Z.jpg");
});

test("a connection's name is read from its address", () => {
  assert.equal(peerOf({ url: "http://127.0.0.1:8620/whep/front/ab12" }), "ab12");
});

test("the button of a view names its first key, if it has one", () => {
  assert.equal(hintOf("Devices", [{ keys: ["d", "D"] }, { keys: ["e"] }]), "Devices (d)");
  assert.equal(hintOf("Devices", []), "Devices");
});
