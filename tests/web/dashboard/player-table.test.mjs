import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ENOUGH, EVENTS, INITIAL, JITTER, LADDER, PATIENCE, PROBE, STATES, STEADY, TABLE, delay, fallsBack, holdsMedia, next,
} from "../../../web/dashboard/player/table.js";

const play = { type: "play" };
const close = { type: "close" };
const lost = { type: "lost", reason: "gone", chance: 0.5 };
const due = { type: "due" };
const frames = { type: "frames", seconds: 0 };

// Plays events from a state; → the last state and every effect on the way.
function run(events, from = INITIAL) {
  let state = from;
  const effects = [];
  for (const event of events) {
    const step = next(state, event);
    state = step.state;
    effects.push(...step.effects);
  }
  return { state, effects, did: effects.map((effect) => effect.do) };
}

// One reachable value for each state.
const SAMPLES = {
  idle: INITIAL,
  connecting: run([play]).state,
  live: run([play, frames]).state,
  stale: run([play, frames, { type: "silent", seconds: 5 }]).state,
  retrying: run([play, lost]).state,
  closed: run([close]).state,
};

// Events that pass every guard of the table.
const eventOf = (type) => ({ type, seconds: 99, status: 503, reason: "r", chance: 0.5 });

test("every state of the table is reachable and every edge leads to a state of the table", () => {
  assert.deepEqual(Object.keys(SAMPLES), STATES);
  for (const [name, state] of Object.entries(SAMPLES)) assert.equal(state.name, name);
  for (const edges of Object.values(TABLE)) for (const to of Object.values(edges)) assert.ok(to in TABLE);
});

test("all pairs: an edge goes where the table says, an absent pair changes nothing and does nothing", () => {
  for (const name of STATES) {
    for (const type of [...EVENTS, "unheard-of"]) {
      const step = next(SAMPLES[name], eventOf(type));
      const to = TABLE[name][type];
      const guarded = name === "retrying" && type === "camera";
      if (to === undefined || guarded) assert.deepEqual(step, { state: SAMPLES[name], effects: [] }, `${name} + ${type}`);
      else assert.equal(step.state.name, to, `${name} + ${type}`);
    }
  }
});

test("a pure function: the state given is never changed", () => {
  for (const name of STATES) for (const type of EVENTS) {
    const before = structuredClone(SAMPLES[name]);
    next(SAMPLES[name], eventOf(type));
    assert.deepEqual(SAMPLES[name], before);
  }
});

test("media is opened and released in pairs, and a timer never outlives retrying, on any walk of 4 events", () => {
  const walk = (state, depth, open, armed) => {
    assert.equal(open, holdsMedia(state) ? 1 : 0);
    assert.ok(armed === 0 || state.name === "retrying");
    if (depth === 0) return;
    for (const type of EVENTS) {
      for (const status of [403, 503]) {
        const step = next(state, { ...eventOf(type), status });
        let [media, timer] = [open, armed];
        for (const effect of step.effects) {
          if (effect.do === "open") media += 1;
          if (effect.do === "release") media -= 1;
          if (effect.do === "arm") timer += 1;
          if (effect.do === "disarm") timer = 0;
          assert.ok(media >= 0 && media <= 1 && timer <= 1);
        }
        walk(step.state, depth - 1, media, timer);
      }
    }
  };
  walk(INITIAL, 4, 0, 0);
});

test("an intentional close releases the media, cancels the timer, and nothing but play leads away", () => {
  for (const name of STATES) {
    const closed = next(SAMPLES[name], close);
    if (name !== "closed") assert.equal(closed.state.name, "closed");
    assert.equal(closed.effects.some((effect) => effect.do === "release"), holdsMedia(SAMPLES[name]));
    assert.equal(closed.effects.some((effect) => effect.do === "disarm"), name === "retrying");
    assert.ok(!closed.effects.some((effect) => effect.do === "arm" || effect.do === "open"));
    for (const type of EVENTS.filter((each) => each !== "play")) {
      assert.deepEqual(next(closed.state, eventOf(type)).effects, [], `closed + ${type}`);
    }
  }
});

