// The suggestions of the back end: each camera is displayed in a separate pane for as long as its suggestion lasts, the
// newest on top. Rules of this file:
// 1. Only a suggestion in force starts playback here, and its end stops it, also when the server falls silent.
// 2. A suggestion that the user has dismissed does not come back; the next one does.
// 3. A suggestion is displayed by what it says itself. Its camera may be missing in the list of cameras.
import { may } from "../../access.js";
import { on, partsOf, place, say, set, stamp } from "../../dom.js";
import { about } from "../../events.js";
import { fullTime, inSeconds } from "../../format.js";
import { n, t } from "../../i18n.js";
import { stopsHidden } from "../settings/settings.js";
import { seenPicture } from "../detections/seen-picture.js";
import { createCamera, ownChoice } from "../wall/camera.js";
import { definePanel } from "../../panel.js";
import { JA } from "./suggest.ja.js";

// The suggestions to be displayed, newest first. Pure; `away`: leases that were dismissed; `now` in milliseconds.
export const inForce = (suggestions, { away, past, now }) =>
  past ? [] : suggestions.filter(({ lease, until }) => !away.has(lease) && Date.parse(until) > now);

// A camera as far as its suggestion describes it, for a list of cameras without it. It is about to be opened.
export const unlisted = ({ camera, since }) => ({
  id: camera,
  title: camera,
  state: "connecting",
  mode: "on_demand",
  watch: false,
  since,
  reason: null,
  retry_at: null,
  retried: false,
  viewers: null,
  codec: null,
  width: null,
  height: null,
  audio: "",
  mute: "",
  b_frames: false,
});

// The text of a suggestion; `title`: of its camera. Pure.
export const whatOf = ({ label, score }, title) =>
  t("{label} at {camera}, {percent} %", { label, camera: title, percent: Math.round(score * 100) });

// `stopsHidden()`: whether it stops in a hidden tab.
export function createSuggest({ pane, base, clock, onOpen, onSelect, stopsHidden }) {
  const away = new Set();
  const panes = new Map(); // by lease
  let cameras = new Map();
  let all = [];
  let past = false;
  let left = false;

  function settle() {
    const wanted = left || !may("watch") ? [] : inForce(all, { away, past, now: clock.live() });
    const leases = new Set(wanted.map(({ lease }) => lease));
    for (const [lease, one] of panes) {
      if (leases.has(lease)) continue;
      if (one.root.contains(document.activeElement)) next(one.root)?.focus();
      one.close();
      panes.delete(lease);
    }
    wanted.forEach((suggestion, index) => {
      const camera = cameras.get(suggestion.camera) ?? unlisted(suggestion);
      const one = panes.get(suggestion.lease) ?? create(suggestion, camera);
      if (pane.children[index] !== one.root) place(pane, one.root, pane.children[index] ?? null);
      one.draw(suggestion, camera);
    });
    pane.hidden = wanted.length === 0;
    tick();
  }

  function create({ lease, camera }, known) {
    const actions = { enlarge: () => onOpen(camera), select: () => onSelect(camera), focus() {} };
    const dismiss = () => {
      away.add(lease);
      settle();
    };
    const one = createPane({ camera: known, base, clock, actions, dismiss });
    panes.set(lease, one);
    seen();
    return one;
  }

  // Where the focus goes when a pane with the focus ends.
  const next = (root) => partsOf(root.nextElementSibling ?? root.previousElementSibling ?? root)["suggest-away"];

  const newest = () => panes.get(all.find(({ lease }) => panes.has(lease))?.lease) ?? null;

  const seen = () => panes.forEach(({ entry }) => entry.seen(!document.hidden || !stopsHidden()));

  function tick() {
    const now = clock.live();
    for (const one of panes.values()) if (one.tick(now) <= 0) return settle();
  }

  clock.onTick(tick);

  return {
    // A server of 0.1.0 sends one suggestion.
    state({ suggestion = null, suggestions = suggestion ? [suggestion] : [], cameras: list }) {
      cameras = new Map(list.map((camera) => [camera.id, camera]));
      all = suggestions;
      for (const lease of away) if (!all.some((each) => each.lease === lease)) away.delete(lease);
      settle();
    },
    events: (list) => {
      for (const { type, body } of list) {
        const { entity, phase } = about(type);
        if (entity === "peer") for (const { entry } of panes.values()) entry.peerEvent(phase, body);
      }
    },
    inPast(is) {
      past = is;
      settle();
    },
    seen,
    resume(restarted) {
      for (const { entry } of panes.values()) {
        if (restarted && entry.player.holdsMedia()) entry.player.lost(t("the server was restarted"));
        else entry.player.back(restarted);
      }
    },
    peers: () => [...panes.values()].map(({ entry }) => entry.player.peer()),
    player: () => newest()?.entry.player ?? null,
    stop() {
      left = true;
      settle();
    },
    start() {
      left = false;
      settle();
    },
  };
}

// The pane of one suggestion. → {root, entry, draw(suggestion, camera), tick(now) → the rest in milliseconds, close()}.
function createPane({ camera: first, base, clock, actions, dismiss }) {
  const root = stamp("suggestion-template");
  const parts = partsOf(root);
  const bar = parts["suggest-bar"];
  const entry = createCamera({ camera: first, base, clock, actions, choice: ownChoice(true) });
  let until = 0;
  let drawn = [null, ""]; // the detection, and the title of its camera

  entry.tile.current(true);
  parts["suggest-place"].append(entry.tile.root);
  on(parts["suggest-away"], "click", dismiss);

  function describe(suggestion, title) {
    const { detection, time, box } = suggestion;
    const image = may("read") ? suggestion.image : null;
    drawn = [detection, title];
    say(parts["suggest-what"], whatOf(suggestion, title));
    const at = time ? ` · ${fullTime(new Date(time))}` : "";
    set(parts["suggest-what"], "title", `${parts["suggest-what"].textContent}${at}`);
    set(parts["suggest-away"], "aria-label", t("Dismiss the suggestion of {camera}", { camera: title }));
    parts["suggest-seen"].replaceChildren(...(image ? seenPicture(new URL(`api/${image}`, base).href, box) : []));
    parts["suggest-seen"].hidden = !image;
  }

  return {
    root,
    entry,
    draw(suggestion, camera) {
      if (suggestion.detection !== drawn[0] || camera.title !== drawn[1]) describe(suggestion, camera.title);
      until = Date.parse(suggestion.until);
      set(bar, "max", Math.max(1, until - Date.parse(suggestion.time ?? suggestion.since)));
      entry.update(camera);
    },
    tick(now) {
      const remaining = until - now;
      if (remaining <= 0) return remaining;
      entry.draw();
      set(bar, "value", remaining);
      say(parts["suggest-left"], inSeconds(remaining));
      return remaining;
    },
    close() {
      entry.close();
      root.remove();
    },
  };
}

export const panel = definePanel({
  id: "suggest",
  title: n("Suggestions"),
  past: false,
  view: false,
  words: JA,
  shortcuts: [],
  mount: (root, { base, clock, panels }) =>
    createSuggest({
      pane: root,
      base,
      clock,
      onOpen: (id) => panels.large.open(id),
      onSelect: (id) => panels.journal.select(id),
      stopsHidden,
    }),
});
