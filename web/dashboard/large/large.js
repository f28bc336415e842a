// One camera, large, for one person: its picture under a lease of its own, what the connection brings, and what happened
// to it. The same view is the camera's page, at #camera=ID. Rules of this file:
// 1. Opened by an address it plays nothing; only a person's press does.
// 2. Closed, left, hidden or forgotten for five minutes, it holds neither connection nor lease, and no timer runs.
import { read, write } from "../address.js";
import { $, on, partsOf, say, set } from "../dom.js";
import { toggleFullscreen } from "../fullscreen.js";
import { t } from "../i18n.js";
import { createCamera, ownChoice } from "../panels/camera.js";
import { createPastCamera } from "../past/camera.js";
import { createLease } from "../player/lease.js";
import { keepStill } from "../player/still.js";
import { FACTS, factsOf, measureOf } from "./facts.js";
import { createHistory } from "./history.js";
import { createSeen } from "./seen.js";

const NONE = "–";
// Why a lease has ended for good; after anything else (a page that slept, a daemon that was replaced) another may be had.
const DECIDED = new Set(["idle", "max-duration", "replaced", "kicked"]);

// `wall`: {ids(), tileOf(id), setCurrent(id)}. `idle()`: seconds since somebody touched the page. `onSelect(id)`: the
// journal is to show this camera alone. `seq()`: the event that the past shows, or null.
export function createLarge({ base, clock, wall, idle, onSelect, seq }) {
  const dialog = $("large");
  const parts = partsOf(dialog);
  const beside = [createSeen({ base, clock }), createHistory({ base })];
  const lease = createLease({ url: new URL("api/leases", base).href, idle, onEnd: leaseEnded });
  let cameras = new Map();
  let entry = null;
  let before = null;
  let past = false;
  let measuring = false;

  function open(id, { plays = true } = {}) {
    const camera = cameras.get(id);
    if (!camera) return false;
    drop();
    const actions = { enlarge: close, select: () => (close(), onSelect(id)), focus() {} };
    entry = past
      ? createPastCamera({ camera, clock, actions })
      : createCamera({ camera, base, clock, actions, choice: ownChoice(plays), lease });
    const { tile } = entry;
    tile.current(true);
    tile.enlarged(true);
    // What the wall shows already stands there at once.
    const small = wall.tileOf(id);
    if (small && plays) keepStill(small.parts.video, tile.parts.still);
    parts["large-place"].append(tile.root);
    say(parts["large-name"], camera.title);
    if (!dialog.open) dialog.showModal();
    tile.root.focus({ preventScroll: true });
    wall.setCurrent(id);
    write({ camera: id });
    for (const part of beside) part.open(id, past ? seq() : null);
    entry.update(camera);
    entry.seen(!document.hidden);
    tick();
    return true;
  }

  // To the next or the one before, round and round; what plays goes on playing.
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

  function close() {
    dialog.close(); // what is to be done follows in its event, however it was closed
  }

  function closed() {
    if (dialog.open) return; // opened again meanwhile
    if (document.fullscreenElement) toggleFullscreen();
    drop();
    write({ camera: null });
  }

  function leaseEnded({ code, text }) {
    if (DECIDED.has(code)) return entry?.stop?.(text);
    if (entry?.player?.holdsMedia()) entry.player.lost(text);
    else entry?.player?.retry();
  }

  function tick() {
    if (!entry) return;
    entry.draw();
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
    if (camera !== entry?.id) open(camera, { plays: false });
  }

  on(dialog, "close", closed);
  on(parts["large-close"], "click", close);
  on(parts["large-previous"], "click", () => move(-1));
  on(parts["large-next"], "click", () => move(1));
  on(parts["large-fullscreen"], "click", toggleFullscreen);
  on(parts["large-reconnect"], "click", () => entry?.reconnect());
  on(window, "hashchange", route);
  on(document, "fullscreenchange", () => set(parts["large-fullscreen"], "aria-pressed", Boolean(document.fullscreenElement)));
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
      const first = cameras.size === 0;
      cameras = new Map(list.map((camera) => [camera.id, camera]));
      if (first && !entry) route();
      if (!entry) return;
      if (cameras.has(entry.id)) entry.update(cameras.get(entry.id));
      else close();
    },
    events(list) {
      for (const part of beside) part.events(list);
      for (const { type, body } of list) {
        if (type === "LeaseEnded") lease.heard(body.lease, body.reason);
        if (type === "PeerClosing" || type === "PeerClosed") entry?.peerEvent(type, body);
      }
    },
    peers: () => [entry?.player?.peer() ?? null],
    player: () => entry?.player ?? null,
    past(is) {
      past = is;
      if (entry) close();
    },
    back(restarted) {
      if (restarted && entry?.player?.holdsMedia()) entry.player.lost(t("the server was restarted"));
      else entry?.player?.back(restarted);
    },
    seen: (is) => entry?.seen(is),
    forgotten: () => entry?.playing() && entry.stop(t("nobody touched this page for {minutes} minutes", { minutes: 5 })),
    leave: () => entry?.leave(),
    resume: () => entry?.resume(),
  };
}
