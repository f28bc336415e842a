// A camera's tile in the past: it displays the past state, plays nothing, and gives that as the reason when asked to.
import { t } from "../../i18n.js";
import { createTile } from "../wall/tile.js";
import { dropLastFrame } from "../../player/last-frame.js";
import { pastView, REFUSAL } from "./view.js";

const HINT_MS = 4000;
const PLAYER = Object.freeze({ name: "past" });

// With the interface of panels/camera.js.
export function createPastCamera({ camera: first, clock, actions }) {
  const tile = createTile(first.id, {
    ...actions,
    play: refuse,
    start: refuse,
    retry: refuse,
    take: refuse,
    hear: refuse,
    hide: refuse,
  });
  let camera = first;
  let timer = null;

  dropLastFrame(tile.parts.still);

  function refuse() {
    clearTimeout(timer);
    tile.hint(t(REFUSAL));
    timer = setTimeout(() => tile.hint(""), HINT_MS);
  }

  function draw() {
    const now = clock.now();
    const view = pastView(camera, now);
    tile.draw({ camera, player: PLAYER, view, playing: false, pictured: false, resting: false, fallsBack: false, now });
    tile.forbid(t(REFUSAL));
  }

  return {
    id: first.id,
    tile,
    toggle: refuse,
    take: refuse,
    hear: refuse,
    again: refuse,
    reconnect: refuse,
    draw,
    stop() {},
    peerEvent() {},
    playing: () => false,
    update(then) {
      camera = then;
      draw();
    },
    seen() {},
    leave: () => clearTimeout(timer),
    resume() {},
    close() {
      clearTimeout(timer);
      tile.root.remove();
    },
  };
}
