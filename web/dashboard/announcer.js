// Announces changes of camera states to screen readers, collected, so that a power cut is one sentence and not thirty.
import { t } from "./i18n.js";
import { tells } from "./panels/wall/overlay.js";

const GATHER_MS = 1500;
const SPELL_OUT = 3;

export function createAnnouncer(region) {
  const known = new Map();
  const changed = new Map();
  let timer = null;

  function speak() {
    timer = null;
    const cameras = [...changed.values()];
    changed.clear();
    region.textContent = cameras.length <= SPELL_OUT ? cameras.map(sentence).join(" ") : summary(cameras);
  }

  return {
    update(cameras) {
      for (const camera of cameras) {
        const before = known.get(camera.id);
        known.set(camera.id, camera.state);
        if (before !== undefined && before !== camera.state) changed.set(camera.id, camera);
      }
      if (changed.size) timer ??= setTimeout(speak, GATHER_MS);
    },
    stop() {
      clearTimeout(timer);
      timer = null;
    },
  };
}

const sentence = (camera) =>
  t("{title} is {state}.", {
    title: camera.title,
    state: t(camera.state) + (tells(camera) ? `: ${camera.reason.text}` : ""),
  });

function summary(cameras) {
  const counts = {};
  for (const { state } of cameras) counts[state] = (counts[state] ?? 0) + 1;
  const parts = Object.entries(counts).map(([state, count]) => `${count} ${t(state)}`);
  return t("{count} cameras changed: {parts}.", { count: cameras.length, parts: parts.join(", ") });
}
