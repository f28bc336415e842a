// One camera, large, for one viewer: its picture under a separate lease, the figures of the connection, and its events.
// The same view is the camera's page, at #camera=ID. Rules of this file:
// 1. Opened by an address, it plays only a camera that the wall plays by itself; to open a camera takes a user's press.
// 2. An address of a camera that does not exist is not kept.
// 3. Closed, left, hidden or untouched for five minutes, it holds neither a connection nor a lease, and no timer runs.
import { may } from "../../access.js";
import { read, write } from "../../address.js";
import { on, partsOf, say, set } from "../../dom.js";
import { about } from "../../events.js";
import { toggleFullscreen } from "../../fullscreen.js";
import { zoneOf } from "../../format.js";
import { n, t } from "../../i18n.js";
import { createCamera, ownChoice, wallChoice } from "../wall/camera.js";
import { canRetry } from "../wall/retry.js";
import { createPastCamera } from "../past/camera.js";
import { createLease } from "../../player/lease.js";
import { keepLastFrame } from "../../player/last-frame.js";
import { createAbout } from "./about.js";
import { createAvailability } from "./availability.js";
import { FACTS, factsOf, measureOf } from "./facts.js";
import { createHistory } from "./history.js";
import { createIdle } from "./idle.js";
import { definePanel } from "../../panel.js";
import { JA } from "./large.ja.js";

const NONE = "–";
// Reasons that end a lease for good.
// After any other (a page that slept, a daemon that was replaced) a new lease is possible.
const DECIDED = new Set(["idle", "max-duration", "replaced", "kicked", "privacy"]);

// Whether the wall plays the camera by itself, so that the daemon opens nothing for it.
const playsItself = ({ id, watch }) => watch === true && !wallChoice(id).paused;

