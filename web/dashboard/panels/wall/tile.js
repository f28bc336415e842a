// One camera on the wall: draws the given state, and reports presses. It decides nothing.
import { may } from "../../access.js";
import { mark, on, partsOf, say, set, stamp } from "../../dom.js";
import { ago, bitrate, codecName, fullTime, plural, resolution, stateWords } from "../../format.js";
import { canHide } from "./privacy.js";
import { AWAY, canRetry } from "./retry.js";
import { silence, soundName } from "./sound.js";
import { n, t } from "../../i18n.js";

const NONE = "–";
const PRIVATE = n("private");

// Actions: enlarge(), play(), start(), retry(), take(), hear(), hide(), select(), focus().
export function createTile(id, actions) {
  const root = stamp("tile-template");
  const parts = partsOf(root);
  parts.video.dataset.camera = id;
  root.dataset.camera = id;
  // The attribute alone does not mute an element that came out of a template.
  parts.video.muted = true;

  on(parts.picture, "click", actions.enlarge);
  on(parts.enlarge, "click", actions.enlarge);
  on(parts.play, "click", actions.play);
  on(parts.start, "click", (event) => {
    event.stopPropagation();
    actions.start();
  });
  on(parts.retry, "click", (event) => {
    event.stopPropagation();
    actions.retry();
  });
  on(parts.take, "click", actions.take);
  on(parts.sound, "click", actions.hear);
  on(parts.hide, "click", actions.hide);
  on(parts.name, "click", actions.select);
  on(root, "focusin", actions.focus);

  return {
    root,
    parts,
    // `was`: only the earlier state of the camera is known, not the current one. `stale`: banken is away. `trying`: an
    // attempt was requested, and the server has not answered yet.
    draw({
      camera,
      player,
      view,
      playing,
      pictured,
      resting,
      fallsBack,
      loud = false,
      substream = null,
      was = false,
      stale = false,
      trying = false,
      hiding = false,
      now,
    }) {
      const state = stateWords(camera.privacy ? PRIVATE : camera.state, was);
      drawCaption(parts, camera, substream, state, was ? null : now);
      parts.badge.toggleAttribute("data-was", was);
      drawSound(parts, camera, substream, loud);
      drawOverlay(parts, view);
      set(root, "data-state", camera.state);
      set(root, "data-player", player.name);
      set(root, "data-picture", pictured ? "yes" : "no");
      root.toggleAttribute("data-resting", resting);
      root.toggleAttribute("data-fallback", fallsBack);
      drawSwitch(parts, camera, stale, hiding);
      parts.start.hidden = view?.tone !== "rest";
      parts.retry.hidden = !canRetry(camera) || camera.retried;
      set(parts.retry, "aria-label", t("Try {title} now", { title: camera.title }));
      set(parts.retry, "aria-disabled", stale || trying || null);
      set(parts.retry, "title", stale ? t(AWAY) : trying ? t("Requesting…") : t("Try the camera now (r)"));
      set(parts.start, "aria-label", parts.start.hidden ? null : t("Play {title}", { title: camera.title }));
      set(parts.take, "aria-label", t("Save a picture of {title}", { title: camera.title }));
      set(root, "aria-label", `${camera.title}: ${state}${view?.detail ? `, ${view.detail}` : ""}`);
      mark(parts["play-mark"], playing ? "pause" : "play");
      set(
        parts.play,
        "aria-label",
        playing ? t("Pause {title}", { title: camera.title }) : t("Play {title}", { title: camera.title }),
      );
      set(parts.play, "title", playing ? t("Pause (space)") : t("Play (space)"));
    },
    enlarged(is) {
      mark(parts["enlarge-mark"], is ? "shrink" : "enlarge");
      set(parts.enlarge, "aria-label", is ? t("Back to the wall") : t("Enlarge"));
      set(parts.enlarge, "title", is ? t("Back to the wall (Esc)") : t("Enlarge (Enter)"));
    },
    selected(is) {
      set(parts.name, "aria-pressed", is);
    },
    // The result of a request from this tile; empty when there is nothing to report.
    hint(text) {
      parts.hint.hidden = !text;
      say(parts.hint, text);
    },
    taking(is) {
      set(parts.take, "aria-busy", is);
    },
    // Disabled actions show the reason; they can still be focused, so that it can be read.
    forbid(reason) {
      for (const part of [parts.play, parts.take, parts.sound]) {
        set(part, "aria-disabled", true);
        set(part, "title", reason);
      }
      parts.start.hidden = parts.retry.hidden = parts.hide.hidden = true;
    },
    // One tile at a time is in the Tab order; arrow keys move between tiles.
    current(is) {
      root.tabIndex = is ? 0 : -1;
      for (const name of ["name", "start", "retry", "sound", "hide", "take", "play", "enlarge"])
        parts[name].tabIndex = is ? 0 : -1;
    },
  };
}

