// The one WebSocket. Rules of this file:
// 1. It resumes after the last event it handed on, so nothing is shown twice and nothing is lost.
// 2. Silence is loss: the server speaks at least once a second.
// 3. stop() leaves no socket and no timer.
// 4. Lists come for the views that are shown, and for no others.
import { backoff } from "./backoff.js";
import { on } from "./dom.js";
import { createModel } from "./model.js";

const HEARTBEAT_MS = 10_000;

// Handlers: hello(message, {restarted}), events(list), state(message), link({status: connecting|live|waiting, retryAt}),
// reset() when the journal is another one than before.
export function createFeed({ url, handlers, chance = Math.random }) {
  let socket = null;
  let timer = null;
  let attempt = 0;
  let last = null;
  let run = null;
  let asked = 0;
  let live = false; // whether it has said hello
  let reported = ""; // the views that the server knows of
  const views = new Set();
  const model = createModel();
  let teardown = () => {};

  function connect() {
    clearTimeout(timer);
    const address = new URL(url);
    address.searchParams.set("state", "changes");
    reported = shown();
    if (reported) address.searchParams.set("views", reported);
    if (last !== null) address.searchParams.set("after", last);
    model.clear();
    handlers.link({ status: "connecting" });
    live = false;
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
      reportViews();
      handlers.hello(message, { restarted });
    },
    events({ events }) {
      const fresh = events.filter((event) => last === null || event.seq > last);
      if (!fresh.length) return;
      last = fresh.at(-1).seq;
      handlers.events(fresh);
    },
    state(message) {
      model.state(message);
      say(message.now);
    },
    changes(message) {
      model.changes(message);
      say(message.now);
    },
  };

  function say(now) {
    model.forget(views);
    const message = model.message(now);
    if (message) handlers.state(message);
  }

  // A view that needs a list is shown, or is not any more.
  function show(view, is) {
    if (is === views.has(view)) return;
    if (is) views.add(view);
    else views.delete(view);
    if (live) reportViews();
  }

  const shown = () => [...views].join();

  function reportViews() {
    live = true;
    if (reported === shown()) return;
    reported = shown();
    socket.send(JSON.stringify({ type: "state.show", id: (asked += 1), views: [...views] }));
  }

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
    live = false;
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
    show,
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
