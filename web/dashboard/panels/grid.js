// The wall: one entry per camera, which one is current, which one is large. In the past other tiles stand on it; those
// of the present are put aside as they are.
import { $ } from "../dom.js";
import { createPastCamera } from "../past/camera.js";
import { watchVisibility } from "../visibility.js";
import { attachWall } from "../wall.js";
import { createCamera } from "./camera.js";

export function createGrid({ base, clock, onSelect }) {
  const grid = $("grid");
  let cameras = new Map();
  let aside = null;
  const players = new Map();
  const wall = attachWall(grid.parentElement, grid);
  const visibility = watchVisibility((node, is) => cameras.get(node.dataset.camera)?.seen(is));
  let current = null;
  let large = null;
  let chosen = null;

  clock.onTick(() => cameras.forEach((camera) => camera.draw()));

  function state(message) {
    for (const camera of message.cameras) (cameras.get(camera.id) ?? add(camera)).update(camera);
    const named = new Set(message.cameras.map(({ id }) => id));
    for (const id of cameras.keys()) if (!named.has(id)) remove(id);
    if (large !== null && !cameras.has(large)) setLarge(null);
    $("empty").hidden = cameras.size > 0;
    wall.resize(cameras.size);
    if (!cameras.has(current)) setCurrent(cameras.keys().next().value ?? null);
  }

  function add(camera) {
    const { id } = camera;
    const actions = { enlarge: () => enlarge(id), select: () => onSelect(id), focus: () => setCurrent(id) };
    const entry = aside ? createPastCamera({ camera, clock, actions }) : createCamera({ camera, base, clock, actions });
    cameras.set(id, entry);
    if (entry.player) players.set(id, entry.player);
    entry.tile.current(id === current);
    entry.tile.enlarged(id === large);
    entry.tile.root.inert = large !== null && id !== large;
    entry.tile.selected(id === chosen);
    grid.append(entry.tile.root);
    visibility.add(entry.tile.root);
    return entry;
  }

  function remove(id) {
    const entry = cameras.get(id);
    if (large === id) setLarge(null);
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
    const wasLarge = large;
    for (const id of [...cameras.keys()]) remove(id);
    [cameras, aside] = [aside, null];
    for (const [id, camera] of cameras) {
      camera.tile.current(id === current);
      camera.tile.selected(id === chosen);
      grid.append(camera.tile.root);
      visibility.add(camera.tile.root);
      camera.resume();
    }
    setLarge(wasLarge);
  }

  function events(list) {
    for (const { type, body } of list) {
      const code = type === "PeerClosing" || type === "PeerClosed" ? body.reason.code : null;
      if (code !== "kicked" && code !== "unsupported-codec") continue;
      const entry = [...(aside ?? cameras).values()].find(({ player }) => player.peer() === body.peer);
      if (type === "PeerClosing" && code === "kicked") entry?.kicked(body.reason.text);
      if (type === "PeerClosed" && code === "unsupported-codec") entry?.player.lost(body.reason.text);
    }
    if (list.some(({ type }) => type === "PatrolEnded")) (aside ?? cameras).forEach((camera) => camera.patrolled());
  }

  function setCurrent(id) {
    if (id === current) return;
    cameras.get(current)?.tile.current(false);
    current = id;
    cameras.get(current)?.tile.current(true);
  }

  // The tiles beneath an enlarged one keep playing, but are out of reach of Tab and screen readers.
  function enlarge(id) {
    setLarge(large === id ? null : id);
    cameras.get(id)?.tile.root.focus({ preventScroll: large !== null });
  }

  function setLarge(id) {
    large = cameras.has(id) ? id : null;
    for (const [each, { tile }] of cameras) {
      tile.enlarged(each === large);
      tile.root.inert = large !== null && each !== large;
    }
    grid.classList.toggle("has-enlarged", large !== null);
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
    hear: () => cameras.get(current)?.hear(),
    selected(id) {
      chosen = id;
      cameras.forEach((camera) => camera.tile.selected(camera.id === id));
    },
    enterPast,
    leavePast,
    serverReplaced: () => players.forEach((player) => player.lost("the server was restarted")),
    leave: () => cameras.forEach((camera) => camera.leave()),
    resume: () => cameras.forEach((camera) => camera.resume()),
  };
}
