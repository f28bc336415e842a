import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { createSnapshot } from "../../../web/dashboard/player/snapshot.js";
import { serve, settle, stopTheClock } from "./world.mjs";

const TAKEN = "2026-11-22T09:59:00.000Z";
const picture = { headers: { "X-Picture-Time": TAKEN } };

let clock;
let server;
beforeEach(() => (clock = stopTheClock()));
afterEach(() => {
  clock.start();
  server.close();
});

function open(answer) {
  server = serve(answer);
  const img = { getAttribute: () => img.src, setAttribute: (name, value) => (img[name] = value), removeAttribute: (name) => delete img[name] };
  return createSnapshot({ img, url: "http://127.0.0.1/cameras/yard/snapshot.jpg", onChange() {} });
}

test("a picture that is refused for a moment is asked for again when the server says, and shown", async () => {
  const full = { status: 429, headers: { "Retry-After": "3" } };
  const snapshot = open(() => (server.asked.length === 1 ? full : picture));
  snapshot.load();
  await settle();
  await clock.pass(2900);
  assert.deepEqual([server.asked.length, snapshot.takenAt()], [1, null]);
  await clock.pass(200);
  await settle();
  assert.deepEqual([server.asked.length, snapshot.takenAt()], [2, Date.parse(TAKEN)]);
  assert.ok(server.asked.every(({ url }) => url.endsWith("?cached")));
  snapshot.close();
});

test("a camera without a picture is asked once and shows none; who stops leaves neither request nor timer", async () => {
  const snapshot = open(() => ({ status: server.asked.length === 1 ? 204 : 503 }));
  snapshot.load();
  await clock.pass(60_000);
  assert.deepEqual([server.asked.length, snapshot.takenAt()], [1, null]);
  snapshot.load();
  await settle();
  snapshot.stop();
  await clock.pass(60_000);
  assert.deepEqual([server.asked.length, snapshot.takenAt()], [2, null]);
});
