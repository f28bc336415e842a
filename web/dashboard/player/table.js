// The life cycle of one player, as a table. Rules of this file:
// 1. Pure: no DOM, no clock, no random numbers; everything variable arrives with the event.
// 2. TABLE alone defines which state follows which; a pair that is absent changes nothing. The diagram in
//    ops/docs/states.md is made from it.
// 3. Effects follow from the edge alone (`effectsOf`), so that media is opened and released exactly in pairs and no
//    timer survives the state that armed it.
// 4. From `closed` only `play` leads away: an intentional close never retries.

export const LADDER = [1, 2, 4, 8, 16];
export const PROBE = 30;
export const JITTER = 0.2;

// Seconds without a decoded frame, while the camera is live, after which the player leaves a state.
export const PATIENCE = { connecting: 10, live: 5, stale: 15, probing: 10 };

// After this many consecutive failures with an answer but no media, the rest of the ladder is useless.
export const ENOUGH = 2;

// A connection that lasted this many seconds counts as a success; a flapping one keeps climbing the ladder.
export const STEADY = 10;

// `meaning` distinguishes failures by the attempts that remain: `failed`, the ladder continues; `spent`, it is at its
// end, or useless; `denied`, the server's answer will be the same until something changes. `fallback` and `probing`
// display snapshots, with WebRTC off and on trial.
export const TABLE = {
  idle: { play: "connecting", close: "closed" },
  connecting: { frames: "live", failed: "retrying", spent: "fallback", denied: "refused", close: "closed" },
  live: { frames: "live", silent: "stale", failed: "retrying", spent: "fallback", close: "closed" },
  stale: { frames: "live", failed: "retrying", spent: "fallback", close: "closed" },
  retrying: { due: "connecting", retry: "connecting", back: "connecting", close: "closed" },
  fallback: { due: "probing", retry: "probing", back: "probing", camera: "probing", close: "closed" },
  probing: { frames: "live", spent: "fallback", denied: "refused", close: "closed" },
  refused: { retry: "connecting", back: "connecting", camera: "connecting", close: "closed" },
  closed: { play: "connecting" },
};

export const STATES = Object.keys(TABLE);

// The events of a player. `back`: the server or the network is back, or the page has woken up.
export const EVENTS = [
  "play",
  "frames",
  "silent",
  "blocked",
  "lost",
  "refused",
  "due",
  "retry",
  "back",
  "camera",
  "close",
];

// `attempt` counts failures since the last steady success. `misses` counts consecutive connections that were negotiated
// and brought no media (Infinity: it is certain that none will). `bidden`: the server has prescribed the wait.
/** @typedef {{name: string, attempt: number, reason: any, misses: number, bidden: boolean}} State */

/** @type {State} */
export const INITIAL = Object.freeze({ name: "idle", attempt: 0, reason: null, misses: 0, bidden: false });

const HOLDS_MEDIA = new Set(["connecting", "live", "stale", "probing"]);

export const holdsMedia = ({ name }) => HOLDS_MEDIA.has(name);

export const isAtRest = ({ name }) => name === "idle" || name === "closed";

// Whether the server has prescribed the wait. Meanwhile the last snapshot is displayed, which costs the server nothing.
export const isPutOff = ({ name, bidden }) => name === "retrying" && bidden;

// Whether snapshots are displayed, and WebRTC is at most probed.
export const fallsBack = ({ name }) => name === "fallback" || name === "probing";

// Whether the cause of WebRTC's failure is known: it is in `reason`, and only a change of the camera justifies a probe.
export const hopeless = ({ misses }) => misses === Infinity;

// → {state, effects}: effects are {do: "open"} {do: "release"} {do: "arm", seconds} {do: "disarm"}, in order.
export function next(state, event) {
  const to = TABLE[state.name][meaning(state, event)];
  if (to === undefined) return { state, effects: [] };
  const following = Object.freeze({ name: to, ...memory(state, to, event) });
  if (same(state, following)) return { state, effects: [] };
  return { state: following, effects: effectsOf(state, following, event) };
}

const same = (a, b) => a.name === b.name && a.attempt === b.attempt && a.reason === b.reason;

// An event → the name of its edge, or null where it does not count yet.
export function meaning(state, event) {
  switch (event.type) {
    case "silent":
      if (!(event.seconds >= PATIENCE[state.name])) return null;
      return state.name === "live" ? "silent" : failure(state, event);
    case "blocked":
    case "lost":
      return failure(state, event);
    case "refused":
      return passes(event.status) ? failure(state, event) : "denied";
    case "back":
      return state.bidden && !event.restarted ? null : "back";
    case "camera":
      return state.name === "fallback" && !hopeless(state) ? null : "camera";
    default:
      return event.type;
  }
}

const failure = (state, event) =>
  state.name === "probing" ||
  missesAfter(state, event) >= ENOUGH ||
  (state.attempt >= LADDER.length && !isTooOften(event))
    ? "spent"
    : "failed";

// A rate or a cap is reached. It says nothing about WebRTC, and an MJPEG stream would be refused alike.
const isTooOften = ({ type, status }) => type === "refused" && status === 429;

// `blocked` with `hopeless`: the browser cannot play at all, or cannot play this camera's codec.
function missesAfter(state, event) {
  if (event.type === "blocked" && event.hopeless) return Infinity;
  const opening = state.name === "connecting" || state.name === "probing";
  return state.misses + (opening && (event.type === "blocked" || event.type === "silent"));
}

const AFRESH = new Set(["back", "camera"]);

function memory(state, to, event) {
  const { attempt, reason, misses } = state;
  switch (to) {
    case "connecting":
    case "probing":
      return { ...(AFRESH.has(event.type) ? { attempt: 0, misses: 0 } : { attempt, misses }), reason, bidden: false };
    case "live":
      return { attempt: (event.seconds ?? 0) >= STEADY ? 0 : attempt, reason: null, misses: 0, bidden: false };
    case "stale":
      return { attempt, reason: event.reason ?? null, misses: 0, bidden: false };
    case "retrying":
    case "fallback":
      return {
        attempt: attempt + 1,
        reason: event.reason ?? null,
        misses: missesAfter(state, event),
        bidden: event.retryAfter > 0,
      };
    case "refused":
      return { attempt: attempt + 1, reason: event.reason ?? null, misses, bidden: false };
    default:
      return { attempt: 0, reason: null, misses: 0, bidden: false };
  }
}

function effectsOf(from, to, event) {
  const effects = [];
  if (waits(from)) effects.push({ do: "disarm" });
  if (holdsMedia(from) && !holdsMedia(to)) effects.push({ do: "release" });
  if (!holdsMedia(from) && holdsMedia(to)) effects.push({ do: "open" });
  if (waits(to)) effects.push({ do: "arm", seconds: delay(to.name === "fallback" ? Infinity : to.attempt, event) });
  return effects;
}

// Whether a timer ends this state.
export const waits = (state) => state.name === "retrying" || (state.name === "fallback" && !hopeless(state));

// 408, 429 and every 5xx are transient; another 4xx stays the same until something changes.
export const passes = (status) => status === 408 || status === 429 || status >= 500;

// `chance` is in [0, 1). Retry-After is a lower bound: jitter only adds to it.
export function delay(attempt, { chance = 0.5, retryAfter = 0 } = {}) {
  const step = LADDER[attempt - 1] ?? PROBE;
  const jittered = step * (1 - JITTER + 2 * JITTER * chance);
  return Math.max(jittered, retryAfter * (1 + JITTER * chance));
}
