// A camera's tile with its player, over a fake document and a fake server.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { createClock } from "../../../web/dashboard/clock.js";
import { createLarge } from "../../../web/dashboard/panels/large/large.js";
import { createCamera, ownChoice } from "../../../web/dashboard/panels/wall/camera.js";
import { createDetections } from "../../../web/dashboard/panels/detections/detections.js";
import { createDevices } from "../../../web/dashboard/panels/devices/devices.js";
import { createProcesses } from "../../../web/dashboard/panels/processes/processes.js";
import { describe } from "../../../web/dashboard/panels/wall/overlay.js";
import { PATIENCE } from "../../../web/dashboard/player/table.js";
import { REFRESH_MS } from "../../../web/dashboard/player/connection-policy.js";
import { openDocument } from "./page.mjs";
import { serve, settle, stopTheClock } from "./world.mjs";

const BASE = "http://127.0.0.1/";
const CAMERA = {
  id: "yard", title: "yard", mode: "on_demand", watch: false, state: "idle", since: "2026-11-22T09:00:00Z", reason: null, retry_at: null, retried: false,
  viewers: 0, codec: "h264", width: 320, height: 180, fps: 25, bitrate: 1e6, audio: "", mute: "", last_frame_age_ms: null,
};
const TAKEN = { headers: { "X-Picture-Time": "2026-11-22T09:59:00.000Z" } };

class Connection extends EventTarget {
  connectionState = "connected";
  iceGatheringState = "complete";
  localDescription = { sdp: "v=0" };
  addTransceiver() {}
  getReceivers = () => [];
  async setLocalDescription() {}
  async setRemoteDescription() {}
  getStats = async () => new Map();
  close() {}
}

let page;
let time;
let server = null;
beforeEach(() => {
  time = stopTheClock();
  Object.assign(globalThis, { RTCPeerConnection: Connection, MediaStream: class {} });
});
afterEach(() => {
  time.start();
  server?.close();
});

function openCamera(camera, answer, choice = ownChoice(false)) {
  page = openDocument();
  server = serve(answer);
  const actions = Object.fromEntries(["enlarge", "select", "focus"].map((name) => [name, () => {}]));
  const entry = createCamera({ camera, base: BASE, clock: createClock(), actions, choice });
  entry.tile.parts.video.requestVideoFrameCallback = (shown) => setTimeout(() => shown(0), 100);
  entry.seen(true);
  entry.update(camera);
  return entry;
}

const pictures = () => server.asked.filter(({ url }) => url.includes("snapshot.jpg"));

// A message about the camera each second, as the server sends it.
async function live(entry, camera, seconds) {
  for (let second = 0; second < seconds; second += 1) {
    entry.update(camera);
    await time.pass(1000);
  }
}

test("a camera that others hold open has a new picture when it becomes live and each ten seconds, and none out of sight", async () => {
  const entry = openCamera(CAMERA, () => TAKEN);
  await live(entry, CAMERA, 60);
  assert.equal(pictures().length, 1, "at rest its last picture does not change");
  await live(entry, { ...CAMERA, state: "connecting" }, 5);
  await live(entry, { ...CAMERA, state: "live" }, 1);
  assert.equal(pictures().length, 2, "it is live");
  await live(entry, { ...CAMERA, state: "live" }, (3 * REFRESH_MS) / 1000);
  assert.equal(pictures().length, 5);
  entry.seen(false);
  await live(entry, { ...CAMERA, state: "live" }, 60);
  document.hidden = true;
  entry.seen(true);
  await live(entry, { ...CAMERA, state: "live" }, 60);
  assert.equal(pictures().length, 5, "nobody sees it");
  assert.ok(pictures().every(({ url }) => url.endsWith("?cached")), "no camera is opened for it");
  entry.close();
});

