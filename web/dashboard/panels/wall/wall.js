// The wall: one entry per camera, and the current one. In the past it displays other tiles; those of the present are
// set aside unchanged.
import { may } from "../../access.js";
import { toggleFullscreen } from "../../fullscreen.js";
import { $, place } from "../../dom.js";
import { about } from "../../events.js";
import { n, t } from "../../i18n.js";
import { moved, sorted } from "../../layout.js";
import { createPastCamera } from "../past/camera.js";
import { watchVisibility } from "./visibility.js";
import { attachWall } from "./pack.js";
import { createCamera, wallChoice } from "./camera.js";
import { definePanel } from "../../panel.js";
import { JA } from "./wall.ja.js";

export function createWall({ base, clock, layout, onSelect, onOpen }) {
  const grid = $("grid");
  let cameras = new Map();
  let given = []; // ids in the order in which the server names them
  let aside = null; // while the past is displayed: cameras and ids of the present
  const players = new Map();
  const wall = attachWall(grid.parentElement, grid);
  const visibility = watchVisibility((node, is) => cameras.get(node.dataset.camera)?.seen(is));
  let current = null;
  let chosen = null;

  clock.onTick(() => cameras.forEach((camera) => camera.draw()));

  function state(message) {
    for (const camera of message.cameras) (cameras.get(camera.id) ?? add(camera)).update(camera);
    given = message.cameras.map(({ id }) => id);
    const named = new Set(given);
    for (const id of cameras.keys()) if (!named.has(id)) remove(id);
    $("empty").hidden = cameras.size > 0;
    arrange();
    wall.resize(cameras.size);
    if (!cameras.has(current)) setCurrent(cameras.keys().next().value ?? null);
  }

  function add(camera) {
    const { id } = camera;
    const actions = { enlarge: () => onOpen(id), select: () => onSelect(id), focus: () => setCurrent(id) };
    const entry = aside
      ? createPastCamera({ camera, clock, actions })
      : createCamera({ camera, base, clock, actions, choice: wallChoice(id) });
    cameras.set(id, entry);
    if (entry.player) players.set(id, entry.player);
    entry.tile.current(id === current);
    entry.tile.selected(id === chosen);
    grid.append(entry.tile.root);
    visibility.add(entry.tile.root);
    return entry;
  }

  // Applies the user's arrangement to the page and to the map alike.
  function arrange() {
    const ids = sorted(given, layout.now().order);
    cameras = new Map(ids.map((id) => [id, cameras.get(id)]));
    ids.forEach((id, index) => {
      const { root } = cameras.get(id).tile;
      if (grid.children[index] !== root) place(grid, root, grid.children[index]);
    });
  }

  function send(id, by) {
    layout.change({ order: moved([...cameras.keys()], id, by) });
    cameras.get(id)?.tile.root.scrollIntoView({ block: "nearest" });
  }

  function remove(id) {
    const entry = cameras.get(id);
    visibility.remove(entry.tile.root);
    entry.close();
    cameras.delete(id);
    if (entry.player) players.delete(id);
  }

  function enterPast() {
    if (aside) return;
    for (const camera of cameras.values()) {
      camera.leave();
      visibility.remove(camera.tile.root);
      camera.tile.root.remove();
    }
    aside = { cameras, given };
    [cameras, given] = [new Map(), []];
  }

  function leavePast() {
    if (!aside) return;
    for (const id of [...cameras.keys()]) remove(id);
    ({ cameras, given } = aside);
    aside = null;
    for (const [id, camera] of cameras) {
      camera.tile.current(id === current);
      camera.tile.selected(id === chosen);
      grid.append(camera.tile.root);
      visibility.add(camera.tile.root);
      camera.resume();
    }
    arrange();
  }

  function news(list) {
    const own = aside?.cameras ?? cameras;
    for (const { type, body } of list) {
      const { entity, phase } = about(type);
      if (entity === "peer") own.forEach((camera) => camera.peerEvent(phase, body));
    }
    if (list.some(({ type }) => about(type).entity === "patrol")) own.forEach((camera) => camera.patrolled());
  }

  function setCurrent(id) {
    if (id === current) return;
    cameras.get(current)?.tile.current(false);
    current = id;
    cameras.get(current)?.tile.current(true);
  }

  function move(steps) {
    const ids = [...cameras.keys()];
    if (!ids.length) return false;
    const inside = grid.contains(document.activeElement);
    const at = ids.indexOf(current);
    const to = inside ? Math.min(ids.length - 1, Math.max(0, at + steps)) : at;
    setCurrent(ids[to]);
    cameras.get(ids[to]).tile.root.focus();
    cameras.get(ids[to]).tile.root.scrollIntoView({ block: "nearest" });
  }

  return {
    state,
    news,
    players,
    // The names by which the server knows this page's connections.
    peers: () => new Set([...players.values()].map((player) => player.peer())),
    move,
    columns: wall.columns,
    current: () => current,
    arrange,
    send,
    sendTo(id, other) {
      const ids = [...cameras.keys()];
      send(id, ids.indexOf(other) - ids.indexOf(id));
    },
    sendCurrent: (by) => current !== null && send(current, by),
    // In the order on the wall.
    ids: () => [...cameras.keys()],
    tileOf: (id) => cameras.get(id)?.tile ?? null,
    setCurrent,
    select: () => current !== null && onSelect(current),
    enlarge: () => current !== null && onOpen(current),
    play: () => cameras.get(current)?.toggle(),
    take: () => cameras.get(current)?.take(),
    hear: () => cameras.get(current)?.hear(),
    again: () => cameras.get(current)?.again(),
    selected(id) {
      chosen = id;
      cameras.forEach((camera) => camera.tile.selected(camera.id === id));
    },
    inPast: (is) => (is ? enterPast() : leavePast()),
    // The server answers again, after a pause or a restart; or the page was asleep.
    resume(restarted) {
      for (const player of players.values()) {
        if (restarted && player.holdsMedia()) player.lost(t("the server was restarted"));
        else player.back(restarted);
      }
    },
    stop: () => cameras.forEach((camera) => camera.leave()),
    start: () => cameras.forEach((camera) => camera.resume()),
  };
}

