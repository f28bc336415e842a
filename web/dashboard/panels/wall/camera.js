// Joins one camera's tile, player and viewer's choice. The three meet only here: on the wall, in the large view, and
// for a suggestion.
import { may } from "../../access.js";
import { Refusal } from "../../ask.js";
import { t } from "../../i18n.js";
import { recall, remember } from "../../storage.js";
import { createPlayer } from "../../player/player.js";
import { createSnapshot } from "../../player/snapshot.js";
import { dropLastFrame, keepLastFrame } from "../../player/last-frame.js";
import { isPutOff } from "../../player/table.js";
import { createSnapshotStream } from "../../player/snapshot-stream.js";
import { saveSnapshot } from "../../player/save-snapshot.js";
import { isAgreed, isOld, isResting, wantsPicture } from "../../player/connection-policy.js";
import { describe } from "./overlay.js";
import { canHide, hide } from "./privacy.js";
import { AWAY, canRetry, retry } from "./retry.js";
import { createTile } from "./tile.js";

const HINT_MS = 8000;

// For the tiles on the wall, the paused ones are remembered.
export const wallChoice = (id) => {
  const key = `banken.paused.${id}`;
  return {
    paused: recall(sessionStorage, key) === "1",
    keep: (paused) => remember(sessionStorage, key, paused ? "1" : null),
  };
};

// For a camera that is displayed alone: it plays on request, and nothing is remembered.
export const ownChoice = (asked) => ({ paused: true, asked, keep() {} });

/**
 * `choice`: {paused, asked?, keep(paused)}. `lease`, where there is one, is taken with each offer and released when
 * nothing plays any more.
 *
 * @param {{camera: any, base: string, clock: any, actions: any, choice: any, lease?: any}} options
 */
