// Asks the server for one resource repeatedly, and redraws it with every tick of the clock, for as long as the answer
// is displayed. While an answer comes from elsewhere, nothing is requested.
import { askJson } from "./ask.js";

const PERIOD_MS = 5000;
// Changes come in bursts; one request covers a burst.
const SETTLE_MS = 300;

// `url()`; `take(answer)`; `fail(error)` after three tries.
export function createPoll({ url, take, fail, clock, tick }) {
  let timer = null;
  let asking = null;
  let undo = null;
  let given = null;

  async function ask() {
    drop();
    if (given) return take(given);
    const mine = (asking = new AbortController());
    const answer = await askJson(url(), { signal: mine.signal, timeout: PERIOD_MS }).catch((error) => ({ error }));
    if (mine !== asking) return;
    asking = null;
    if (answer.error) fail(answer.error);
    else take(answer);
    timer = setTimeout(ask, PERIOD_MS);
  }

  function drop() {
    clearTimeout(timer);
    asking?.abort();
    asking = null;
  }

  return {
    start() {
      if (undo) return;
      undo = clock.onTick(tick);
      ask();
    },
    // Something has happened that the answer depends on.
    hurry() {
      if (!undo || given || asking) return;
      clearTimeout(timer);
      timer = setTimeout(ask, SETTLE_MS);
    },
    // The URL has changed.
    again: () => undo && ask(),
    // The answer for another moment; null: request again.
    give(answer) {
      given = answer;
      if (undo) ask();
    },
    stop() {
      undo?.();
      undo = null;
      drop();
    },
  };
}
