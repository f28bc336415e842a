// One camera on the wall: draws what it is given, and reports what is pressed. It decides nothing.
import { mark, on, partsOf, say, set, stamp } from "../dom.js";
import { ago, bitrate, codecName, fullTime, plural, resolution } from "../format.js";
import { silence, soundName } from "./sound.js";
import { t } from "../i18n.js";

const NONE = "–";

// Actions: enlarge(), play(), start(), take(), hear(), select(), focus().
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
  on(parts.take, "click", actions.take);
  on(parts.sound, "click", actions.hear);
  on(parts.name, "click", actions.select);
  on(root, "focusin", actions.focus);

  return {
    root,
    parts,
    draw({ camera, player, view, playing, pictured, resting, fallsBack, loud = false, substream = null, now }) {
      drawCaption(parts, camera, substream, now);
      drawSound(parts, camera, substream, loud);
      drawOverlay(parts, view);
      set(root, "data-state", camera.state);
      set(root, "data-player", player.name);
      set(root, "data-picture", pictured ? "yes" : "no");
      root.toggleAttribute("data-resting", resting);
      root.toggleAttribute("data-fallback", fallsBack);
      parts.start.hidden = view?.tone !== "rest";
      set(parts.start, "aria-label", parts.start.hidden ? null : t("Play {title}", { title: camera.title }));
      set(parts.take, "aria-label", t("Save a picture of {title}", { title: camera.title }));
      set(root, "aria-label", `${camera.title}: ${t(camera.state)}${view?.detail ? `, ${view.detail}` : ""}`);
      mark(parts["play-mark"], playing ? "pause" : "play");
      set(parts.play, "aria-label", playing ? t("Pause {title}", { title: camera.title }) : t("Play {title}", { title: camera.title }));
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
    // What came of something that was asked of this tile; empty when there is nothing to say.
    hint(text) {
      parts.hint.hidden = !text;
      say(parts.hint, text);
    },
    taking(is) {
      set(parts.take, "aria-busy", is);
    },
    // What cannot be done here says why; it can be reached all the same, so that it can say it.
    forbid(reason) {
      for (const part of [parts.play, parts.take, parts.sound]) {
        set(part, "aria-disabled", true);
        set(part, "title", reason);
      }
      parts.start.hidden = true;
    },
    // One tile at a time takes part in the Tab order; arrow keys move between them.
    current(is) {
      root.tabIndex = is ? 0 : -1;
      for (const name of ["name", "start", "sound", "take", "play", "enlarge"]) parts[name].tabIndex = is ? 0 : -1;
    },
  };
}

function drawSound(parts, camera, substream, loud) {
  const why = silence(camera, substream);
  const says = loud ? t("Sound off (m)") : t("Sound on (m)");
  mark(parts["sound-mark"], why ? "silent" : loud ? "loud" : "quiet");
  set(parts.sound, "aria-pressed", loud);
  set(parts.sound, "aria-label", t("Sound of {title}", { title: camera.title }));
  set(parts.sound, "title", why ? t("{says}; there is none now: {why}", { says, why }) : says);
  say(parts.audio, why ? t("no sound") : substream ? "" : soundName(camera.audio));
  set(parts.audio, "title", why ? t("No sound: {reason}", { reason: why }) : null);
}

function drawCaption(parts, camera, substream, now) {
  const since = new Date(camera.since);
  const live = camera.state === "live";
  say(parts.name, camera.title);
  set(parts.name, "title", t("Only the events of {title} (e)", { title: camera.title }));
  set(parts.badge, "data-state", camera.state);
  set(parts.badge, "title", camera.reason?.text);
  mark(parts["badge-mark"], camera.state);
  say(parts.state, t(camera.state));
  say(parts.since, ago(now - since));
  set(parts.since, "datetime", camera.since);
  set(parts.since, "title", t("since {time}", { time: fullTime(since) }));
  say(parts.resolution, camera.width ? resolution(camera.width, camera.height) : NONE);
  say(parts.codec, substream ? t("by {substream}", { substream }) : codecName(camera.codec));
  const instead = t("This browser does not play {codec}: what is shown is {substream}", { codec: codecName(camera.codec), substream });
  set(parts.codec, "title", substream ? instead : null);
  say(parts.fps, live && camera.fps !== null ? `${camera.fps.toFixed(1)} fps` : `${NONE} fps`);
  say(parts.bitrate, live && camera.bitrate !== null ? bitrate(camera.bitrate) : `${NONE} Mb/s`);
  say(parts.viewers, plural(camera.viewers, "viewer"));
}

function drawOverlay(parts, view) {
  parts.overlay.hidden = !view;
  if (!view) return;
  set(parts.overlay, "data-tone", view.tone);
  mark(parts["overlay-mark"], view.mark);
  say(parts["overlay-title"], view.title);
  say(parts["overlay-detail"], view.detail);
  say(parts["overlay-next"], view.next);
}