function drawSwitch(parts, camera, stale, hiding) {
  const { title } = camera;
  const says = camera.privacy ? t("Show {title} again", { title }) : t("Make {title} private", { title });
  parts.hide.hidden = !canHide(camera);
  set(parts.hide, "aria-pressed", Boolean(camera.privacy));
  set(parts.hide, "aria-label", says);
  set(parts.hide, "aria-disabled", stale || hiding || null);
  set(parts.hide, "title", stale ? t(AWAY) : says);
}

function drawSound(parts, camera, substream, loud) {
  const why = silence(camera, substream);
  const says = loud ? t("Audio off (m)") : t("Audio on (m)");
  mark(parts["sound-mark"], why ? "silent" : loud ? "loud" : "quiet");
  set(parts.sound, "aria-pressed", loud);
  set(parts.sound, "aria-label", t("Audio of {title}", { title: camera.title }));
  set(parts.sound, "title", why ? t("{says}; no audio now: {why}", { says, why }) : says);
  say(parts.audio, why ? t("no audio") : substream ? "" : soundName(camera.audio));
  set(parts.audio, "title", why ? t("No audio: {reason}", { reason: why }) : null);
}

// `now`: null where the current state is unknown. At a moment of which nothing is known, the figures are null.
function drawCaption(parts, camera, substream, state, now) {
  const begin = camera.privacy?.since ?? camera.since;
  const since = begin === null ? null : new Date(begin);
  const live = camera.state === "live" && now !== null;
  say(parts.name, camera.title);
  const { title } = camera;
  set(parts.name, "title", may("read") ? t("{title}: show only its events (e)", { title }) : title);
  set(parts.badge, "data-state", camera.state);
  set(parts.badge, "title", camera.reason?.text);
  mark(parts["badge-mark"], camera.privacy ? "private" : camera.state);
  say(parts.state, state);
  say(parts.since, now === null || since === null ? "" : ago(now - since.getTime()));
  set(parts.since, "datetime", begin);
  set(parts.since, "title", since && t("since {time}", { time: fullTime(since) }));
  say(parts.resolution, camera.width ? resolution(camera.width, camera.height) : NONE);
  say(parts.codec, substream ? t("by {substream}", { substream }) : codecName(camera.codec));
  const instead = t("This browser does not play {codec}: what is shown is {substream}", {
    codec: codecName(camera.codec),
    substream,
  });
  set(parts.codec, "title", substream ? instead : null);
  const rate = live && camera.fps !== null ? `${camera.fps.toFixed(1)} fps` : `${NONE} fps`;
  const share = camera.transcoder_cpu ?? null;
  say(parts.fps, share === null ? rate : `${rate} · CPU ${Math.round(100 * share)} %`);
  const why = camera.b_frames
    ? t("It sends B-frames, which are transcoded: without them, this costs no processor")
    : t("Its video is transcoded for viewers that cannot show it");
  set(parts.fps, "title", share === null ? null : why);
  set(parts.fps, "data-transcoded", share === null ? null : "");
  say(parts.bitrate, live && camera.bitrate !== null ? bitrate(camera.bitrate) : `${NONE} Mb/s`);
  say(parts.viewers, camera.viewers === null ? "" : plural(camera.viewers, "viewer"));
}

function drawOverlay(parts, view) {
  parts.overlay.hidden = !view;
  if (!view) return;
  set(parts.overlay, "data-tone", view.tone);
  mark(parts["overlay-mark"], view.mark);
  say(parts["overlay-title"], view.title);
  set(parts["overlay-title"], "lang", view.titleLang);
  say(parts["overlay-detail"], view.detail);
  set(parts["overlay-detail"], "lang", view.lang);
  say(parts["overlay-next"], view.next);
}
