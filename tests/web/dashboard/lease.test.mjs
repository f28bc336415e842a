import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { ask, askJson, isAbsent, Refusal, TRIES, Silence } from "../../../web/dashboard/ask.js";
import { createIdle, IDLE_MS } from "../../../web/dashboard/panels/large/idle.js";
import { createKiosk, isKiosk, SPREAD_MS, untilReload } from "../../../web/dashboard/kiosk.js";
import { createLease } from "../../../web/dashboard/player/lease.js";
import { serve, settle, stopTheClock } from "./world.mjs";

const URL_ = "http://127.0.0.1/api/leases";
const grant = { status: 201, headers: { Location: "/api/leases/L1" }, body: { lease: "L1", secret: "s3", heartbeat_s: 10, ttl_s: 30 } };

let clock;
let server = null;
beforeEach(() => (clock = stopTheClock()));
afterEach(() => {
  clock.start();
  server?.close();
  server = null;
});

// A lease over a server that grants, renews and releases leases, except where `odd` returns another answer.
function open(odd = () => undefined) {
  const ended = [];
  server = serve((request) => odd(request) ?? (request.method === "POST" ? grant : request.method === "PUT" ? {} : { status: 204 }));
  return { ended, lease: createLease({ url: URL_, idle: () => 12.4, onEnd: (reason) => ended.push(reason) }) };
}

test("a lease is taken once, shown with each offer, renewed with how long nobody touched the page, and given back", async () => {
  const { lease } = open();
  const [first, second] = await Promise.all([lease.take("front"), lease.take("front")]);
  assert.deepEqual([first, second], [{ "Banken-Lease": "L1.s3" }, { "Banken-Lease": "L1.s3" }]);
  assert.deepEqual(server.asked[0].body, { kind: "modal", camera: "front" });
  await clock.pass(35_000);
  assert.equal(server.methods(), "POST PUT PUT PUT");
  assert.deepEqual([server.asked[1].body, server.asked[1].headers["Banken-Lease"]], [{ idle_s: 12 }, "L1.s3"]);
  lease.release();
  const { method, url, keepalive, headers } = server.asked.at(-1);
  assert.deepEqual([method, url, keepalive, headers["Banken-Lease"]], ["DELETE", "http://127.0.0.1/api/leases/L1", true, "L1.s3"]);
  await clock.pass(60_000);
  assert.equal(server.asked.length, 5, "nothing follows a release");
});

test("a release gives back what is only just being granted, and the next lease is another one", async () => {
  const { lease } = open();
  const asked = lease.take("front");
  lease.release();
  await asked;
  await settle();
  assert.equal(server.methods(), "POST DELETE");
  await lease.take("front");
  assert.equal(server.methods(), "POST DELETE POST");
  lease.release();
});

test("a daemon without leases is no obstacle; a camera that does not exist is one", async () => {
  const without = open(() => ({ status: 404, body: { title: "Not Found", detail: "not here", type: "about:blank" } }));
  assert.deepEqual(await without.lease.take("front"), {});
  assert.ok(!without.lease.isHeld());
  await clock.pass(60_000);
  without.lease.release();
  assert.equal(server.methods(), "POST", "nothing to renew, nothing to give back");
  server.close();
  const unknown = open(() => ({ status: 404, body: { type: "urn:banken:problem:unknown", detail: "there is no camera 'x'" } }));
  await assert.rejects(unknown.lease.take("x"), (error) => error instanceof Refusal && error.reason.includes("no camera"));
});

test("a refusal keeps its words and how long to wait", async () => {
  const { lease } = open(() => ({ status: 429, headers: { "Retry-After": "7" }, body: { detail: "at most 32 leases are allowed" } }));
  await assert.rejects(lease.take("front"), { status: 429, reason: "at most 32 leases are allowed", retryAfter: 7 });
  await assert.rejects(lease.take("front"), { status: 429 }, "asked again each time");
});

test("a renewal that nobody answers is tried again; one that is answered with an end is the end, with its reason", async () => {
  let dead = true;
  const { lease, ended } = open(({ method }) => {
    if (method !== "PUT") return undefined;
    if (dead) throw new TypeError("no line");
    return { status: 404, body: { type: "urn:banken:problem:unknown", detail: "over", reason: { code: "idle", text: "nobody was there" } } };
  });
  await lease.take("front");
  await clock.pass(21_000);
  assert.ok(lease.isHeld());
  dead = false;
  await clock.pass(10_000);
  assert.deepEqual(ended, [{ code: "idle", text: "nobody was there" }]);
  const asked = server.asked.length;
  lease.release();
  await clock.pass(60_000);
  assert.equal(server.asked.length, asked, "what has ended is neither renewed nor given back");
});

