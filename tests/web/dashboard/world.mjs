// A world for the page's modules in Node: a clock that is moved by hand, and what is asked of a server, answered by a test.
import { mock } from "node:test";

// Timers and Date stand still until `pass(milliseconds)`; what was promised meanwhile is kept between the ticks.
export function stopTheClock(at = "2026-11-22T10:00:00") {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: new Date(at) });
  return {
    async pass(milliseconds, step = 500) {
      for (let left = milliseconds; left > 0; left -= step) {
        mock.timers.tick(Math.min(left, step));
        await settle();
      }
    },
    start: () => mock.timers.reset(),
  };
}

// Until nothing more follows from what has happened; the body of an answer is read in turns of its own.
export async function settle() {
  for (let turn = 0; turn < 4; turn += 1) await new Promise(setImmediate);
}

// Replaces fetch: `answer({method, url, body, headers})` → {status, body?, headers?}, or throws as a dead line does.
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
    // One that is made by hand has no address of its own, against which its Location could be read.
    return Object.defineProperty(response, "url", { value: String(url) });
  };
  return { asked, methods: () => asked.map(({ method }) => method).join(" "), close: () => (globalThis.fetch = stock) };
}
