// The one WebSocket. Rules of this file:
// 1. It resumes after the last event that it passed on: no event is displayed twice, and none is lost.
// 2. The server sends at least one message a second. After DOUBT_S of silence the connection is in doubt until the next
//    message; after LOST_S it is lost. Silence is counted in ticks of this page, so that a page that was suspended does
//    not blame the server.
// 3. stop() leaves no socket and no timer.
// 4. The server sends lists only for the views that are displayed.
import { backoff } from "./backoff.js";
import { on } from "./dom.js";
import { createModel } from "./model.js";

export const DOUBT_S = 4;
export const LOST_S = 10;
const REVOKED = 4403; // the code of a server that has taken rights away

// Handlers: hello(message, {restarted}), events(list), state(message), link({status: connecting|live|silent|waiting,
// retryAt}), reset() when the journal is a different one than before.
//
// refused(): the server did not let the page in, or has taken rights away.
export function createFeed({ url, handlers, chance = Math.random }) {
  let socket = null;
  let timer = null;
  let attempt = 0;
  let last = null;
  let run = null;
  let asked = 0;
  let live = false; // whether the server has sent hello
  let silence = 0; // seconds without a message
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
    mine.onclose = (event) => socket === mine && closed(event);
    expectWord();
  }

  function closed(event) {
    if (!live || event?.code === REVOKED) handlers.refused?.();
    lose();
  }

  function expectWord() {
    clearTimeout(timer);
    silence = 0;
    timer = setTimeout(listen, 1000);
  }

  function listen() {
    silence += 1;
    if (silence >= LOST_S) return lose();
    if (live && silence === DOUBT_S) handlers.link({ status: "silent" });
    timer = setTimeout(listen, 1000);
  }

  function receive(message) {
    if (live && silence >= DOUBT_S) handlers.link({ status: "live" });
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

  // A view that needs a list is opened or closed.
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

  // The journal ends before the last event that we have seen: it was replaced, and our position is meaningless in it.
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

  // The page was asleep, or the network is back: no reason to wait longer.
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
