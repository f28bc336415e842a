// Sends messages one after the other, and never more in any second than the server accepts (which is 20).

const MOST = 10; // delayed by the network, two seconds' messages may arrive in one second
const WINDOW_MS = 1000;

// `later(run, ms)` → a handle for `never(handle)`.
export function createPace(send, { now = () => performance.now(), later = setTimeout, never = clearTimeout } = {}) {
  const waiting = [];
  const sent = [];
  let timer = null;

  function flush() {
    timer = null;
    while (waiting.length) {
      const at = now();
      while (sent.length && at - sent[0] >= WINDOW_MS) sent.shift();
      if (sent.length >= MOST) {
        timer = later(flush, WINDOW_MS - (at - sent[0]));
        return;
      }
      sent.push(at);
      send(waiting.shift());
    }
  }

  return {
    send(message) {
      waiting.push(message);
      if (timer === null) flush();
    },
    stop() {
      never(timer);
      timer = null;
      waiting.length = 0;
    },
  };
}