export const panel = definePanel({
  id: "wall",
  title: n("Cameras"),
  past: true,
  view: false,
  words: JA,
  shortcuts: [
    { keys: ["j", "ArrowRight"], says: n("next camera"), run: (wall) => wall.move(1) },
    { keys: ["k", "ArrowLeft"], says: n("previous camera"), run: (wall) => wall.move(-1) },
    { keys: ["ArrowDown"], says: n("camera below"), run: (wall) => wall.move(wall.columns()) },
    { keys: ["ArrowUp"], says: n("camera above"), run: (wall) => wall.move(-wall.columns()) },
    { keys: ["Enter"], says: n("enlarge, or back to the wall"), run: (wall) => wall.enlarge() },
    { keys: [" "], needs: "watch", says: n("play or pause; on the time bar, the past"), run: (wall) => wall.play() },
    { keys: ["m"], needs: "watch", says: n("audio on or off"), run: (wall) => wall.hear() },
    { keys: ["s"], needs: "watch", says: n("save a picture"), run: (wall) => wall.take() },
    { keys: ["e"], needs: "read", says: n("only this camera’s events"), run: (wall) => wall.select() },
    { keys: ["f"], says: n("full screen"), run: toggleFullscreen },
    {
      keys: ["r"],
      needs: "operate",
      says: n("try a lost camera now; in the large view: reconnect"),
      run: (wall) => wall.again() ?? false,
    },
  ],
  mount: (_root, { base, clock, layout, panels }) =>
    createWall({
      base,
      clock,
      layout,
      onSelect: (id) => may("read") && panels.journal.select(id),
      onOpen: (id) => panels.large.open(id),
    }),
});
