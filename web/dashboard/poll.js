// Asks the server for one thing again and again, and has it drawn anew with every tick of the clock, for as long as
// somebody looks at the answer. While an answer is given from elsewhere, nothing is asked.

const PERIOD_MS = 5000;
// What changes comes in bursts; they are one question.
const SETTLE_MS = 300;

export function createPoll({ url, take, fail, clock, tick }) {
  let timer = null;
  let round = 0;
  let undo = null;
  let given = null;

  async function ask() {
    clearTimeout(timer);
    const mine = (round += 1);
    if (given) return take(given);
    const answer = await read().catch((error) => ({ error }));
    if (mine !== round) return;
    if (answer.error) fail(`The list could not be read: ${answer.error.message}`);
    else take(answer);
    timer = setTimeout(ask, PERIOD_MS);
  }

  async function read() {
    const response = await fetch(url, { signal: AbortSignal.timeout(PERIOD_MS) });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return response.json();
  }

  return {
    start() {
      if (undo) return;
      undo = clock.onTick(tick);
      ask();
    },
    // Something has happened that the answer depends on.
    hurry() {
      if (!undo || given) return;
      clearTimeout(timer);
      timer = setTimeout(ask, SETTLE_MS);
    },
    // The answer of another moment; null: ask again.
    give(answer) {
      given = answer;
      if (undo) ask();
    },
    stop() {
      undo?.();
      undo = null;
      round += 1;
      clearTimeout(timer);
    },
  };
}
