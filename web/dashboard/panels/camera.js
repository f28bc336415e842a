// Joins one camera's tile, player and viewer's choice. The only place where the three meet.
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

export function createCamera({ camera: first, base, clock, actions }) {
  const key = `banken.paused.${first.id}`;
  const path = encodeURIComponent(first.id);
  let camera = first;
  let paused = recall(sessionStorage, key) === "1";
  let asked = false;
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
    url: new URL(`whep/${path}`, base).href,
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
  const resting = () => isResting({ camera, paused, asked });

  function settle() {
    const wanted = !away && wantsPicture({ camera, paused, asked, visible, holding: player.holdsMedia() });
    if (wanted) player.play();
    else if (player.state().name !== "idle") player.close();
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
    const refused = player.state().until === "camera";
    if (agreed() && refused) return player.retry();
    paused = agreed();
    asked = !paused;
    ended = null;
    dated = true;
    remember(sessionStorage, key, paused ? "1" : null);
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
    await takePicture({ id: camera.id, url: picture }).catch((error) => hint(`No picture: ${error.message}`));
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
    const playing = agreed() && state.until !== "camera";
    tile.draw({ ...shape, view, playing, now: moments.now });
  }

  return {
    id: first.id,
    tile,
    player,
    toggle,
    take,
    hear,
    draw,
    // A round of its patrol has ended: there may be a newer picture.
    patrolled() {
      if (camera.mode !== "patrol") return;
      dated = true;
      look();
    },
    // An operator has ended this viewer's connection; it is not made again until somebody presses play.
    kicked(text) {
      ended = text;
      paused = true;
      asked = false;
      remember(sessionStorage, key, "1");
      player.ended();
      settle();
    },
    update(now) {
      const changed = now.state !== camera.state;
      if (changed && now.state === "idle") dated = true;
      camera = now;
      heardAt = camera.last_frame_age_ms === null ? null : clock.now() - camera.last_frame_age_ms;
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
      stills.hide();
      snapshot.close();
      tile.root.remove();
    },
  };
}
