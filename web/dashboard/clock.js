// The server's time as this page knows it, and one tick per second that everything relative shares.
// Held, it stands still at a moment of the past.

// Below this the difference is the network's, and following it would make the counters jitter.
const TOLERANCE_MS = 400;

export function createClock() {
  const listeners = new Set();
  let offset = 0;
  let timer = null;
  let held = null;

  function tick() {
    // Ticks start on the whole second of the server, so that counters and the wall clock change together.
    timer = setTimeout(tick, 1000 - (live() % 1000) + 5);
    tell();
  }
  function tell() {
    for (const listener of listeners) listener(now());
  }
  const live = () => Date.now() + offset;
  const now = () => held ?? live();

  return {
    now,
    live,
    hold(moment) {
      held = moment;
      tell();
    },
    release() {
      held = null;
      tell();
    },
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
