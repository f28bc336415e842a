import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ENOUGH, EVENTS, INITIAL, JITTER, LADDER, PATIENCE, PROBE, STATES, STEADY, TABLE, delay, fallsBack, holdsMedia, isPutOff, meaning, next, waits,
} from "../../../web/dashboard/player/table.js";

const play = { type: "play" };
const close = { type: "close" };
const lost = { type: "lost", reason: "gone", chance: 0.5 };
const due = { type: "due" };
const frames = { type: "frames", seconds: 0 };
const blocked = { type: "blocked", reason: "no way through", chance: 0.5 };
const denied = { type: "refused", status: 403, reason: "not yours" };

// Plays events from a state. → the last state and every effect on the way.
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
  fallback: run([play, blocked, due, blocked]).state,
  probing: run([play, blocked, due, blocked, due]).state,
  refused: run([play, denied]).state,
  closed: run([close]).state,
};

// Every kind of event that may arrive in any state: silences that last long enough, transient and final answers.
const KINDS = [
  ...EVENTS.map((type) => ({ type, seconds: 99, status: 503, reason: "r", chance: 0.5 })),
  { type: "refused", status: 403, reason: "r", chance: 0.5 },
  { type: "refused", status: 429, reason: "r", chance: 0.5, retryAfter: 7 },
  { type: "blocked", hopeless: true, reason: "r", chance: 0.5 },
  { type: "silent", seconds: 0.5, reason: "r" },
  { type: "back", restarted: true },
  { type: "unheard-of" },
];

const eventOf = (type) => KINDS.find((kind) => kind.type === type);

test("every state of the table is reachable and every edge leads to a state of the table", () => {
  assert.deepEqual(Object.keys(SAMPLES), STATES);
  for (const [name, state] of Object.entries(SAMPLES)) assert.equal(state.name, name);
  for (const edges of Object.values(TABLE)) for (const to of Object.values(edges)) assert.ok(to in TABLE);
});

test("all pairs: an edge goes where the table says, an absent pair changes nothing and does nothing", () => {
  for (const name of STATES) {
    for (const event of KINDS) {
      const step = next(SAMPLES[name], event);
      const to = TABLE[name][meaning(SAMPLES[name], event)];
      const pair = `${name} + ${JSON.stringify(event)}`;
      if (to === undefined) assert.deepEqual(step, { state: SAMPLES[name], effects: [] }, pair);
      else assert.equal(step.state.name, to, pair);
    }
  }
});

test("every edge of the table is taken by some event in some state", () => {
  const taken = new Set();
  const walk = (state, depth) => {
    if (depth === 0) return;
    for (const event of KINDS) {
      const step = next(state, event);
      if (step.state === state) continue;
      taken.add(`${state.name} ${meaning(state, event)}`);
      walk(step.state, depth - 1);
    }
  };
  walk(INITIAL, 3);
  Object.values(SAMPLES).forEach((state) => walk(state, 2));
  const climbed = (name) => ({ ...SAMPLES[name], attempt: LADDER.length });
  for (const name of ["live", "stale"]) walk(climbed(name), 1);
  const edges = Object.entries(TABLE).flatMap(([name, row]) => Object.keys(row).map((edge) => `${name} ${edge}`));
  assert.deepEqual(edges.filter((edge) => !taken.has(edge)), []);
});

test("a pure function: the state given is never changed", () => {
  for (const name of STATES) for (const event of KINDS) {
    const before = structuredClone(SAMPLES[name]);
    next(SAMPLES[name], event);
    assert.deepEqual(SAMPLES[name], before);
  }
});

