// The server's time as this page knows it, and one tick per second that everything relative shares.

// Below this the difference is the network's, and following it would make the counters jitter.
const TOLERANCE_MS = 400;

export function createClock() {
  const listeners = new Set();
  let offset = 0;
  let timer = null;

  function tick() {
    // Ticks start on the whole second of the server, so that counters and the wall clock change together.
    timer = setTimeout(tick, 1000 - (now() % 1000) + 5);
    for (const listener of listeners) listener(now());
  }
  const now = () => Date.now() + offset;

  return {
    now,
    learn(serverNow) {
      const seen = Date.parse(serverNow) - Date.now();
      if (Number.isFinite(seen) && Math.abs(seen - offset) > TOLERANCE_MS) offset = seen;
    },
    onTick(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    start: () => timer ?? tick(),
    stop() {
      clearTimeout(timer);
      timer = null;
    },
  };
}
