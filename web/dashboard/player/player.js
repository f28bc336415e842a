// The shell around table.js: carries out its effects with real connections and timers.
import { INITIAL, fallsBack, holdsMedia, isAtRest, next } from "./table.js";
import { openSession } from "./session.js";

// `target()` → {url, headers}: where a new connection is requested. `sound()` → whether audio is wanted.
// `onChange(player)` is called after each change of state, `beforeRelease()` while the last picture is still there.
export function createPlayer({ target, video, sound, cameraIsLive, onChange, beforeRelease, chance = Math.random }) {
  let state = INITIAL;
  let session = null;
  let timer = null;
  let dueAt = null;
  let askedAt = 0;
  let firstFrameMs = null;
  let peer = null;

  function send(event) {
    const before = state;
    const step = next(state, { chance: chance(), ...event });
    state = step.state;
    for (const effect of step.effects) carryOut[effect.do](effect);
    if (state !== before) onChange(player);
  }

  const carryOut = {
    open() {
      const mine = openSession({
        ...target(),
        video,
        sound: sound(),
        cameraIsLive,
        report: (event) => session === mine && send(event),
      });
      session = mine;
      awaitFirstFrame(mine);
    },
    release() {
      beforeRelease();
      const ending = session;
      peer = ending.peer() ?? peer;
      session = null;
      ending.close();
    },
    arm({ seconds }) {
      dueAt = Date.now() + seconds * 1000;
      timer = setTimeout(() => send({ type: "due" }), seconds * 1000);
    },
    disarm() {
      clearTimeout(timer);
      timer = dueAt = null;
    },
  };

  // The viewer waits for the first presented frame, not for the first decoded one.
  function awaitFirstFrame(mine) {
    video.requestVideoFrameCallback?.((now) => {
      if (session !== mine) return;
      firstFrameMs ??= Math.round(now - askedAt);
      send({ type: "frames" });
    });
  }

  const player = {
    // The name of the peer in the journal: of this connection, or of the last one. Null before the first.
    peer: () => (peer = session?.peer() ?? peer),
    // The camera whose stream is displayed instead, because this browser cannot play this camera's; usually null.
    substream: () => session?.substream() ?? null,
    // The server has deliberately ended the connection.
    ended() {
      session?.forget();
      send({ type: "close" });
    },
    play() {
      if (!isAtRest(state)) return;
      askedAt = performance.now();
      firstFrameMs = null;
      send({ type: "play" });
    },
    close: () => send({ type: "close" }),
    retry: () => send({ type: "retry" }),
    cameraChanged: () => send({ type: "camera" }),
    // The server or the network is back, or the page is awake again: an attempt that waits may now succeed.
    back: (restarted = false) => send({ type: "back", restarted }),
    // The connection is certainly lost, before any timeout has detected it.
    lost: (reason) => send({ type: "lost", reason }),
    measure: () => session?.measure() ?? Promise.resolve(null),
    state: () => state,
    dueAt: () => dueAt,
    holdsMedia: () => holdsMedia(state),
    fallsBack: () => fallsBack(state),
    statistics: () => ({
      ...(session?.statistics() ?? { framesDecoded: 0, peerConnectionState: "closed" }),
      firstFrameMs,
    }),
  };
  return player;
}