test("failures climb 1, 2, 4, 8, 16 s, then a probe every 30 s", () => {
  let state = run([play]).state;
  const waits = [];
  for (let round = 0; round < 8; round += 1) {
    const failed = next(state, lost);
    waits.push(failed.effects.find((effect) => effect.do === "arm").seconds);
    state = next(failed.state, due).state;
  }
  assert.deepEqual(waits, [...LADDER, PROBE, PROBE, PROBE]);
});

test("jitter keeps every wait within its share of the step", () => {
  for (const [at, step] of [...LADDER, PROBE].entries()) {
    assert.ok(Math.abs(delay(at + 1, { chance: 0 }) - step * (1 - JITTER)) < 1e-9);
    assert.ok(delay(at + 1, { chance: 0.999 }) <= step * (1 + JITTER));
  }
});

test("Retry-After is a floor and never shortened by jitter", () => {
  for (const chance of [0, 0.5, 0.999]) assert.ok(delay(1, { chance, retryAfter: 12 }) >= 12);
  assert.equal(delay(6, { chance: 0.5, retryAfter: 12 }), PROBE);
});

test("408, 429 and 5xx wait for a timer; other refusals wait for the camera and keep their reason", () => {
  for (const status of [408, 429, 500, 503]) {
    const { state, did } = run([play, { type: "refused", status, reason: "busy", retryAfter: 3, chance: 0.5 }]);
    assert.equal(state.until, "timer");
    assert.ok(did.includes("arm"));
  }
  for (const status of [400, 401, 403, 404, 415]) {
    const { state, did } = run([play, { type: "refused", status, reason: "not yours" }]);
    assert.deepEqual([state.until, state.reason], ["camera", "not yours"]);
    assert.ok(!did.includes("arm"));
    assert.equal(next(state, { type: "camera" }).state.name, "connecting");
  }
});

test("a change of the camera does not cut a timer short", () => {
  assert.equal(next(SAMPLES.retrying, { type: "camera" }).state, SAMPLES.retrying);
});

test("silence: stale after 5 s, given up 10 s later, forgiven by a frame", () => {
  const silent = (seconds) => ({ type: "silent", seconds, reason: "no picture" });
  assert.equal(next(SAMPLES.live, silent(4)).state.name, "live");
  const stale = next(SAMPLES.live, silent(5));
  assert.deepEqual([stale.state.name, stale.effects], ["stale", []]);
  assert.equal(next(stale.state, silent(14)).state.name, "stale");
  assert.equal(next(stale.state, silent(15)).state.name, "retrying");
  assert.equal(next(stale.state, frames).state.name, "live");
  assert.equal(PATIENCE.stale - PATIENCE.live, 10);
});

test("only a steady picture forgets past failures, so a flapping line keeps climbing", () => {
  const flapping = run([play, lost, due, frames, lost]).state;
  assert.equal(flapping.attempt, 2);
  const steady = run([play, lost, due, frames, { type: "frames", seconds: STEADY }]).state;
  assert.equal(steady.attempt, 0);
});


test("still pictures after two connections that brought nothing; WebRTC is probed every 30 s, and forgiven by a frame", () => {
  const blocked = { type: "blocked", reason: "no way through", chance: 0.5 };
  for (const miss of [blocked, { type: "silent", seconds: PATIENCE.connecting, reason: "no picture", chance: 0.5 }]) {
    const once = run([play, miss]);
    assert.deepEqual([fallsBack(once.state), once.effects.at(-1).seconds], [false, LADDER[0]]);
    const twice = run([play, miss, due, miss]);
    assert.equal(twice.state.misses, ENOUGH);
    assert.deepEqual([fallsBack(twice.state), twice.effects.at(-1).seconds], [true, PROBE]);
    assert.ok(fallsBack(next(twice.state, due).state), "the pictures go on while WebRTC is probed");
    assert.ok(!fallsBack(run([due, frames], twice.state).state));
    assert.equal(run([due, frames, lost], twice.state).state.misses, 0);
    assert.ok(!fallsBack(next(twice.state, close).state));
  }
});

test("a browser without WebRTC falls back at once; a server that does not answer is no reason to", () => {
  assert.ok(fallsBack(run([play, { type: "blocked", hopeless: true, chance: 0.5 }]).state));
  assert.ok(!fallsBack(run([play, lost, due, lost, due, lost]).state));
  const refused = { type: "refused", status: 503, reason: "full", chance: 0.5 };
  assert.ok(!fallsBack(run([play, refused, due, refused]).state));
});