test("a picture that is slow to come is waited for, and not asked for a second time", async () => {
  const entry = openCamera({ ...CAMERA, state: "live" }, () => TAKEN);
  await settle();
  server.close();
  const asked = [];
  const stock = globalThis.fetch;
  globalThis.fetch = (url) => new Promise(() => asked.push(url));
  await live(entry, { ...CAMERA, state: "live" }, 25);
  globalThis.fetch = stock;
  assert.equal(asked.length, 1);
  entry.close();
});

const FAILED = { ...CAMERA, mode: "always", watch: true, state: "failed", reason: { code: "refused", fault: "fatal", text: "no" }, retry_at: "2026-11-22T10:05:00Z" };

test("a server that does not answer is said to be asked at once, is asked once, and is given up in a sentence", async () => {
  const entry = openCamera(FAILED, () => TAKEN);
  const { retry, hint } = entry.tile.parts;
  server.close();
  const asked = [];
  const stock = globalThis.fetch;
  globalThis.fetch = (url, { signal }) => new Promise((_, reject) => {
    asked.push(url);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
  retry.press();
  assert.deepEqual([hint.textContent, hint.hidden, retry.getAttribute("aria-disabled"), retry.getAttribute("title")], ["Requesting…", false, "true", "Requesting…"]);
  retry.press();
  await time.pass(6000);
  assert.deepEqual([hint.textContent, retry.getAttribute("aria-disabled"), asked.length], ["The server did not answer.", null, 1]);
  globalThis.fetch = stock;
  entry.close();
});

test("while banken is away a camera is not tried, and the button says why", async () => {
  const entry = openCamera(FAILED, () => TAKEN);
  page.stale(true);
  entry.draw();
  const { retry, hint } = entry.tile.parts;
  assert.deepEqual([retry.getAttribute("aria-disabled"), retry.getAttribute("title")], ["true", "banken does not answer: actions are not possible."]);
  assert.equal(entry.again(), true);
  await settle();
  assert.deepEqual([hint.textContent, server.asked.filter(({ method }) => method === "POST").length], ["banken does not answer: actions are not possible.", 0]);
  page.stale(false);
  entry.draw();
  assert.equal(retry.getAttribute("aria-disabled"), null);
  entry.close();
});

test("a tile whose picture stands still does not say that the camera is live, nor at which rate", async () => {
  const camera = { ...CAMERA, mode: "always", watch: true, state: "live" };
  const entry = openCamera(camera, () => ({ status: 201, headers: { Location: `${BASE}whep/yard/p1.secret` } }), ownChoice(true));
  await time.pass(500, 100);
  const { parts } = entry.tile;
  entry.draw();
  assert.deepEqual([entry.player.state().name, parts.state.textContent, parts.fps.textContent], ["live", "live", "25.0 fps"]);
  await time.pass(PATIENCE.live * 1000 + 1000);
  entry.draw();
  assert.equal(entry.player.state().name, "stale");
  assert.deepEqual([parts["overlay-title"].textContent, parts.state.textContent, parts.fps.textContent], ["The picture is frozen", "was live", "– fps"]);
  assert.ok(parts.badge.hasAttribute("data-was"));
  entry.close();
});

test("a live camera whose offers are refused for their rate shows its snapshot and why, and plays after Retry-After", async () => {
  const camera = { ...CAMERA, mode: "always", watch: true, state: "live" };
  const detail = "127.0.0.1 asks too often";
  let full = true;
  const answer = ({ url }) => {
    if (url.includes("snapshot.jpg")) return TAKEN;
    return full
      ? { status: 429, headers: { "Retry-After": "10" }, body: { detail } }
      : { status: 201, headers: { Location: `${BASE}whep/yard/p1.secret` } };
  };
  const entry = openCamera(camera, answer, { paused: false, keep() {} });
  const { parts, root } = entry.tile;
  await live(entry, camera, 3);
  assert.deepEqual([parts["overlay-title"].textContent, parts["overlay-detail"].textContent], ["Picture of 1 min ago", `${detail}.`]);
  assert.match(parts["overlay-next"].textContent, /^Next try in \d+ s$/);
  assert.deepEqual([parts.overlay.dataset.tone, root.dataset.picture], ["note", "yes"]);
  assert.ok(pictures().every(({ url }) => url.endsWith("?cached")), "it costs no event");
  full = false;
  for (let second = 0; second < 15 && entry.player.state().name !== "live"; second += 1) await live(entry, camera, 1);
  assert.deepEqual([entry.player.state().name, parts.overlay.hidden], ["live", true]);
  assert.ok(pictures().length <= 3, "one each ten seconds");
  entry.close();
});

test("while banken is away WebRTC is not mentioned; later it is named only where it failed", () => {
  const seen = { camera: { state: "live" }, dueAt: 4000, paused: false, agreed: true, pictured: true, now: 0, localNow: 0, fallsBack: true };
  const player = { name: "fallback", misses: 0, reason: "the server did not answer" };
  const { title, detail, next } = describe({ ...seen, player, stale: true });
  assert.deepEqual([title, detail, next], ["Picture lost", "The server did not answer.", "Next try in 4 s"]);
  assert.equal(describe({ ...seen, player }).title, "Snapshots only: the server did not answer");
  assert.equal(describe({ ...seen, player: { ...player, misses: 2 } }).title, "Snapshots only: WebRTC cannot connect");
  assert.deepEqual(describe({ ...seen, player: { ...player, misses: Infinity }, dueAt: null, stale: true }).next, "");
});

test("a list that cannot be had while banken is away says so, and does not say that it is asked for or empty", async () => {
  page = openDocument();
  server = serve(() => ({ body: { detections: [] } }));
  const clock = createClock();
  createProcesses({ base: BASE, clock, order: () => [] });
  createDevices({ base: BASE, clock });
  const detections = createDetections({ base: BASE, clock, onOpen() {} });
  const notes = () => ["process-note", "device-note", "detection-note"].map((name) => page.part(name).textContent);
  clock.silence(Date.now());
  assert.deepEqual(notes(), Array(3).fill("The list could not be read: banken does not answer"));
  clock.silence(null);
  assert.deepEqual(notes(), Array(3).fill("Requesting…"));
  detections.enter();
  await settle();
  assert.equal(notes().at(-1), "Nothing has been detected yet.");
  clock.silence(Date.now());
  assert.equal(notes().at(-1), "The list could not be read: banken does not answer");
  detections.leave();
});

test("the address of a camera plays what the wall plays by itself, and opens no other camera", async () => {
  const options = { base: BASE, clock: createClock(), wall: { ids: () => ["yard"], tileOf: () => null, setCurrent() {} }, idle: () => 0, onSelect() {}, seq: () => null, complain() {} };
  for (const [more, kept, posts] of [[{ watch: true, state: "live" }, null, 1], [{ watch: true, state: "live" }, "1", 0], [{ watch: false, state: "live" }, null, 0], [{ watch: false }, null, 0]]) {
    globalThis.sessionStorage = { getItem: (key) => (key === "banken.paused.yard" ? kept : null) };
    page = openDocument("#camera=yard");
    server = serve(() => ({ status: 403 }));
    const large = createLarge({ ...options, dialog: page.part("large") });
    large.state({ cameras: [{ ...CAMERA, ...more }] });
    await time.pass(1000);
    const leases = server.asked.filter(({ method, url }) => method === "POST" && url.endsWith("api/leases"));
    assert.deepEqual([large.isOpen(), leases.length], [true, posts], JSON.stringify([more, kept]));
    large.stop();
    server.close();
    delete globalThis.sessionStorage;
  }
});

test("an address of a camera that there is not gives way to what is shown, with a sentence; one of the past waits for it", async () => {
  const complaints = [];
  const options = { base: BASE, clock: createClock(), wall: { ids: () => ["yard"], tileOf: () => null, setCurrent() {} }, idle: () => 0, onSelect() {}, seq: () => 7, complain: (text) => complaints.push(text) };
  const state = (large, ...ids) => large.state({ cameras: ids.map((id) => ({ ...CAMERA, id, title: id })) });
  server = serve(() => ({ status: 404 }));

  page = openDocument("#viewers&camera=gate");
  let large = createLarge({ ...options, dialog: page.part("large") });
  state(large, "yard");
  assert.deepEqual([page.address(), large.isOpen(), complaints.splice(0)], ["#viewers", false, ["There is no camera “gate”."]]);

  page = openDocument("#camera=yard");
  large = createLarge({ ...options, dialog: page.part("large") });
  state(large, "yard");
  assert.deepEqual([page.address(), large.isOpen(), complaints.splice(0)], ["#camera=yard", true, []]);
  location.hash = "#camera=gate";
  window.dispatchEvent(new Event("hashchange"));
  assert.deepEqual([page.address(), large.isOpen(), complaints.splice(0)], ["#camera=yard", true, ["There is no camera “gate”."]]);

  page = openDocument("#at=7&camera=gate");
  large = createLarge({ ...options, dialog: page.part("large") });
  state(large, "yard");
  assert.deepEqual([page.address(), complaints], ["#at=7&camera=gate", []], "it may have been there then");
  large.inPast(true);
  state(large, "yard", "gate");
  assert.deepEqual([page.address(), large.isOpen(), complaints], ["#at=7&camera=gate", true, []]);
  large.stop();
});

const PRIVACY = { since: "2026-11-22T09:00:00Z", until: "2026-11-23T06:00:00Z", reason: { code: "privacy", text: "switched off by anna", fault: "none" }, camera: "yard" };

test("a private camera shows since when and until when, and neither a picture nor a connection", async () => {
  const always = { ...CAMERA, mode: "always", watch: true, state: "live" };
  const entry = openCamera(always, () => TAKEN, { paused: false, asked: false, keep() {} });
  await live(entry, always, 3);
  const offers = () => server.asked.filter(({ url }) => url.includes("whep")).length;
  assert.ok(offers() > 0, "it plays");
  const hidden = { ...always, state: "idle", privacy: PRIVACY, reason: PRIVACY.reason };
  const [asked, shown] = [server.asked.length, offers()];
  await live(entry, hidden, 60);
  assert.deepEqual([server.asked.length, offers()], [asked, shown], "nothing is asked for");
  const { parts, root } = entry.tile;
  assert.equal(parts["overlay-title"].textContent, "Private");
  assert.match(parts["overlay-detail"].textContent, /^Since .+, until .+/);
  assert.equal(parts["overlay-next"].textContent, "Switched off by anna.");
  assert.equal(parts.state.textContent, "private");
  assert.equal(root.getAttribute("data-picture"), "no");
  await live(entry, always, 3);
  assert.ok(offers() > shown, "it plays again by itself");
  entry.close();
});

test("the switch of privacy sends one request a press, and says what it does", async () => {
  const entry = openCamera(CAMERA, () => TAKEN);
  const { hide } = entry.tile.parts;
  assert.deepEqual([hide.hidden, hide.getAttribute("aria-label"), hide.getAttribute("aria-pressed")], [false, "Make yard private", "false"]);
  hide.dispatchEvent(new Event("click"));
  hide.dispatchEvent(new Event("click"));
  await settle();
  const sent = server.asked.filter(({ url }) => url.endsWith("/api/cameras/yard/privacy"));
  assert.equal(sent.length, 1);
  entry.update({ ...CAMERA, privacy: PRIVACY });
  assert.deepEqual([hide.getAttribute("aria-label"), hide.getAttribute("aria-pressed")], ["Show yard again", "true"]);
  entry.update({ ...CAMERA, privacy: { ...PRIVACY, camera: "gate" } });
  assert.equal(hide.hidden, true, "a substream is switched with its camera");
  entry.close();
});
