import assert from "node:assert/strict";
import { test } from "node:test";

import { FACTS, factsOf, measureOf } from "../../../web/dashboard/large/facts.js";
import { KEPT, merge } from "../../../web/dashboard/large/history.js";

const report = (more, pair = {}) => new Map([
  ["C", { type: "codec", mimeType: "video/H264" }],
  ["P0", { type: "candidate-pair", state: "failed", currentRoundTripTime: 9 }],
  ["P1", { type: "candidate-pair", state: "succeeded", nominated: true, currentRoundTripTime: 0.0214, ...pair }],
  ["A", { type: "inbound-rtp", kind: "audio", bytesReceived: 99 }],
  ["V", { type: "inbound-rtp", kind: "video", codecId: "C", timestamp: 1000, frameWidth: 1280, frameHeight: 720, framesDecoded: 100,
    bytesReceived: 1000, packetsReceived: 100, packetsLost: 2, totalProcessingDelay: 5, ...more }],
]);

test("two measures of a connection tell its rate, loss and delay, and each fact is told", () => {
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

test("a packet that comes late makes no loss below nothing, and a connection made anew no negative rate", () => {
  const before = measureOf(report({}));
  assert.equal(factsOf(before, measureOf(report({ timestamp: 2000, packetsReceived: 150, packetsLost: 1 }))).loss, "0.0 %");
  assert.equal(factsOf(before, measureOf(report({ timestamp: 2000, framesDecoded: 3, bytesReceived: 9 }))).rate, null);
});

test("a camera's history is bounded, newest first, and has nothing twice", () => {
  const event = (seq) => ({ seq });
  const first = merge([], [event(1), event(2)]);
  assert.deepEqual(merge(first, [event(3), event(2)]).map(({ seq }) => seq), [3, 2, 1]);
  const many = merge(first, Array.from({ length: 80 }, (_, seq) => event(seq)));
  assert.deepEqual([many.length, many[0].seq], [KEPT, 79]);
});
