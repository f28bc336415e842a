// The life of one player, as a table. Rules of this file:
// 1. Pure: no DOM, no clock, no chance; what varies comes in with the event.
// 2. TABLE is the only place that says which state follows which; a pair that is absent changes nothing.
// 3. Effects follow from the edge alone (`effectsOf`), so media is opened and released exactly in pairs
//    and no timer survives the state that armed it.
// 4. From `closed` only `play` leads away: an intentional close never retries.

export const LADDER = [1, 2, 4, 8, 16];
export const PROBE = 30;
export const JITTER = 0.2;

// Seconds without a decoded frame, while the camera is live, after which a state is given up.
export const PATIENCE = { connecting: 10, live: 5, stale: 15 };

// The server answers, but no media comes through, so many times in a row: still pictures are the better bet.
export const ENOUGH = 2;

// A connection that held this long counts as a success; a flapping one keeps climbing the ladder.
export const STEADY = 10;

export const TABLE = {
  idle: { play: "connecting", close: "closed" },
  connecting: { frames: "live", silent: "retrying", blocked: "retrying", lost: "retrying", refused: "retrying", close: "closed" },
  live: { frames: "live", silent: "stale", lost: "retrying", close: "closed" },
  stale: { frames: "live", silent: "retrying", lost: "retrying", close: "closed" },
  retrying: { due: "connecting", retry: "connecting", camera: "connecting", close: "closed" },
  closed: { play: "connecting" },
};

export const STATES = Object.keys(TABLE);
export const EVENTS = [...new Set(Object.values(TABLE).flatMap(Object.keys))];

// `attempt` counts failures since the last steady success; `until` says what ends `retrying`: "timer" or "camera";
// `misses` counts connections in a row that were agreed on and brought nothing.
export const INITIAL = Object.freeze({ name: "idle", attempt: 0, reason: null, until: null, misses: 0 });

const HOLDS_MEDIA = new Set(["connecting", "live", "stale"]);

export const holdsMedia = (state) => HOLDS_MEDIA.has(state.name);

// Whether WebRTC is only probed now, and still pictures are shown meanwhile.
export const fallsBack = ({ name, misses, until }) =>
  misses >= ENOUGH && (name === "connecting" || (name === "retrying" && until === "timer"));

// Whether it is known why WebRTC cannot be had: `reason` says it.
export const hopeless = ({ misses }) => misses === Infinity;

// → {state, effects}: effects are {do: "open"} {do: "release"} {do: "arm", seconds} {do: "disarm"}, in order.
export function next(state, event) {
  const to = TABLE[state.name][event.type];
  if (to === undefined || !allowed(state, event)) return { state, effects: [] };
  const following = Object.freeze({ name: to, ...memory(state, to, event), misses: misses(state, to, event) });
  if (same(state, following)) return { state, effects: [] };
  return { state: following, effects: effectsOf(state, following, event) };
}

const same = (a, b) => a.name === b.name && a.attempt === b.attempt && a.reason === b.reason;

function allowed(state, event) {
  if (event.type === "silent") return event.seconds >= PATIENCE[state.name];
  if (event.type === "camera") return state.until === "camera";
  return true;
}

function memory(state, to, event) {
  if (to === "retrying") {
    const until = event.type === "refused" && !passes(event.status) ? "camera" : "timer";
    return { attempt: state.attempt + 1, reason: event.reason ?? null, until };
  }
  if (to === "connecting") return { attempt: event.type === "camera" ? 0 : state.attempt, reason: state.reason, until: null };
  if (to === "live") return { attempt: (event.seconds ?? 0) >= STEADY ? 0 : state.attempt, reason: null, until: null };
  if (to === "stale") return { attempt: state.attempt, reason: event.reason ?? null, until: null };
  return { attempt: 0, reason: null, until: null };
}

// `blocked` with `hopeless` is a browser that cannot do it at all, or cannot show what this camera sends.
function misses(state, to, event) {
  if (to !== "connecting" && to !== "retrying") return 0;
  if (event.type === "blocked" && event.hopeless) return Infinity;
  return state.misses + (state.name === "connecting" && (event.type === "blocked" || event.type === "silent"));
}

function effectsOf(from, to, event) {
  const effects = [];
  if (from.name === "retrying") effects.push({ do: "disarm" });
  if (holdsMedia(from) && !holdsMedia(to)) effects.push({ do: "release" });
  if (!holdsMedia(from) && holdsMedia(to)) effects.push({ do: "open" });
  if (to.name === "retrying" && to.until === "timer") {
    effects.push({ do: "arm", seconds: delay(to.misses >= ENOUGH ? Infinity : to.attempt, event) });
  }
  return effects;
}

// 408, 429 and every 5xx pass by themselves; another 4xx will be the same answer until something changes.
export const passes = (status) => status === 408 || status === 429 || status >= 500;

// `chance` is in [0, 1). Retry-After is a floor: jitter only ever adds to it.
export function delay(attempt, { chance = 0.5, retryAfter = 0 } = {}) {
  const step = LADDER[attempt - 1] ?? PROBE;
  const jittered = step * (1 - JITTER + 2 * JITTER * chance);
  return Math.max(jittered, retryAfter * (1 + JITTER * chance));
}
