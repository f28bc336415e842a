// The wall: one entry per camera, which one is current, which one is large.
import { $ } from "../dom.js";
import { watchVisibility } from "../visibility.js";
import { attachWall } from "../wall.js";
import { createCamera } from "./camera.js";

export function createGrid({ base, clock, onSelect }) {
  const grid = $("grid");
  const cameras = new Map();
  const players = new Map();
  const wall = attachWall(grid.parentElement, grid);
  const visibility = watchVisibility((node, is) => cameras.get(node.dataset.camera)?.seen(is));
  let current = null;
  let large = null;

  clock.onTick(() => cameras.forEach((camera) => camera.draw()));

  function state(message) {
    for (const camera of message.cameras) (cameras.get(camera.id) ?? add(camera)).update(camera);
    const named = new Set(message.cameras.map(({ id }) => id));
    for (const id of cameras.keys()) if (!named.has(id)) remove(id);
    $("empty").hidden = cameras.size > 0;
    wall.resize(cameras.size);
    if (!cameras.has(current)) setCurrent(cameras.keys().next().value ?? null);
  }

  function add(camera) {
    const { id } = camera;
    const actions = { enlarge: () => enlarge(id), select: () => onSelect(id), focus: () => setCurrent(id) };
    const entry = createCamera({ camera, base, clock, actions });
    cameras.set(id, entry);
    players.set(id, entry.player);
    entry.tile.current(false);
    entry.tile.enlarged(false);
    entry.tile.selected(false);
    grid.append(entry.tile.root);
    visibility.add(entry.tile.root);
    return entry;
  }

  function remove(id) {
    const entry = cameras.get(id);
    if (large === id) enlarge(id);
    visibility.remove(entry.tile.root);
    entry.close();
    cameras.delete(id);
    players.delete(id);
  }

  function events(list) {
    for (const { type, body } of list) {
      if (type !== "PeerClosing" || body.reason.code !== "kicked") continue;
      const entry = cameras.get(body.camera);
      if (entry?.player.peer() === body.peer) entry.kicked(body.reason.text);
    }
    if (list.some(({ type }) => type === "PatrolEnded")) cameras.forEach((camera) => camera.patrolled());
  }

  function setCurrent(id) {
    if (id === current) return;
    cameras.get(current)?.tile.current(false);
    current = id;
    cameras.get(current)?.tile.current(true);
  }

  // The tiles beneath an enlarged one keep playing, but are out of reach of Tab and screen readers.
  function enlarge(id) {
    large = large === id ? null : id;
    for (const [each, { tile }] of cameras) {
      tile.enlarged(each === large);
      tile.root.inert = large !== null && each !== large;
    }
    grid.classList.toggle("has-enlarged", large !== null);
    cameras.get(id)?.tile.root.focus({ preventScroll: large !== null });
  }

  function move(steps) {
    const ids = [...cameras.keys()];
    if (!ids.length) return false;
    const inside = grid.contains(document.activeElement);
    const at = ids.indexOf(current);
    const to = inside ? Math.min(ids.length - 1, Math.max(0, at + steps)) : at;
    setCurrent(ids[to]);
    if (large !== null && large !== ids[to]) enlarge(ids[to]);
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
    enlarge: () => current !== null && enlarge(current),
    shrink: () => large !== null && (enlarge(large), true),
    play: () => cameras.get(current)?.toggle(),
    take: () => cameras.get(current)?.take(),
    selected: (id) => cameras.forEach((camera) => camera.tile.selected(camera.id === id)),
    serverReplaced: () => players.forEach((player) => player.serverReplaced()),
    leave: () => cameras.forEach((camera) => camera.leave()),
    resume: () => cameras.forEach((camera) => camera.resume()),
  };
}
