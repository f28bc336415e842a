import assert from "node:assert/strict";
import { test } from "node:test";

import { FACTS, factsOf, measureOf } from "../../../web/dashboard/panels/large/facts.js";
import { createAbout, rowsOf } from "../../../web/dashboard/panels/large/about.js";
import { createAvailability, EVERY_MS, figuresOf, percent } from "../../../web/dashboard/panels/large/availability.js";
import { KEPT, merge } from "../../../web/dashboard/panels/large/history.js";
import { createClock } from "../../../web/dashboard/clock.js";
import { fixed, lasted } from "../../../web/dashboard/format.js";
import { serve, settle, stopTheClock } from "./world.mjs";

const report = (more, pair = {}) => new Map([
  ["C", { type: "codec", mimeType: "video/H264" }],
  ["P0", { type: "candidate-pair", state: "failed", currentRoundTripTime: 9 }],
  ["P1", { type: "candidate-pair", state: "succeeded", nominated: true, currentRoundTripTime: 0.0214, ...pair }],
  ["A", { type: "inbound-rtp", kind: "audio", bytesReceived: 99 }],
  ["V", { type: "inbound-rtp", kind: "video", codecId: "C", timestamp: 1000, frameWidth: 1280, frameHeight: 720, framesDecoded: 100,
    bytesReceived: 1000, packetsReceived: 100, packetsLost: 2, totalProcessingDelay: 5, ...more }],
]);

test("two measurements of a connection give its rate, loss and delay, and each fact is shown", () => {
  const before = measureOf(report({}));
  const later = { timestamp: 3000, framesDecoded: 150, bytesReceived: 501_000, packetsReceived: 190, packetsLost: 12, totalProcessingDelay: 7 };
  const facts = factsOf(before, measureOf(report(later)));
  assert.deepEqual(Object.keys(facts), FACTS);
  assert.deepEqual(facts, { codec: "H.264", resolution: "1280×720", rate: "25.0 fps", bits: "2.0 Mb/s", roundTrip: "21 ms", loss: "10.0 %", delay: "40 ms" });
});

test("what is not known is left open: at first, and where the browser does not say", () => {
  const facts = factsOf(null, measureOf(report({})));
  assert.deepEqual([facts.codec, facts.rate, facts.loss, facts.delay], ["H.264", null, null, null]);
  const none = factsOf(measureOf(new Map()), measureOf(new Map()));
  assert.deepEqual(FACTS.filter((name) => none[name] !== null), []);
});

test("a late packet causes no negative loss, and a new connection no negative rate", () => {
  const before = measureOf(report({}));
  assert.equal(factsOf(before, measureOf(report({ timestamp: 2000, packetsReceived: 150, packetsLost: 1 }))).loss, "0.0 %");
  assert.equal(factsOf(before, measureOf(report({ timestamp: 2000, framesDecoded: 3, bytesReceived: 9 }))).rate, null);
});

test("a camera is judged by what it was wanted for: time, patrol cycles or snapshots; its losses are named", () => {
  const nothing = { wanted_s: 0, availability: null, cycles: 0, cycles_served: 0, snapshots: 0, snapshots_served: 0, losses: 0 };
  assert.equal(figuresOf(nothing), "");
  assert.equal(figuresOf({ ...nothing, cycles: 54, cycles_served: 21, losses: 33 }), "21 of 54 patrol cycles, losses: 33");
  assert.equal(figuresOf({ ...nothing, wanted_s: 100, availability: 0.38694 }), "live 38.69 % of 100 s");
  assert.equal(figuresOf({ ...nothing, snapshots: 3, snapshots_served: 2 }), "2 of 3 snapshots");
});

test("figures of now are asked for each minute while they are looked at, and those of the past once", async () => {
  const world = stopTheClock();
  const line = { textContent: "" };
  globalThis.document = { hidden: false, querySelector: () => line };
  const zero = { availability: null, cycles: 0, cycles_served: 0, snapshots: 0, snapshots_served: 0 };
  let losses = 0;
  const server = serve(() => ({
    status: 200,
    body: { from: "2026-11-22T10:00:00Z", to: "2026-11-22T10:00:00Z", cameras: [{ ...zero, wanted_s: 0, losses: (losses += 1) }] },
  }));
  try {
    const clock = createClock();
    clock.start();
    const figures = createAvailability({ base: "http://banken.example/", clock });
    figures.open("front");
    await settle();
    assert.match(line.textContent, /losses: 1$/);
    await world.pass(2 * EVERY_MS + 5000);
    assert.match(line.textContent, /losses: 3$/);
    document.hidden = true;
    await world.pass(2 * EVERY_MS);
    assert.equal(losses, 3);
    document.hidden = false;
    figures.open("front", 17);
    await world.pass(3 * EVERY_MS);
    assert.equal(losses, 4);
    figures.close();
    await world.pass(3 * EVERY_MS);
    assert.deepEqual([losses, line.textContent], [4, ""]);
    clock.stop();
  } finally {
    server.close();
    delete globalThis.document;
    world.start();
  }
});

test("a share that is not all of it is never 100 %", () => {
  assert.deepEqual([0, 0.6, 0.99999, 1].map(percent), ["0.00 %", "60.00 %", "99.99 %", "100.00 %"]);
});