test("what the journal says of this lease counts at once, what it says of another does not", async () => {
  const { lease, ended } = open();
  await lease.take("front");
  const reason = { code: "max-duration", text: "long enough" };
  lease.heard("another", reason);
  assert.deepEqual(ended, []);
  lease.heard("L1", reason);
  await clock.pass(30_000);
  assert.deepEqual([ended, server.methods()], [[reason], "POST"]);
  lease.heard("L1", reason);
  assert.equal(ended.length, 1);
});

test("what passes is asked three times, what does not once, and nobody waits for what was given up", async () => {
  for (const [status, times] of [[503, TRIES], [429, TRIES], [404, 1], [401, 1]]) {
    server = serve(() => ({ status, body: { detail: "no" } }));
    const asked = ask(URL_).catch((error) => error);
    await clock.pass(5000);
    assert.deepEqual([(await asked).status, server.asked.length], [status, times]);
    server.close();
  }
  let failures = 2;
  server = serve(() => {
    if (failures-- > 0) throw new TypeError("no line");
    return { body: { well: true } };
  });
  const asked = ask(URL_);
  await clock.pass(5000);
  assert.deepEqual(await (await asked).json(), { well: true });
  server.close();

  server = serve(() => ({ status: 503 }));
  const control = new AbortController();
  const given = ask(URL_, { signal: control.signal }).catch((error) => error.name);
  await clock.pass(100, 100);
  control.abort();
  assert.equal(await given, "AbortError");
  await clock.pass(5000);
  assert.equal(server.asked.length, 1);
});

test("an unknown path is distinguished from an unknown thing", () => {
  assert.ok(isAbsent({ status: 404, problem: { type: "about:blank" } }));
  assert.ok(isAbsent({ status: 405, problem: {} }));
  assert.ok(!isAbsent({ status: 404, problem: { type: "urn:banken:problem:unknown" } }));
  assert.ok(!isAbsent({ status: 503, problem: {} }));
});

test("five minutes without input are idle, reported once; a touch restarts them, and stop() leaves no timer", async () => {
  let told = 0;
  const target = new EventTarget();
  const idle = createIdle({ target, onIdle: () => (told += 1) });
  idle.start();
  for (const touch of ["mousemove", "keydown", "click", "scroll", "touchstart"]) {
    await clock.pass(IDLE_MS - 1000, 60_000);
    target.dispatchEvent(new Event(touch));
  }
  assert.equal(told, 0);
  await clock.pass(3 * IDLE_MS, 60_000);
  assert.deepEqual([told, Math.round(idle.seconds())], [1, 900]);
  target.dispatchEvent(new Event("keydown"));
  await clock.pass(IDLE_MS, 60_000);
  assert.equal(told, 2);
  target.dispatchEvent(new Event("keydown"));
  idle.stop();
  target.dispatchEvent(new Event("keydown"));
  await clock.pass(2 * IDLE_MS, 60_000);
  assert.equal(told, 2);
});

test("a kiosk reloads at three o'clock, once the server answers", async () => {
  assert.deepEqual(["?kiosk=1", "?a=1&kiosk=1", "?kiosk=0", ""].map(isKiosk), [true, true, false, false]);
  assert.equal(untilReload(Date.now()), 17 * 3_600_000);
  assert.equal(untilReload(new Date(2026, 10, 22, 3).getTime()), 24 * 3_600_000, "not twice at three");
  let [there, reloads] = [false, 0];
  const kiosk = createKiosk({ answers: async () => there, reload: () => (reloads += 1), chance: () => 0.5 });
  kiosk.start();
  await clock.pass(17 * 3_600_000 + SPREAD_MS, 60_000);
  assert.equal(reloads, 0, "a page that cannot be loaded is not given up");
  there = true;
  await clock.pass(60_000, 10_000);
  assert.equal(reloads, 1);
  const left = createKiosk({ answers: async () => true, reload: () => (reloads += 1) });
  left.start();
  left.stop();
  await clock.pass(48 * 3_600_000, 600_000);
  assert.equal(reloads, 1);
});

test("nobody who asks hears a browser's words for silence", async () => {
  const mute = { name: "dead line", answer: () => Promise.reject(new TypeError("Failed to fetch")), says: "banken does not answer" };
  const stranger = { name: "another server", answer: () => Promise.resolve(new Response("<html>")), says: "banken does not answer" };
  const hung = { name: "silence", says: "banken did not answer in time", answer: (signal) => new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  }) };
  const stock = globalThis.fetch;
  for (const { name, answer, says } of [mute, stranger, hung]) {
    globalThis.fetch = (_, { signal }) => answer(signal);
    const asked = askJson(URL_, { tries: 1, timeout: 1000 }).catch((error) => error);
    await clock.pass(2000);
    const error = await asked;
    assert.deepEqual([error.constructor, error.message, error.cause instanceof Error], [Silence, says, true], name);
  }
  globalThis.fetch = stock;
});
