// The one WebSocket. Rules of this file:
// 1. It resumes after the last event it handed on, so nothing is shown twice and nothing is lost.
// 2. Silence is loss: the server speaks at least once a second.
// 3. stop() leaves no socket and no timer.
import { backoff } from "./backoff.js";
import { on } from "./dom.js";

const HEARTBEAT_MS = 10_000;

// Handlers: hello(message, {restarted}), events(list), state(message), link({status: connecting|live|waiting, retryAt}),
// reset() when the journal is another one than before.
export function createFeed({ url, handlers, chance = Math.random }) {
  let socket = null;
  let timer = null;
  let attempt = 0;
  let last = null;
  let run = null;
  let teardown = () => {};

  function connect() {
    clearTimeout(timer);
    const address = new URL(url);
    if (last !== null) address.searchParams.set("after", last);
    handlers.link({ status: "connecting" });
    const mine = (socket = new WebSocket(address));
    mine.onmessage = ({ data }) => receive(JSON.parse(data));
    mine.onclose = () => socket === mine && lose();
    expectWord();
  }

  function expectWord() {
    clearTimeout(timer);
    timer = setTimeout(lose, HEARTBEAT_MS);
  }

  function receive(message) {
    expectWord();
    take[message.type]?.(message);
  }

  const take = {
    hello(message) {
      attempt = 0;
      if (last !== null && message.last < last) return startOver();
      const restarted = run !== null && run !== message.run;
      run = message.run;
      handlers.link({ status: "live" });
      handlers.hello(message, { restarted });
    },
    events({ events }) {
      const fresh = events.filter((event) => last === null || event.seq > last);
      if (!fresh.length) return;
      last = fresh.at(-1).seq;
      handlers.events(fresh);
    },
    state: (message) => handlers.state(message),
  };

  // The journal begins below what we have seen: it was replaced, and our position means nothing in it.
  function startOver() {
    last = null;
    handlers.reset();
    drop();
    connect();
  }

  function lose() {
    drop();
    attempt += 1;
    const wait = backoff(attempt, chance());
    handlers.link({ status: "waiting", retryAt: Date.now() + wait });
    timer = setTimeout(connect, wait);
  }

  function drop() {
    clearTimeout(timer);
    const leaving = socket;
    socket = null;
    if (leaving) leaving.onmessage = leaving.onclose = null;
    leaving?.close();
  }

  // A page that was asleep, or a line that came back, has waited long enough.
  function hurry() {
    if (!socket && !document.hidden) connect();
  }

  return {
    start() {
      if (socket) return;
      const undo = [on(window, "online", hurry), on(document, "visibilitychange", hurry)];
      teardown = () => undo.forEach((each) => each());
      connect();
    },
    stop() {
      teardown();
      drop();
    },
  };
}
