import assert from "node:assert/strict";
import { test } from "node:test";

import { createClock } from "../../../web/dashboard/clock.js";
import { stopTheClock } from "./world.mjs";

test("while banken is away what is known stands still at its last word, and the time goes on; in the past it is that moment", async () => {
  const world = stopTheClock();
  try {
    const clock = createClock();
    const ticks = [];
    let turns = 0;
    clock.onTick((now) => ticks.push(now));
    clock.onSilence(() => (turns += 1));
    const heard = Date.now();
    assert.deepEqual([clock.now(), clock.isSilent(), clock.lastWord()], [heard, false, null]);
    clock.silence(heard);
    await world.pass(60_000);
    assert.deepEqual([clock.now(), clock.live(), clock.shown(), clock.isSilent()], [heard, heard + 60_000, heard + 60_000, true]);
    clock.hold(1000);
    assert.deepEqual([clock.now(), clock.shown(), clock.isSilent(), clock.lastWord()], [1000, 1000, false, heard]);
    clock.release();
    assert.deepEqual([clock.now(), clock.isSilent()], [heard, true]);
    clock.silence(null);
    assert.deepEqual([clock.now(), clock.isSilent()], [heard + 60_000, false]);
    assert.deepEqual([turns, ticks], [4, [heard, 1000, heard, heard + 60_000]]);
  } finally {
    world.start();
  }
});