// `wall`: {ids(), tileOf(id), setCurrent(id)}. `idle()`: seconds since the page was last touched. `onSelect(id)`: the
// journal shows this camera alone. `seq()`: the event of the displayed past, or null. `complain(text)`: why the camera
// in the address is not displayed. `onShare(id)`: a link to it is made.
// `more`: what others show beside it: {open(id, seq), events(list), close()}.
export function createLarge({
  dialog,
  base,
  clock,
  wall,
  idle,
  onSelect,
  seq,
  complain,
  onShare = (_id) => {},
  more = [],
}) {
  const parts = partsOf(dialog);
  const history = [...more, createAvailability({ base, clock }), createHistory({ base })];
  const beside = [createAbout({ base, clock }), ...history];
  const lease = createLease({ url: new URL("api/leases", base).href, idle, onEnd: leaseEnded });
  let cameras = new Map();
  let entry = null;
  let before = null;
  let past = false;
  let routed = false; // whether the camera in the address was looked for
  let measuring = false;

  function open(id, { plays = true } = {}) {
    const camera = cameras.get(id);
    if (!camera) return false;
    drop();
    const actions = { enlarge: close, select: () => choose(id), focus() {} };
    entry = past
      ? createPastCamera({ camera, clock, actions })
      : createCamera({ camera, base, clock, actions, choice: ownChoice(plays), lease });
    const { tile } = entry;
    tile.current(true);
    tile.enlarged(true);
    // Starts with the picture that the wall already displays.
    const small = wall.tileOf(id);
    if (small && plays) keepLastFrame(small.parts.video, tile.parts.still);
    parts["large-place"].append(tile.root);
    say(parts["large-name"], camera.title);
    set(parts["large-name"], "title", camera.title);
    say(parts["large-zone"], zoneOf(new Date())); // the header, which shows it, is out of sight
    if (!dialog.open) dialog.showModal();
    tile.root.focus({ preventScroll: true });
    wall.setCurrent(id);
    write({ camera: id });
    const shown = may("read") ? beside : beside.slice(0, may("inspect") ? 1 : 0);
    for (const part of shown) part.open(id, past ? seq() : null);
    entry.update(camera);
    entry.seen(!document.hidden);
    tick();
    return true;
  }

  // To the next or the previous camera, wrapping around. If one plays, the other plays too.
  function move(steps) {
    const ids = wall.ids();
    const at = ids.indexOf(entry?.id);
    if (at === -1 || ids.length < 2) return false;
    return open(ids[(at + steps + ids.length) % ids.length], { plays: entry.playing() });
  }

  function drop() {
    entry?.close();
    entry = before = null;
    for (const part of beside) part.close();
  }

  function choose(id) {
    close();
    onSelect(id);
  }

  function close() {
    dialog.close(); // the rest follows in its event, however the dialog was closed
  }

  function closed() {
    if (dialog.open) return; // opened again in the meantime
    if (document.fullscreenElement) toggleFullscreen();
    drop();
    write({ camera: null });
  }

  function leaseEnded({ code, text }) {
    if (DECIDED.has(code)) return entry?.stop?.(text, "en");
    if (entry?.player?.holdsMedia()) entry.player.lost(text);
    else entry?.player?.retry();
  }

  function tick() {
    if (!entry) return;
    entry.draw();
    const lost = may("operate") && canRetry(cameras.get(entry.id) ?? {}); // it may have been removed a moment ago
    say(parts["large-reconnect-text"], lost ? t("Try now") : t("Reconnect"));
    set(parts["large-reconnect"], "aria-disabled", entry.trying?.() || null);
    set(parts["large-reconnect"], "title", lost ? t("Try the camera now (r)") : t("Connect again, now (r)"));
    if (entry.player?.state().name === "live") measure(entry);
    else show({});
  }

  async function measure(mine) {
    if (measuring) return;
    measuring = true;
    const stats = await mine.player.measure().catch(() => null);
    measuring = false;
    if (!stats || entry !== mine) return;
    const now = measureOf(stats);
    show(factsOf(before, now));
    before = now;
  }

  function show(facts) {
    for (const name of FACTS) say(parts[`fact-${name}`], facts[name] ?? NONE);
  }

  function route() {
    const { camera } = read();
    if (camera === null) return entry && close();
    if (camera === entry?.id) return;
    if (cameras.has(camera)) return void open(camera, { plays: playsItself(cameras.get(camera)) });
    if (!routed) return;
    // A camera that does not exist now may have existed at the moment that is still being loaded.
    if (!past && read().at !== null) return void (routed = false);
    write({ camera: entry?.id ?? null });
    complain(
      past ? t("There was no camera “{id}” then.", { id: camera }) : t("There is no camera “{id}”.", { id: camera }),
    );
  }

  on(dialog, "close", closed);
  on(parts["large-close"], "click", close);
  on(parts["large-previous"], "click", () => move(-1));
  on(parts["large-next"], "click", () => move(1));
  on(parts["large-fullscreen"], "click", toggleFullscreen);
  on(parts["large-share"], "click", () => entry && onShare(entry.id));
  on(parts["large-reconnect"], "click", () => entry?.reconnect());
  on(window, "hashchange", route);
  on(document, "fullscreenchange", () =>
    set(parts["large-fullscreen"], "aria-pressed", Boolean(document.fullscreenElement)),
  );
  clock.onTick(tick);

  return {
    open,
    close,
    move,
    isOpen: () => entry !== null,
    toggle: () => entry?.toggle(),
    take: () => entry?.take(),
    hear: () => entry?.hear(),
    reconnect: () => entry?.reconnect(),
    state({ cameras: list }) {
      cameras = new Map(list.map((camera) => [camera.id, camera]));
      const first = !routed;
      routed = true;
      if (first && !entry) route();
      if (!entry) return;
      if (cameras.has(entry.id)) entry.update(cameras.get(entry.id));
      else close();
    },
    events(list) {
      for (const part of beside) part.events(list);
      for (const { type, body } of list) {
        const { entity, phase, last = false } = about(type);
        if (entity === "lease" && last) lease.heard(body.lease, body.reason);
        if (entity === "peer") entry?.peerEvent(phase, body);
      }
    },
    peers: () => [entry?.player?.peer() ?? null],
    player: () => entry?.player ?? null,
    inPast(is) {
      past = is;
      if (entry) close();
    },
    resume(restarted) {
      if (restarted && entry?.player?.holdsMedia()) entry.player.lost(t("the server was restarted"));
      else entry?.player?.back(restarted);
    },
    seen: (is) => entry?.seen(is),
    forgotten: () => entry?.playing() && entry.stop(t("no input on this page for {minutes} minutes", { minutes: 5 })),
    stop: () => entry?.leave(),
    start: () => entry?.resume(),
  };
}

export const panel = definePanel({
  id: "large",
  title: n("About this camera"),
  past: true,
  view: false,
  words: JA,
  shortcuts: [
    { keys: ["j", "ArrowRight"], inside: true, run: (large) => large.move(1) },
    { keys: ["k", "ArrowLeft"], inside: true, run: (large) => large.move(-1) },
    { keys: ["Enter"], inside: true, run: (large) => large.close() },
    { keys: [" "], inside: true, needs: "watch", run: (large) => large.toggle() },
    { keys: ["m"], inside: true, needs: "watch", run: (large) => large.hear() },
    { keys: ["s"], inside: true, needs: "watch", run: (large) => large.take() },
    { keys: ["r"], inside: true, needs: "watch", run: (large) => large.reconnect() },
    { keys: ["f"], inside: true, run: toggleFullscreen },
    { keys: ["T"], inside: true, run: (_, { panels }) => panels.header.toggleTheme() },
  ],
  mount(root, { base, clock, panels }) {
    const idle = createIdle({ target: document, onIdle: () => large.forgotten() });
    const large = createLarge({
      dialog: root,
      base,
      clock,
      wall: panels.wall,
      idle: idle.seconds,
      onSelect: (id) => may("read") && panels.journal.select(id),
      onShare: (id) => panels.shares.open(id),
      seq: () => panels.past.view().moment?.seq ?? null,
      complain: (text) => panels.past.complain(text),
      more: panels.detections ? [panels.detections.ofCamera] : [],
    });
    return {
      ...large,
      start() {
        large.start();
        idle.start();
      },
      stop() {
        large.stop();
        idle.stop();
      },
    };
  },
});