export function createCamera({ camera: first, base, clock, actions, choice, lease = null }) {
  const path = encodeURIComponent(first.id);
  let camera = first;
  let { paused, asked = false } = choice;
  let loud = false; // whether audio is wanted; a page that opens must not fill the room with it
  let visible = false;
  let away = false;
  let ended = null; // {text, lang}
  let heardAt = null;
  let dated = true; // the snapshot may be older than the newest one available
  let askedAt = 0; // when the snapshot was requested
  let taking = false;
  let trying = false;
  let hiding = false;
  let hintTimer = null;

  const tile = createTile(first.id, {
    ...actions,
    play: toggle,
    start: () => agreed() || toggle(),
    retry: again,
    take,
    hear,
    hide: switchPrivacy,
  });
  const { video, still } = tile.parts;
  const picture = new URL(`cameras/${path}/snapshot.jpg`, base).href;
  const stream = new URL(`cameras/${path}/stream.mjpeg`, base).href;
  const player = createPlayer({
    target: () => ({ url: new URL(`whep/${path}`, base).href, ...(lease && { headers: () => lease.take(first.id) }) }),
    video,
    sound: () => loud,
    cameraIsLive: () => camera.state === "live",
    onChange: look,
    beforeRelease: () => keepLastFrame(video, still),
  });

  const snapshot = createSnapshot({ img: tile.parts.snapshot, url: picture, onChange: uncover });
  const stills = createSnapshotStream({ img: tile.parts.stills, stream, newest: `${picture}?cached`, onChange: draw });

  dropLastFrame(still);

  const isStale = () => document.documentElement.hasAttribute("data-stale");
  const agreed = () => isAgreed({ camera, paused, asked });
  const resting = () => isResting({ camera, paused, asked }) || (lease !== null && !agreed());

  function settle() {
    const wanted =
      !away &&
      !camera.privacy &&
      may("watch") &&
      wantsPicture({ camera, paused, asked, visible, holding: player.holdsMedia() });
    if (wanted) player.play();
    else {
      if (player.state().name !== "idle") player.close();
      lease?.release();
    }
    if (camera.privacy) uncoverNothing();
    look();
  }

  const showsSnapshot = () => resting() || isPutOff(player.state());

  // Displays snapshots in place of a connection: the last one of a camera at rest, or of one whose connection the
  // server has put off; or a sequence of them.
  function look() {
    if (!away && visible && may("watch") && !camera.privacy && player.fallsBack()) stills.show();
    else stills.hide();
    if (away || !visible || !may("watch") || camera.privacy || !showsSnapshot()) return draw();
    if (!dated && !document.hidden && !snapshot.isAsking()) dated = isOld({ camera, askedAt, now: Date.now() });
    if (dated) {
      dated = false;
      askedAt = Date.now();
      snapshot.load();
    }
    draw();
  }

  // The last frame of a connection that is put off is older than the snapshot below it.
  function uncover() {
    if (isPutOff(player.state())) dropLastFrame(still);
    draw();
  }

  // Nothing of a private camera stays on the page.
  function uncoverNothing() {
    dropLastFrame(still);
    snapshot.close();
    dated = true;
  }

  async function switchPrivacy() {
    if (hiding || !canHide(camera)) return;
    if (isStale()) return hint(t(AWAY));
    hiding = true;
    hint("");
    draw();
    const said = await hide({ base, camera }).then(
      () => "",
      (error) => (error instanceof Refusal ? error.reason : t("The server did not answer.")),
    );
    hiding = false;
    if (said) hint(said);
    draw();
  }

  function toggle() {
    if (!may("watch")) return;
    const refused = player.state().name === "refused";
    if (agreed() && refused) return player.retry();
    paused = agreed();
    asked = !paused;
    ended = null;
    dated = true;
    choice.keep(paused);
    if (paused) dropLastFrame(still);
    settle();
  }

  // Whether audio is sent is negotiated in the offer, so the player reconnects.
  function hear() {
    if (!may("watch")) return;
    loud = !loud;
    video.muted = !loud;
    if (player.holdsMedia() && camera.state === "live") player.close();
    settle();
  }

  async function take() {
    if (taking || !may("watch")) return;
    taking = true;
    hint("");
    tile.taking(true);
    await saveSnapshot({ id: camera.id, url: picture }).catch((error) =>
      hint(t("No picture: {reason}", { reason: error.message })),
    );
    tile.taking(false);
    taking = false;
  }

  // Returns whether there is anything to retry; the result shows in the camera's state.
  function again() {
    if (!canRetry(camera) || !may("operate")) return false;
    if (isStale()) hint(t(AWAY));
    else if (!trying) tryNow();
    return true;
  }

  async function tryNow() {
    trying = true;
    hint(t("Requesting…"));
    draw();
    const said = await retry({ base, camera }).then(
      () => "",
      (error) => (error instanceof Refusal ? error.reason : t("The server did not answer.")),
    );
    trying = false;
    hint(said);
    draw();
  }

  function hint(text) {
    clearTimeout(hintTimer);
    tile.hint(text);
    if (text) hintTimer = setTimeout(() => tile.hint(""), HINT_MS);
  }

  function draw() {
    const state = player.state();
    const moments = { now: clock.now(), present: clock.live(), localNow: Date.now(), dueAt: player.dueAt() };
    const takenAt = snapshot.takenAt();
    const pictured = video.videoWidth > 0 || still.width > 0 || stills.pictured() || takenAt !== null;
    // Text about the camera was true at banken's last message, and when the last picture arrived.
    const stale = isStale();
    const was = stale || (agreed() && state.name === "stale");
    const shape = {
      camera,
      was,
      stale,
      trying,
      hiding,
      player: state,
      pictured,
      resting: resting(),
      alone: lease !== null,
      fallsBack: player.fallsBack(),
      loud,
      substream: player.substream(),
    };
    const view = describe({
      ...shape,
      paused,
      agreed: agreed(),
      denied: !may("watch"),
      ended: ended?.text,
      endedLang: ended?.lang,
      heardAt,
      takenAt,
      ...moments,
    });
    const playing = agreed() && state.name !== "refused";
    tile.draw({ ...shape, view, playing, now: moments.now });
  }

  // Ended deliberately elsewhere: playback starts again only when the user presses play. `lang`: the language of the
  // text, where it is the server's.
  /** @param {string} text @param {string | null} lang */
  function stop(text, lang = null) {
    ended = { text, lang };
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
    again,
    trying: () => trying,
    // Retries the camera if it is lost; otherwise closes this connection and opens a new one. Both at once.
    reconnect() {
      if (again()) return;
      if (!agreed()) return toggle();
      player.close();
      lease?.release();
      settle();
    },
    // A patrol cycle of the camera has ended: there may be a newer picture.
    patrolled() {
      if (camera.mode !== "patrol") return;
      dated = true;
      look();
    },
    // An event of the journal about this connection, which is in `phase` after it.
    peerEvent(phase, { peer, reason }) {
      if (player.peer() !== peer) return;
      if (phase === "closing" && reason.code === "kicked") {
        choice.keep(true);
        player.ended();
        stop(reason.text, "en");
      }
      if (phase === "closed" && reason.code === "unsupported-codec") player.lost(reason.text);
    },
    update(now) {
      const changed = now.state !== camera.state;
      if (changed && (now.state === "idle" || now.state === "live")) dated = true;
      // The server rejects audio for a camera that sends none; once the camera sends it, a new offer is needed.
      if (loud && camera.codec && !camera.audio && now.audio && player.holdsMedia()) player.close();
      camera = now;
      heardAt = heardOf(camera, clock.now());
      if (changed) player.cameraChanged();
      settle();
    },
    seen(is) {
      visible = is;
      settle();
    },
    // Leaving the page and returning to it (bfcache): the choice stays, the connection does not.
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

// When the last picture arrived: for a moment of the past given as an age, for now as a time.
const heardOf = ({ heard, last_frame_age_ms: age = null }, now) =>
  heard !== undefined ? heard : age === null ? null : now - age;
