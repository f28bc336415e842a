// The server's time as this page knows it, and one tick per second that all relative times share. Held, the clock
// stands at a moment of the past. While banken is away, ages stand at the time of its last message.

// A smaller difference is network delay; following it would make the counters jitter.
const TOLERANCE_MS = 400;

export function createClock() {
  const listeners = new Set();
  const silences = new Set();
  let offset = 0;
  let timer = null;
  let held = null;
  let lastWord = null; // null while banken answers

  function tick() {
    // Ticks start on the whole second of the server, so that counters and the wall clock change together.
    timer = setTimeout(tick, 1000 - (live() % 1000) + 5);
    tell();
  }
  function tell() {
    for (const listener of listeners) listener(now());
  }
  const live = () => Date.now() + offset;
  const now = () => held ?? lastWord ?? live();

  function turn() {
    tell();
    for (const listener of silences) listener();
  }

  return {
    now, // the newest moment at which the displayed state is known to be true
    live,
    shown: () => held ?? live(), // the moment that the page displays
    lastWord: () => lastWord,
    // Whether the page displays the present and it is unknown whether that still holds.
    isSilent: () => held === null && lastWord !== null,
    hold(moment) {
      held = moment;
      turn();
    },
    release() {
      held = null;
      turn();
    },
    // `since`: the time since which banken is away; null: it answers again.
    silence(since) {
      lastWord = since;
      turn();
    },
    // Called when the past is entered or left, and when banken falls silent or answers again.
    onSilence: (listener) => silences.add(listener),
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