test("a number is rounded as the commands round it: between two neighbours lies the even one", () => {
  assert.deepEqual([0.25, 0.75, 0.35, 8.45].map((value) => fixed(value, 1)), ["0.2", "0.8", "0.3", "8.4"]);
  assert.deepEqual([12.125, 12.375, 50.625].map((value) => fixed(value, 2)), ["12.12", "12.38", "50.62"]);
  assert.deepEqual([0.5, 1.5, 2.5, 2.51].map((value) => fixed(value, 0)), ["0", "2", "2", "3"]);
  assert.deepEqual([0.04, 9.96, 12.5, 119.4, 119.6, 150, 7200, 7830].map(lasted), ["0.0 s", "10.0 s", "12 s", "119 s", "120 s", "2 min", "2 h 0 min", "2 h 10 min"]);
});

test("a camera's history is bounded, newest first, and has nothing twice", () => {
  const event = (seq) => ({ seq });
  const first = merge([], [event(1), event(2)]);
  assert.deepEqual(merge(first, [event(3), event(2)]).map(({ seq }) => seq), [3, 2, 1]);
  const many = merge(first, Array.from({ length: 80 }, (_, seq) => event(seq)));
  assert.deepEqual([many.length, many[0].seq], [KEPT, 79]);
});

const NO_FACTS = {
  server: "", title: "", information: "", tool: "", transport: "", tls: "", codec: "", profile: "", level: "", width: null, height: null, fps: 0,
  bitrate: 0, gop_frames: null, gop_s: null, b_frames: false, audio: "", audio_rate: null, audio_channels: null, audio_use: "",
  round_trip_s: null, slowest_s: null, slowest: "", loss: null, jitter_s: null, clock_skew_s: null, oddities: [],
};

test("only known facts about a camera are shown, and those that it wrote itself are marked", () => {
  assert.deepEqual(rowsOf(NO_FACTS), []);
  const facts = {
    ...NO_FACTS, server: "Hipcam", title: "IPC", tool: "LIVE555", transport: "RTP over TCP", tls: "TLSv1.3", codec: "h264", profile: "High",
    level: "4.1", width: 1920, height: 1080, fps: 25, bitrate: 4_000_000, gop_frames: 50, gop_s: 2, audio: "aac", audio_rate: 16000,
    audio_channels: 1, audio_use: "transcoded", round_trip_s: 0.0042, slowest_s: 0.2, slowest: "SETUP", loss: 0.0125, jitter_s: 0.002, clock_skew_s: -7.44,
  };
  const rows = Object.fromEntries(rowsOf(facts).map(({ label, words }) => [label, words]));
  assert.deepEqual(rows, {
    "software": "Hipcam",
    "described as": "IPC, LIVE555",
    "video": "H.264, High profile, level 4.1, 1920×1080, 25.0 fps, 4.0 Mb/s",
    "GOP": "50 frames in 2.00 s, no B-frames",
    "audio": "AAC, 16 kHz, 1 channel, transcoded",
    "transport": "RTP over TCP, TLSv1.3",
    "round trip": "4 ms; slowest answer: 200 ms (SETUP)",
    "packets": "1.25 % lost, jitter 2.0 ms",
    "clock": "7.4 s behind banken",
  });
  assert.deepEqual(rowsOf(facts).filter(({ isForeign }) => isForeign).map(({ label }) => label), ["software", "described as"]);
  assert.equal(rowsOf({ ...NO_FACTS, clock_skew_s: 0.04 })[0].words, "right to 0.1 s");
  const odd = rowsOf({ ...NO_FACTS, codec: "h265", b_frames: true, clock_skew_s: 3600 }).map(({ words }) => words);
  assert.deepEqual(odd, ["H.265, 0.0 fps, 0 kb/s", "no second key frame yet, with B-frames", "none", "3600.0 s ahead of banken"]);
});

test("facts are asked for again and again while a camera is displayed, and never for the past", async () => {
  const world = stopTheClock();
  const node = () => ({ textContent: "", hidden: false, children: [], insertBefore() {}, setAttribute() {}, removeAttribute() {}, getAttribute: () => null });
  const parts = {};
  globalThis.document = { hidden: false, querySelector: (name) => (parts[name] ??= node()) };
  const server = serve(() => ({ status: 200, body: NO_FACTS }));
  try {
    const clock = createClock();
    clock.start();
    const about = createAbout({ base: "http://banken.example/", clock });
    about.open("front");
    await settle();
    const note = parts['[data-part="about-note"]'];
    assert.equal(note.textContent, "Not connected yet.");
    assert.equal(parts['[data-part="about-facts"]'].hidden, true);
    await world.pass(11_000);
    assert.equal(server.asked.length, 3);
    assert.match(server.asked[0].url, /api\/cameras\/front\/about$/);
    about.open("front", 17);
    await world.pass(11_000);
    assert.deepEqual([server.asked.length, note.textContent], [3, "The journal has no facts about streams of the past."]);
    about.close();
    assert.equal(note.textContent, "");
    clock.stop();
  } finally {
    server.close();
    delete globalThis.document;
    world.start();
  }
});
