// The one suggestion that the back end makes: its camera is shown in a pane of its own for as long as it says.
// Rules of this file:
// 1. Nothing but a suggestion in force begins playback here, and its end ends it, also when the server falls silent.
// 2. One that somebody has put away does not come back; the next one does.
import { $, on, partsOf, say, set } from "../dom.js";
import { inSeconds } from "../format.js";
import { t } from "../i18n.js";
import { createCamera, ownChoice } from "./camera.js";

// What is to be shown of a suggestion: itself, or null. Pure; `now` in milliseconds.
export const inForce = (suggestion, { away, past, cameras, now }) =>
  suggestion && suggestion.lease !== away && !past && cameras.has(suggestion.camera) && Date.parse(suggestion.until) > now ? suggestion : null;

// `stopsHidden()`: whether it stops in a tab that nobody sees.
export function createSuggest({ base, clock, onOpen, onSelect, stopsHidden }) {
  const pane = $("suggest");
  const parts = partsOf(pane);
  const bar = parts["suggest-bar"];
  let cameras = new Map();
  let told = null;
  let shown = null;
  let entry = null;
  let away = null;
  let past = false;
  let left = false;

  function settle() {
    const wanted = left ? null : inForce(told, { away, past, cameras, now: clock.live() });
    if (wanted?.lease !== shown?.lease) exchange(wanted);
    shown = wanted;
    if (!shown) return;
    entry.update(cameras.get(shown.camera));
    tick();
  }

  function exchange(wanted) {
    entry?.close();
    entry = null;
    pane.hidden = wanted === null;
    if (!wanted) return;
    const camera = cameras.get(wanted.camera);
    const actions = { enlarge: () => onOpen(wanted.camera), select: () => onSelect(wanted.camera), focus() {} };
    entry = createCamera({ camera, base, clock, actions, choice: ownChoice(true) });
    entry.tile.current(true);
    parts["suggest-place"].append(entry.tile.root);
    seen();
    const percent = Math.round(wanted.score * 100);
    say(parts["suggest-what"], t("{label} at {camera}, {percent} %", { label: wanted.label, camera: camera.title, percent }));
    set(bar, "max", Math.max(1, Date.parse(wanted.until) - Date.parse(wanted.since)));
  }

  function tick() {
    if (!shown) return;
    const remaining = Date.parse(shown.until) - clock.live();
    if (remaining <= 0) return settle();
    entry.draw();
    set(bar, "value", remaining);
    say(parts["suggest-left"], inSeconds(remaining));
  }

  const seen = () => entry?.seen(!document.hidden || !stopsHidden());

  on(parts["suggest-away"], "click", () => {
    away = shown?.lease ?? null;
    settle();
  });
  clock.onTick(tick);

  return {
    state({ suggestion = null, cameras: list }) {
      cameras = new Map(list.map((camera) => [camera.id, camera]));
      told = suggestion;
      settle();
    },
    events: (list) => {
      for (const { type, body } of list) if (type === "PeerClosing" || type === "PeerClosed") entry?.peerEvent(type, body);
    },
    past(is) {
      past = is;
      settle();
    },
    seen,
    back(restarted) {
      if (restarted && entry?.player.holdsMedia()) entry.player.lost(t("the server was restarted"));
      else entry?.player.back(restarted);
    },
    peers: () => [entry?.player.peer() ?? null],
    player: () => entry?.player ?? null,
    leave() {
      left = true;
      settle();
    },
    resume() {
      left = false;
      settle();
    },
  };
}