test("media is opened and released in pairs, and a timer never outlives the state that armed it, on any walk of 4 events", () => {
  const walk = (state, depth, open, armed) => {
    assert.equal(open, holdsMedia(state) ? 1 : 0);
    assert.equal(armed, waits(state) ? 1 : 0);
    if (depth === 0) return;
    for (const event of KINDS) {
      const step = next(state, event);
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
  };
  for (const state of Object.values(SAMPLES)) walk(state, 4, holdsMedia(state) ? 1 : 0, waits(state) ? 1 : 0);
});

test("an intentional close releases the media, cancels the timer, and nothing but play leads away", () => {
  for (const name of STATES) {
    const closed = next(SAMPLES[name], close);
    if (name !== "closed") assert.equal(closed.state.name, "closed");
    assert.equal(closed.effects.some((effect) => effect.do === "release"), holdsMedia(SAMPLES[name]));
    assert.equal(closed.effects.some((effect) => effect.do === "disarm"), waits(SAMPLES[name]));
    assert.ok(!closed.effects.some((effect) => effect.do === "arm" || effect.do === "open"));
    for (const event of KINDS.filter(({ type }) => type !== "play")) {
      assert.deepEqual(next(closed.state, event), { state: closed.state, effects: [] }, `closed + ${event.type}`);
    }
  }
});

test("failures climb 1, 2, 4, 8, 16 s, then snapshots are shown and WebRTC is probed every 30 s", () => {
  const refused = { type: "refused", status: 503, reason: "full", chance: 0.5 };
  for (const failure of [lost, refused]) {
    let state = run([play]).state;
    const [waits, shown] = [[], []];
    for (let round = 0; round < 8; round += 1) {
      const failed = next(state, failure);
      waits.push(failed.effects.find((effect) => effect.do === "arm").seconds);
      shown.push(fallsBack(failed.state));
      state = next(failed.state, due).state;
    }
    assert.deepEqual(waits, [...LADDER, PROBE, PROBE, PROBE]);
    assert.deepEqual(shown, [...LADDER.map(() => false), true, true, true]);
    assert.equal(state.name, "probing");
  }
});

test("a client that asks too often is put off as often as it asks, and never falls back to snapshots in a row", () => {
  const often = { type: "refused", status: 429, reason: "too often", retryAfter: 10, chance: 0 };
  let state = run([play]).state;
  for (let round = 0; round < 3 * LADDER.length; round += 1) {
    const failed = next(state, often);
    assert.deepEqual([failed.state.name, isPutOff(failed.state), failed.state.reason], ["retrying", true, "too often"]);
    assert.ok(failed.effects.find((effect) => effect.do === "arm").seconds >= 10);
    state = next(failed.state, due).state;
  }
  assert.equal(next(next(state, often).state, { type: "back", restarted: true }).state.name, "connecting");
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

test("408, 429 and 5xx are tried again; another refusal is not, says why, and waits for the camera or a person", () => {
  for (const status of [408, 429, 500, 503]) {
    const { state, did } = run([play, { type: "refused", status, reason: "busy", retryAfter: 3, chance: 0.5 }]);
    assert.equal(state.name, "retrying");
    assert.ok(did.includes("arm"));
  }
  for (const status of [400, 401, 403, 404, 415]) {
    const { state, did } = run([play, { type: "refused", status, reason: "not yours" }]);
    assert.deepEqual([state.name, state.reason], ["refused", "not yours"]);
    assert.ok(!did.includes("arm"));
    for (const type of ["camera", "retry", "back"]) assert.equal(next(state, { type }).state.name, "connecting");
  }
});

test("a change of the camera does not cut a timer short", () => {
  for (const name of ["retrying", "fallback"]) assert.equal(next(SAMPLES[name], { type: "camera" }).state, SAMPLES[name]);
});

test("the line or the server that is back is tried at once and from the beginning, but not before Retry-After", () => {
  const back = { type: "back" };
  const again = next(run([play, lost, due, lost]).state, back);
  assert.deepEqual([again.state.name, again.state.attempt, again.effects.map(({ do: what }) => what)], ["connecting", 0, ["disarm", "open"]]);
  const bidden = run([play, { type: "refused", status: 429, reason: "full", retryAfter: 20, chance: 0.5 }]).state;
  assert.equal(next(bidden, back).state, bidden);
  assert.equal(next(bidden, { ...back, restarted: true }).state.name, "connecting", "another server has not said so");
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

test("after two connections that brought nothing the rest of the ladder is left out; a frame forgives", () => {
  for (const miss of [blocked, { type: "silent", seconds: PATIENCE.connecting, reason: "no picture", chance: 0.5 }]) {
    const once = run([play, miss]);
    assert.deepEqual([fallsBack(once.state), once.effects.at(-1).seconds], [false, LADDER[0]]);
    const twice = run([play, miss, due, miss]);
    assert.equal(twice.state.misses, ENOUGH);
    assert.deepEqual([twice.state.name, twice.effects.at(-1).seconds], ["fallback", PROBE]);
    const probing = next(twice.state, due).state;
    assert.ok(fallsBack(probing) && holdsMedia(probing), "the pictures go on while WebRTC is probed");
    assert.equal(next(probing, miss).state.name, "fallback");
    assert.ok(!fallsBack(next(probing, frames).state));
    assert.equal(run([frames, lost], probing).state.misses, 0);
    assert.ok(!fallsBack(next(twice.state, close).state));
  }
});

test("where WebRTC cannot be had for certain, it is not probed until the camera has changed", () => {
  const { state, did } = run([play, { type: "blocked", hopeless: true, reason: "no WebRTC", chance: 0.5 }]);
  assert.deepEqual([state.name, state.reason, did], ["fallback", "no WebRTC", ["open", "release"]]);
  const changed = next(state, { type: "camera" }).state;
  assert.deepEqual([changed.name, changed.misses], ["probing", 0]);
});
