// Joins one camera's tile, player and viewer's choice. The only place where the three meet: on the wall, in the large
// view, and for a suggestion.
import { t } from "../i18n.js";
import { recall, remember } from "../storage.js";
import { createPlayer } from "../player/player.js";
import { createSnapshot } from "../player/snapshot.js";
import { dropStill, keepStill } from "../player/still.js";
import { createStills } from "../player/stills.js";
import { takePicture } from "../player/take.js";
import { isAgreed, isResting, wantsPicture } from "../player/wish.js";
import { describe } from "./overlay.js";
import { createTile } from "./tile.js";

const HINT_MS = 8000;

// Of the tiles on the wall it is remembered which are paused.
export const wallChoice = (id) => {
  const key = `banken.paused.${id}`;
  return { paused: recall(sessionStorage, key) === "1", keep: (paused) => remember(sessionStorage, key, paused ? "1" : null) };
};

// For what is opened to be looked at by itself: it plays when it is told to, and nothing of that is remembered.
export const ownChoice = (asked) => ({ paused: true, asked, keep() {} });

// `choice`: {paused, asked?, keep(paused)}. `lease`, where there is one, is taken with each offer and given back when
// nothing is played any more.
export function createCamera({ camera: first, base, clock, actions, choice, lease = null }) {
  const path = encodeURIComponent(first.id);
  let camera = first;
  let { paused, asked = false } = choice;
  let loud = false; // whether sound is wanted; nobody who opens a page wants a house full of it
  let visible = false;
  let away = false;
  let ended = null;
  let heardAt = null;
  let dated = true; // the snapshot may be older than the newest there is
  let taking = false;
  let hintTimer = null;

  const tile = createTile(first.id, { ...actions, play: toggle, start: () => agreed() || toggle(), take, hear });
  const { video, still } = tile.parts;
  const picture = new URL(`cameras/${path}/snapshot.jpg`, base).href;
  const stream = new URL(`cameras/${path}/stream.mjpeg`, base).href;
  const player = createPlayer({
    target: () => ({ url: new URL(`whep/${path}`, base).href, ...(lease && { headers: () => lease.take(first.id) }) }),
    video,
    sound: () => loud,
    cameraIsLive: () => camera.state === "live",
    onChange: look,
    beforeRelease: () => keepStill(video, still),
  });

  const snapshot = createSnapshot({ img: tile.parts.snapshot, url: picture, onChange: draw });
  const stills = createStills({ img: tile.parts.stills, stream, newest: `${picture}?cached`, onChange: draw });

  dropStill(still);

  const agreed = () => isAgreed({ camera, paused, asked });
  const resting = () => isResting({ camera, paused, asked }) || (lease !== null && !agreed());

  function settle() {
    const wanted = !away && wantsPicture({ camera, paused, asked, visible, holding: player.holdsMedia() });
    if (wanted) player.play();
    else {
      if (player.state().name !== "idle") player.close();
      lease?.release();
    }
    look();
  }

  // What is shown instead of a connection: the last picture of a camera at rest, or still pictures one by one.
  function look() {
    if (!away && visible && player.fallsBack()) stills.show();
    else stills.hide();
    if (dated && !away && visible && resting()) {
      dated = false;
      snapshot.load();
    }
    draw();
  }

  function toggle() {
    const refused = player.state().name === "refused";
    if (agreed() && refused) return player.retry();
    paused = agreed();
    asked = !paused;
    ended = null;
    dated = true;
    choice.keep(paused);
    if (paused) dropStill(still);
    settle();
  }

  // Whether sound is sent is agreed on with the offer, so the connection is made anew.
  function hear() {
    loud = !loud;
    video.muted = !loud;
    if (player.holdsMedia() && camera.state === "live") player.close();
    settle();
  }

  async function take() {
    if (taking) return;
    taking = true;
    hint("");
    tile.taking(true);
    await takePicture({ id: camera.id, url: picture }).catch((error) => hint(t("No picture: {reason}", { reason: error.message })));
    tile.taking(false);
    taking = false;
  }

  function hint(text) {
    clearTimeout(hintTimer);
    tile.hint(text);
    if (text) hintTimer = setTimeout(() => tile.hint(""), HINT_MS);
  }

  function draw() {
    const state = player.state();
    const moments = { now: clock.now(), localNow: Date.now(), dueAt: player.dueAt() };
    const takenAt = snapshot.takenAt();
    const pictured = video.videoWidth > 0 || still.width > 0 || stills.pictured() || takenAt !== null;
    const shape = { camera, player: state, pictured, resting: resting(), fallsBack: player.fallsBack(), loud, substream: player.substream() };
    const view = describe({ ...shape, paused, agreed: agreed(), ended, heardAt, takenAt, ...moments });
    const playing = agreed() && state.name !== "refused";
    tile.draw({ ...shape, view, playing, now: moments.now });
  }

  // Somebody else has ended it, and means it: it is not begun again until somebody presses play.
  function stop(text) {
    ended = text;
    paused = true;
    asked = false;
    dated = true;
    settle();
  }

  return {
    id: first.id,
    tile,
    player,
    toggle,
    take,
    hear,
    draw,
    stop,
    playing: agreed,
    // Again, now, and from the beginning.
    reconnect() {
      if (!agreed()) return toggle();
      player.close();
      lease?.release();
      settle();
    },
    // A round of its patrol has ended: there may be a newer picture.
    patrolled() {
      if (camera.mode !== "patrol") return;
      dated = true;
      look();
    },
    // What the journal says of this connection.
    peerEvent(type, { peer, reason }) {
      if (player.peer() !== peer) return;
      if (type === "PeerClosing" && reason.code === "kicked") {
        choice.keep(true);
        player.ended();
        stop(reason.text);
      }
      if (type === "PeerClosed" && reason.code === "unsupported-codec") player.lost(reason.text);
    },
    update(now) {
      const changed = now.state !== camera.state;
      if (changed && now.state === "idle") dated = true;
      camera = now;
      heardAt = heardOf(camera, clock.now());
      if (changed) player.cameraChanged();
      settle();
    },
    seen(is) {
      visible = is;
      settle();
    },
    // Leaving the page and coming back to it (bfcache): the choice stays, the connection does not.
    leave() {
      away = true;
      player.close();
      lease?.release();
      stills.hide();
      snapshot.stop();
      dated = true;
    },
    resume() {
      away = false;
      settle();
    },
    close() {
      away = true;
      clearTimeout(hintTimer);
      player.close();
      lease?.release();
      stills.hide();
      snapshot.close();
      tile.root.remove();
    },
  };
}

// When the last picture came. A moment of the past says how long ago; now it is a time.
const heardOf = ({ heard, last_frame_age_ms: age = null }, now) => (heard !== undefined ? heard : age === null ? null : now - age);
