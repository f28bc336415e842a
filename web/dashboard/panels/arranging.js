// While the wall is arranged: tiles are drawn to their places, or sent there by the two buttons that each then has.
import { $, on, set } from "../dom.js";

const FAR_PX = 6;

// `move(id, by)` and `place(id, other)`: to the place of another.
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
  // What is pressed while arranging is sent to its place, and nothing else.
  on(grid, "click", (event) => {
    if (!active) return;
    const step = event.target.closest("[data-part=earlier], [data-part=later]");
    if (step) move(step.closest(".tile").dataset.camera, step.dataset.part === "later" ? 1 : -1);
    if (step || event.target.closest(".picture")) event.stopPropagation();
  }, { capture: true });

  return { toggle, stop: () => active && (toggle(), true) };
}
