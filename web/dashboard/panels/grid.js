// The wall: one entry per camera, and which one is current. In the past other tiles stand on it; those of the present
// are put aside as they are.
import { $, place } from "../dom.js";
import { t } from "../i18n.js";
import { moved, sorted } from "../layout.js";
import { createPastCamera } from "../past/camera.js";
import { watchVisibility } from "../visibility.js";
import { attachWall } from "../wall.js";
import { createCamera, wallChoice } from "./camera.js";

export function createGrid({ base, clock, layout, onSelect, onOpen }) {
  const grid = $("grid");
  let cameras = new Map();
  let aside = null;
  const players = new Map();
  const wall = attachWall(grid.parentElement, grid);
  const visibility = watchVisibility((node, is) => cameras.get(node.dataset.camera)?.seen(is));
  let current = null;
  let chosen = null;

  clock.onTick(() => cameras.forEach((camera) => camera.draw()));

  function state(message) {
    for (const camera of message.cameras) (cameras.get(camera.id) ?? add(camera)).update(camera);
    const named = new Set(message.cameras.map(({ id }) => id));
    for (const id of cameras.keys()) if (!named.has(id)) remove(id);
    $("empty").hidden = cameras.size > 0;
    arrange();
    wall.resize(cameras.size);
    if (!cameras.has(current)) setCurrent(cameras.keys().next().value ?? null);
  }

  function add(camera) {
    const { id } = camera;
    const actions = { enlarge: () => onOpen(id), select: () => onSelect(id), focus: () => setCurrent(id) };
    const entry = aside ? createPastCamera({ camera, clock, actions }) : createCamera({ camera, base, clock, actions, choice: wallChoice(id) });
    cameras.set(id, entry);
    if (entry.player) players.set(id, entry.player);
    entry.tile.current(id === current);
    entry.tile.selected(id === chosen);
    grid.append(entry.tile.root);
    visibility.add(entry.tile.root);
    return entry;
  }

  // As somebody has arranged them, in the page and in the map alike.
  function arrange() {
    const ids = sorted([...cameras.keys()].sort(), layout.now().order);
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
    [aside, cameras] = [cameras, new Map()];
  }

  function leavePast() {
    if (!aside) return;
    for (const id of [...cameras.keys()]) remove(id);
    [cameras, aside] = [aside, null];
    for (const [id, camera] of cameras) {
      camera.tile.current(id === current);
      camera.tile.selected(id === chosen);
      grid.append(camera.tile.root);
      visibility.add(camera.tile.root);
      camera.resume();
    }
    arrange();
  }

  function events(list) {
    for (const { type, body } of list) {
      if (type === "PeerClosing" || type === "PeerClosed") (aside ?? cameras).forEach((camera) => camera.peerEvent(type, body));
    }
    if (list.some(({ type }) => type === "PatrolEnded")) (aside ?? cameras).forEach((camera) => camera.patrolled());
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
    events,
    players,
    // The names by which the server knows this page's own connections.
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
    // As they stand on the wall.
    ids: () => [...cameras.keys()],
    tileOf: (id) => cameras.get(id)?.tile ?? null,
    setCurrent,
    enlarge: () => current !== null && onOpen(current),
    play: () => cameras.get(current)?.toggle(),
    take: () => cameras.get(current)?.take(),
    hear: () => cameras.get(current)?.hear(),
    selected(id) {
      chosen = id;
      cameras.forEach((camera) => camera.tile.selected(camera.id === id));
    },
    enterPast,
    leavePast,
    // The server answers again, after a while or as another one; or the page has been asleep.
    back(restarted) {
      for (const player of players.values()) {
        if (restarted && player.holdsMedia()) player.lost(t("the server was restarted"));
        else player.back(restarted);
      }
    },
    leave: () => cameras.forEach((camera) => camera.leave()),
    resume: () => cameras.forEach((camera) => camera.resume()),
  };
}
