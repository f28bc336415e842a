import assert from "node:assert/strict";
import { test } from "node:test";

import { BASE, CAP, backoff } from "../../../web/dashboard/backoff.js";
import { ago, bitrate } from "../../../web/dashboard/format.js";
import { matches } from "../../../web/dashboard/panels/journal/journal-filter.js";
import { describe } from "../../../web/dashboard/panels/wall/overlay.js";
import { parseRetryAfter } from "../../../web/dashboard/ask.js";
import { isResting, wantsPicture } from "../../../web/dashboard/player/connection-policy.js";
import { pack } from "../../../web/dashboard/panels/wall/pack.js";
import { toBytes, toText, whyNoPasskeys } from "../../../web/dashboard/webauthn.js";

test("the back end decides: nothing plays that it did not name and nobody asked for", () => {
  const tile = { camera: { watch: true, state: "live" }, paused: false, asked: false, visible: true, holding: false };
  assert.equal(wantsPicture(tile), true);
  assert.equal(wantsPicture({ ...tile, camera: { watch: false, state: "live" } }), false);
  assert.equal(wantsPicture({ ...tile, camera: { watch: false, state: "live" }, asked: true }), true);
  assert.equal(wantsPicture({ ...tile, paused: true }), false);
  assert.equal(wantsPicture({ ...tile, visible: false }), false);
});

test("a lost source keeps its connection, but no new offer is sent to it", () => {
  for (const state of ["connecting", "waiting", "failed", "quarantined"]) {
    const tile = { camera: { watch: true, state }, paused: false, asked: false, visible: true };
    assert.equal(wantsPicture({ ...tile, holding: true }), true, state);
    assert.equal(wantsPicture({ ...tile, holding: false }), false, state);
  }
});

test("a camera on demand is at rest until somebody here presses play, and then takes part in what it is opened for", () => {
  const tile = { paused: false, visible: true, holding: false };
  for (const mode of ["on_demand", "patrol"]) {
    for (const state of ["idle", "queued", "connecting", "live", "stalled"]) {
      const camera = { mode, state, watch: false };
      assert.ok(isResting({ ...tile, camera, asked: false }) && !wantsPicture({ ...tile, camera, asked: false }), state);
      assert.ok(!isResting({ ...tile, camera, asked: true }) && wantsPicture({ ...tile, camera, asked: true }), state);
    }
  }
  assert.equal(isResting({ ...tile, camera: { mode: "always", state: "live", watch: true }, paused: true, asked: false }), false);
});

test("the feed's backoff doubles from the base to the cap and stays under its ceiling", () => {
  assert.deepEqual([1, 2, 3, 6, 60].map((attempt) => backoff(attempt, 1)), [BASE, 2 * BASE, 4 * BASE, CAP, CAP]);
  assert.equal(backoff(3, 0), 2 * BASE);
});

test("Retry-After: seconds, an HTTP date, and nonsense", () => {
  const now = Date.parse("2026-11-22T02:00:00Z");
  assert.equal(parseRetryAfter("7", now), 7);
  assert.equal(parseRetryAfter("Sun, 22 Nov 2026 02:00:20 GMT", now), 20);
  assert.equal(parseRetryAfter("Sun, 22 Nov 2026 01:00:00 GMT", now), 0);
  assert.equal(parseRetryAfter("soon", now), 0);
  assert.equal(parseRetryAfter(null, now), 0);
});

test("the wall is seen at once where it can be, and scrolls at a readable width where it cannot", () => {
  const room = { width: 1600, height: 900, gap: 10, caption: 60, least: 260 };
  for (const count of [1, 2, 5, 9, 12]) {
    const { columns, width } = pack({ ...room, count });
    const rows = Math.ceil(count / columns);
    assert.ok(columns * width + (columns - 1) * 10 <= 1600, `${count} wide`);
    assert.ok(rows * ((width * 9) / 16 + 60) + (rows - 1) * 10 <= 901, `${count} high`);
  }
  assert.deepEqual(pack({ ...room, count: 60 }), { columns: 5, width: null });
  const large = { width: 1911, height: 1268, gap: 11, caption: 70, least: 296, tight: 259 };
  assert.equal(pack({ ...large, count: 30 }).columns, 6, "thirty on a screen of 2560 by 1440");
  assert.ok(pack({ ...large, count: 30 }).width > 259);
  assert.equal(pack({ ...large, count: 60 }).width, null);
  assert.deepEqual(pack({ ...room, width: 340, height: 0, count: 4 }), { columns: 1, width: null });
});

test("the journal's filter: every word, and the events of a camera's children and peers too", () => {
  const event = { stream: "child/7", type: "ChildExited", text: "ffmpeg ended", severity: "warning", correlation: "c1", body: { camera: "dock" } };
  assert.ok(matches(event, { words: ["ended", "child"], camera: null }));
  assert.ok(!matches(event, { words: ["ended", "gate"], camera: null }));
  assert.ok(matches(event, { words: [], camera: "dock" }));
  assert.ok(!matches(event, { words: [], camera: "gate" }));
});

test("the overlay names the camera's trouble before the connection's, and nothing while all is well", () => {
  const seen = { player: { name: "live", reason: null }, dueAt: null, paused: false, agreed: true, pictured: true, now: 0, localNow: 0 };
  assert.equal(describe({ ...seen, camera: { state: "live" } }), null);
  const reason = { text: "connection refused", fault: "temporary" };
  const waiting = describe({ ...seen, camera: { state: "waiting", reason, retry_at: new Date(4000).toISOString() } });
  assert.deepEqual([waiting.detail, waiting.next], ["Connection refused.", "Next try in 4 s"]);
  assert.equal(describe({ ...seen, camera: { state: "live" }, paused: true, agreed: false }).title, "Paused");
});

test("while banken is away no tile says that a camera is tried again", () => {
  const seen = { player: { name: "live", reason: null }, dueAt: null, paused: false, agreed: true, pictured: true, now: 0, localNow: 0, stale: true };
  const reason = { text: "connection refused", fault: "temporary" };
  const { title, detail, next } = describe({ ...seen, camera: { state: "waiting", reason, retry_at: new Date(4000).toISOString() } });
  assert.deepEqual([title, detail, next], ["Waiting for the camera", "Connection refused.", ""]);
  assert.equal(describe({ ...seen, camera: { state: "connecting", reason: null, retry_at: null } }).next, "");
});

test("numbers as words", () => {
  assert.deepEqual([ago(59_000), ago(3_720_000), ago(90_000_000)], ["59 s", "1 h 02", "1 d 1 h"]);
  assert.deepEqual([bitrate(2_500_000), bitrate(64_000)], ["2.5 Mb/s", "64 kb/s"]);
});

test("passkeys need a name, https, a page outside of foreign frames, and a browser that has them", () => {
  const page = { secure: true, host: "banken.example", known: true, framed: false };
  assert.equal(whyNoPasskeys(page), "");
  for (const host of ["127.0.0.1", "[::1]"]) assert.match(whyNoPasskeys({ ...page, host }), /need a name/);
  assert.match(whyNoPasskeys({ ...page, secure: false }), /https/);
  assert.match(whyNoPasskeys({ ...page, framed: true }), /frame/);
  assert.match(whyNoPasskeys({ ...page, known: false }), /This browser/);
});

test("bytes are sent in base64 and come back the same", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
  assert.deepEqual(toBytes(toText(bytes)), bytes);
});
