// The shells around the table, over fake connections and sockets.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { createFeed, DOUBT_S, LOST_S } from "../../../web/dashboard/feed.js";
import { createPlayer } from "../../../web/dashboard/player/player.js";
import { LADDER, PROBE } from "../../../web/dashboard/player/table.js";
import { serve, settle, stopTheClock } from "./world.mjs";

let clock;
let server = null;
let did = [];
let connections = [];

class Connection extends EventTarget {
  connectionState = "new";
  iceGatheringState = "complete";
  signalingState = "stable";
  localDescription = { sdp: "v=0" };
  constructor() {
    super();
    connections.push(this);
  }
  addTransceiver() {}
  getReceivers() {
    return [{ track: { stop: () => did.push("track stopped") } }];
  }
  async setLocalDescription() {}
  async setRemoteDescription() {
    this.connectionState = "connected";
  }
  async getStats() {
    return new Map();
  }
  addEventListener(type, handler, options) {
    options?.signal?.addEventListener("abort", () => did.push("listener removed"), { once: true });
    super.addEventListener(type, handler, options);
  }
  close() {
    did.push("connection closed");
    this.connectionState = this.signalingState = "closed";
  }
}

class Socket {
  static all = [];
  sent = [];
  constructor(url) {
    this.url = new URL(url);
    Socket.all.push(this);
  }
  say(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  send(text) {
    this.sent.push(text);
  }
  close() {
    this.closed = true;
  }
}

const video = () => ({
  pause: () => did.push("video paused"),
  load: () => did.push("video loaded again"),
  removeAttribute: (name) => did.push(`video without ${name}`),
  set srcObject(value) {
    did.push(value === null ? "video without source" : "video given a source");
  },
});

beforeEach(() => {
  clock = stopTheClock();
  [did, connections, Socket.all] = [[], [], []];
  Object.assign(globalThis, {
    RTCPeerConnection: Connection, WebSocket: Socket, MediaStream: class {}, window: new EventTarget(),
    document: Object.assign(new EventTarget(), { hidden: false }),
  });
});
afterEach(() => {
  clock.start();
  server?.close();
  server = null;
});

const CAMERA = "http://127.0.0.1/whep/front";

// A player over a server that answers every offer with `answer()`.
function openPlayer(answer, target = () => ({ url: CAMERA })) {
  server = serve(({ method }) => (method === "POST" ? answer() : { status: 200 }));
  return createPlayer({ target, video: video(), sound: () => false, cameraIsLive: () => true, onChange() {}, beforeRelease: () => did.push("still kept"), chance: () => 0.5 });
}

const accepted = () => ({ status: 201, headers: { Location: `${CAMERA}/p1.secret` } });
const posts = () => server.asked.filter(({ method }) => method === "POST").length;

test("what is open is released in this order: tracks, the video element, the connection, the listeners", async () => {
  const player = openPlayer(accepted);
  player.play();
  await settle();
  did = [];
  player.close();
  const order = ["still kept", "track stopped", "video paused", "video without source", "video without src", "video loaded again", "connection closed", "listener removed"];
  assert.deepEqual(did.filter((each, at) => did.indexOf(each) === at), order);
  const { method, url, keepalive } = server.asked.at(-1);
  assert.deepEqual([method, url, keepalive], ["DELETE", `${CAMERA}/p1`, true], "also when the page is being left");
});

test("the secret of a connection is in no address: the login stands for it, and without a login a header has it", async () => {
  for (const [location, sent] of [["p1.secret", { "Banken-Peer": "p1.secret" }], ["p1", {}]]) {
    const player = openPlayer(() => ({ status: 201, headers: { Location: `${CAMERA}/${location}` } }));
    player.play();
    await settle();
    player.close();
    const { method, url, headers } = server.asked.at(-1);
    assert.deepEqual([method, url, headers], ["DELETE", `${CAMERA}/p1`, sent]);
    server.close();
  }
});

test("a player that was closed while its offer was answered ends what it was given, and says nothing more", async () => {
  const player = openPlayer(accepted);
  player.play();
  player.close();
  await settle();
  assert.deepEqual([posts(), player.state().name], [0, "closed"], "closed before it was sent: nothing was sent");
  player.play();
  while (posts() === 0) await null;
  player.close();
  await settle();
  assert.deepEqual(server.asked.map(({ method }) => method), ["POST", "DELETE"]);
});

test("a server that is full is asked after 1, 2, 4, 8 and 16 s and then every 30 s, and after close() never again", async () => {
  const player = openPlayer(() => ({ status: 503, body: { detail: "full" } }));
  player.play();
  await clock.pass(100, 100);
  for (const [at, seconds] of [...LADDER, PROBE, PROBE].entries()) {
    assert.equal(posts(), at + 1);
    await clock.pass(seconds * 1000 - 200, 100);
    assert.equal(posts(), at + 1, `not before ${seconds} s`);
    await clock.pass(200, 100);
  }
  assert.deepEqual([player.state().name, player.state().reason, player.fallsBack()], ["fallback", "full", true]);
  const asked = posts();
  player.close();
  await clock.pass(3_600_000, 1000);
  assert.deepEqual([posts(), clock.timers()], [asked, 0]);
  assert.ok(connections.every(({ connectionState }) => connectionState === "closed"));
});

test("Retry-After is honoured, and what will not pass is asked once and says why", async () => {
  const busy = openPlayer(() => ({ status: 429, headers: { "Retry-After": "40" }, body: { detail: "at most 64 viewers are allowed" } }));
  busy.play();
  await settle();
  busy.back();
  await clock.pass(39_000, 500);
  assert.equal(posts(), 1);
  await clock.pass(10_000, 500);
  assert.equal(posts(), 2);
  busy.close();
  server.close();
  const denied = openPlayer(() => ({ status: 403, body: { detail: "not for you" } }));
  denied.play();
  await clock.pass(600_000, 1000);
  assert.deepEqual([posts(), denied.state().name, denied.state().reason], [1, "refused", "not for you"]);
  denied.close();
});

test("a lease that cannot be had is a refusal like any other", async () => {
  const headers = async () => {
    throw Object.assign(new (await import("../../../web/dashboard/ask.js")).Refusal(409, "somebody has it alone"));
  };
  const player = openPlayer(accepted, () => ({ url: CAMERA, headers }));
  player.play();
  await settle();
  assert.deepEqual([posts(), player.state().name, player.state().reason], [0, "refused", "somebody has it alone"]);
  player.close();
});

test("the feed resumes after the last event, tells each once, and takes silence for loss", async () => {
  const seen = [];
  const handlers = { hello() {}, state() {}, link: ({ status }) => seen.push(status), reset: () => seen.push("reset"), events: (list) => seen.push(...list.map(({ seq }) => seq)) };
  const feed = createFeed({ url: "ws://127.0.0.1/ws/events", handlers, chance: () => 1 });
  feed.start();
  const [first] = Socket.all;
  first.say({ type: "hello", run: "r1", last: 7 });
  first.say({ type: "events", events: [{ seq: 6 }, { seq: 7 }] });
  first.onclose();
  await clock.pass(1500);
  const second = Socket.all[1];
  assert.equal(second.url.searchParams.get("after"), "7");
  second.say({ type: "hello", run: "r1", last: 8 });
  second.say({ type: "events", events: [{ seq: 7 }, { seq: 8 }] });
  await clock.pass(15_000);
  assert.ok(second.closed, "ten seconds without a word");
  assert.deepEqual(seen.filter((each) => typeof each === "number"), [6, 7, 8]);
  Socket.all.at(-1).say({ type: "hello", run: "r9", last: 2 });
  assert.ok(seen.includes("reset"), "another journal is begun from its beginning");
  feed.stop();
  const opened = Socket.all.length;
  window.dispatchEvent(new Event("online"));
  await clock.pass(600_000, 1000);
  assert.equal(Socket.all.length, opened, "nothing follows a stop");
});

test("the feed says that it was refused before its first word, or when rights were taken away, and not when it broke", async () => {
  let refused = 0;
  const handlers = { hello() {}, state() {}, events() {}, reset() {}, link() {}, refused: () => (refused += 1) };
  const feed = createFeed({ url: "ws://127.0.0.1/ws/events", handlers, chance: () => 1 });
  feed.start();
  const counts = [];
  for (const [says, code] of [[false, 1006], [true, 1006], [true, 4403], [true, 1001]]) {
    const socket = Socket.all.at(-1);
    if (says) socket.say({ type: "hello", run: "r1", last: 7 });
    socket.onclose({ code });
    counts.push(refused);
    await clock.pass(2500);
  }
  feed.stop();
  assert.deepEqual(counts, [1, 1, 2, 2]);
});

test("silence of four seconds is doubt, which keeps the connection, and the next word ends it", async () => {
  const links = [];
  const handlers = { hello() {}, state() {}, events() {}, reset() {}, link: ({ status }) => links.push(status) };
  const feed = createFeed({ url: "ws://127.0.0.1/ws/events", handlers, chance: () => 1 });
  feed.start();
  const [socket] = Socket.all;
  await clock.pass((DOUBT_S + 1) * 1000);
  assert.deepEqual(links.splice(0), ["connecting"], "before hello there is nothing to doubt");
  socket.say({ type: "hello", run: "r1", last: 7 });
  await clock.pass((DOUBT_S - 1) * 1000);
  socket.say({ type: "events", events: [] });
  await clock.pass((DOUBT_S - 1) * 1000);
  assert.deepEqual(links.splice(0), ["live"], "a server that is late is not doubted");
  await clock.pass(1000);
  assert.deepEqual([links.splice(0), socket.closed], [["silent"], undefined]);
  socket.say({ type: "events", events: [] });
  assert.deepEqual([links.splice(0), Socket.all.length], [["live"], 1]);
  await clock.pass(LOST_S * 1000);
  assert.deepEqual([links, socket.closed], [["silent", "waiting"], true]);
  feed.stop();
  assert.equal(clock.timers(), 0);
});

test("a page that was held up does not take its own delay for the server's silence", async () => {
  const links = [];
  const handlers = { hello() {}, state() {}, events() {}, reset() {}, link: ({ status }) => links.push(status) };
  const feed = createFeed({ url: "ws://127.0.0.1/ws/events", handlers });
  feed.start();
  const [socket] = Socket.all;
  socket.say({ type: "hello", run: "r1", last: 7 });
  clock.hold(30_000);
  socket.say({ type: "events", events: [] });
  assert.deepEqual([links, socket.closed], [["connecting", "live"], undefined]);
  feed.stop();
});

test("the feed asks for changes, puts them together, and asks for the list of each view that is shown", async () => {
  const seen = [];
  const handlers = { hello() {}, events() {}, link() {}, reset() {}, state: (message) => seen.push(message) };
  const feed = createFeed({ url: "ws://127.0.0.1/ws/events", handlers, chance: () => 1 });
  const before = Socket.all.length;
  feed.start();
  const first = Socket.all[before];
  assert.deepEqual([first.url.searchParams.get("state"), first.url.searchParams.get("views")], ["changes", null]);
  feed.show("viewers", true);
  assert.deepEqual(first.sent, [], "not before the server has said hello");
  first.say({ type: "hello", run: "r1", last: 7 });
  feed.show("viewers", true);
  assert.deepEqual(first.sent.map(JSON.parse), [{ type: "state.show", id: 1, views: ["viewers"] }]);
  first.say({ type: "changes", now: "x" });
  assert.equal(seen.length, 0, "changes of nothing");
  first.say({ type: "state", now: "x", summary: { daemon: { viewers: 1 } }, cameras: { a: { id: "a", fps: 1 } }, health: {} });
  first.say({ type: "changes", now: "y", cameras: { a: { fps: 2 } } });
  assert.deepEqual(seen.at(-1).cameras, [{ id: "a", fps: 2 }]);
  first.onclose();
  await clock.pass(1500);
  const second = Socket.all[before + 1];
  assert.equal(second.url.searchParams.get("views"), "viewers");
  second.say({ type: "hello", run: "r1", last: 8 });
  second.say({ type: "changes", now: "z", cameras: { a: { fps: 3 } } });
  assert.equal(seen.at(-1).now, "y", "of another connection nothing is known");
  assert.deepEqual(second.sent, [], "its address has said it");
  feed.show("viewers", false);
  assert.deepEqual(JSON.parse(second.sent[0]).views, []);
  feed.stop();
  feed.show("viewers", true);
});
