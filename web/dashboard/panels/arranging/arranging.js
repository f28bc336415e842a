// Arranging the wall: tiles are dragged to their positions, or moved with the two buttons that each of them then has.
import { $, on, set } from "../../dom.js";
import { n } from "../../i18n.js";
import { definePanel } from "../../panel.js";
import { JA } from "./arranging.ja.js";

const FAR_PX = 6;

// `move(id, by)` moves a tile; `place(id, other)` moves it to the position of another.
export function createArranging({ move, place }) {
  const grid = $("grid");
  const button = $("arrange");
  const root = document.documentElement;
  let active = false;
  let held = null; // {id, x, y, moving}

  function toggle() {
    active = !active;
    held = null;
    root.toggleAttribute("data-arranging", active);
    set(button, "aria-pressed", active);
  }

  /** @type {(event: PointerEvent) => HTMLElement | null | undefined} */
  const tileAt = ({ clientX, clientY }) => document.elementFromPoint(clientX, clientY)?.closest(".tile[data-camera]");

  on(button, "click", toggle);
  on(grid, "pointerdown", (event) => {
    const tile = event.target.closest(".tile");
    if (!active || !tile || event.target.closest("button")) return;
    held = { id: tile.dataset.camera, x: event.clientX, y: event.clientY, moving: false };
    grid.setPointerCapture(event.pointerId);
  });
  on(grid, "pointermove", (event) => {
    if (!held) return;
    held.moving ||= Math.hypot(event.clientX - held.x, event.clientY - held.y) > FAR_PX;
    const over = held.moving && tileAt(event)?.dataset.camera;
    if (over && over !== held.id) place(held.id, over);
  });
  for (const type of ["pointerup", "pointercancel"]) on(grid, type, () => (held = null));
  // While arranging, a press moves a tile and does nothing else.
  on(
    grid,
    "click",
    (event) => {
      if (!active) return;
      const step = event.target.closest("[data-part=earlier], [data-part=later]");
      if (step) move(step.closest(".tile").dataset.camera, step.dataset.part === "later" ? 1 : -1);
      if (step || event.target.closest(".picture")) event.stopPropagation();
    },
    { capture: true },
  );

  return {
    toggle,
    cancel() {
      if (!active) return false;
      toggle();
      return true;
    },
  };
}

export const panel = definePanel({
  id: "arranging",
  title: n("Arrange the cameras"),
  past: true,
  view: false,
  words: JA,
  shortcuts: [
    { keys: ["<"], says: n("move this camera back"), run: (_, { panels }) => panels.wall.sendCurrent(-1) },
    { keys: [">"], says: n("move it forward"), run: (_, { panels }) => panels.wall.sendCurrent(1) },
    { keys: ["a"], says: n("arrange the cameras"), run: (arranging) => arranging.toggle() },
  ],
  mount: (_root, { panels }) =>
    createArranging({
      move: (id, by) => panels.wall.send(id, by),
      place: (id, other) => panels.wall.sendTo(id, other),
    }),
});
