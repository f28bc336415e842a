// A world for the page's modules in Node: a clock that the test moves, and a server whose answers the test gives.

const NAMES = ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"];

// Timers and Date stand still until `pass(milliseconds)`; settled `Promise`s are handled between two steps. `start()`
// restores the real ones.
export function stopTheClock(at = "2026-11-22T10:00:00") {
  const stock = Object.fromEntries(NAMES.map((name) => [name, globalThis[name]]));
  const timers = new Map();
  let now = new Date(at).getTime();
  let ids = 0;
  const arm = (action, after, every) => (timers.set((ids += 1), { at: now + Math.max(0, after), action, every }), ids);
  const disarm = (id) => timers.delete(id);
  const next = () => [...timers].sort(([, a], [, b]) => a.at - b.at)[0];

  function go(until) {
    for (let due = next(); due && due[1].at <= until; due = next()) {
      const [id, timer] = due;
      now = Math.max(now, timer.at);
      if (timer.every === null) timers.delete(id);
      else timer.at += timer.every;
      timer.action();
    }
    now = until;
  }

  Object.assign(globalThis, {
    setTimeout: (action, after = 0) => arm(action, after, null),
    setInterval: (action, every) => arm(action, every, every),
    clearTimeout: disarm,
    clearInterval: disarm,
    Date: class extends stock.Date {
      constructor(...given) {
        super(...(given.length ? given : [now]));
      }
      static now = () => now;
    },
  });
  return {
    async pass(milliseconds, step = 500) {
      for (const until = now + milliseconds; now < until; ) {
        go(Math.min(until, now + step));
        await settle();
      }
    },
    // The page is suspended for this long: each timer that is due fires once, before anything else happens.
    hold(milliseconds) {
      now += milliseconds;
      for (const [id, timer] of [...timers]) {
        if (timer.at > now) continue;
        if (timer.every === null) timers.delete(id);
        else timer.at = now + timer.every;
        timer.action();
      }
    },
    timers: () => timers.size,
    start: () => Object.assign(globalThis, stock),
  };
}

// Waits until nothing more follows from the last event; a response body is read in separate turns of the event loop.
export async function settle() {
  for (let turn = 0; turn < 4; turn += 1) await new Promise(setImmediate);
}

// Replaces fetch: `answer({method, url, body, headers})` → {status, body?, headers?}, or throws: no connection.
export function serve(answer) {
  const asked = [];
  const stock = globalThis.fetch;
  globalThis.fetch = async (url, { method = "GET", body, headers = {}, keepalive = false, signal } = {}) => {
    const request = { method, url: String(url), body: body?.startsWith("{") ? JSON.parse(body) : body, headers, keepalive };
    asked.push(request);
    await null;
    signal?.throwIfAborted();
    const { status = 200, body: said = {}, headers: more = {} } = answer(request);
    const response = new Response(status === 204 ? null : JSON.stringify(said), { status, headers: more });
    // A constructed response has no URL, against which its Location could be resolved.
    return Object.defineProperty(response, "url", { value: String(url) });
  };
  return { asked, methods: () => asked.map(({ method }) => method).join(" "), close: () => (globalThis.fetch = stock) };
}
