// The two edges that can be dragged: between the wall and the journal, and above the pane below. With the pointer or
// the arrow keys; Enter or a double click resets the size.
import { $, on, set } from "./dom.js";
import { BOUNDS, size } from "./layout.js";

const STEP_REM = 2;

const KINDS = {
  journal: {
    part: "split-journal",
    grows: "ArrowLeft",
    shrinks: "ArrowRight",
    pane: ".journal",
    length: ({ width }) => width,
    at: (event, box) => box.right - event.clientX,
  },
  drawer: {
    part: "split-drawer",
    grows: "ArrowUp",
    shrinks: "ArrowDown",
    pane: ".view:not([hidden])",
    length: ({ height }) => height,
    at: (event, box) => box.bottom - event.clientY,
  },
};

// `layout` as layout.js creates it.
export function createSplitters(layout) {
  const root = document.documentElement;
  const rem = () => parseFloat(getComputedStyle(root).fontSize);

  for (const [name, kind] of Object.entries(KINDS)) attach(name, kind);

  function attach(name, { part, grows, shrinks, pane, length, at }) {
    const edge = $(part);
    const box = () => document.querySelector(pane)?.getBoundingClientRect() ?? null;
    const wish = (value) => layout.change({ [name]: size(value, name) });
    // Below the minimum width there is only zero.
    const less = (value) => (value <= BOUNDS[name].least + 0.1 ? 0 : value - STEP_REM);
    let dragging = false;

    set(edge, "aria-valuemin", name === "journal" ? 0 : BOUNDS[name].least);
    set(edge, "aria-valuemax", BOUNDS[name].most);
    on(edge, "pointerdown", (event) => {
      dragging = true;
      edge.setPointerCapture(event.pointerId);
    });
    on(edge, "pointermove", (event) => {
      const now = dragging && box();
      if (now) wish(at(event, now) / rem());
    });
    for (const type of ["pointerup", "pointercancel"]) on(edge, type, () => (dragging = false));
    on(edge, "dblclick", () => wish(null));
    on(edge, "keydown", (event) => {
      const now = box();
      if (event.key === "Enter") wish(null);
      else if (now && event.key === grows)
        wish(Math.max(length(now) / rem(), BOUNDS[name].least - STEP_REM) + STEP_REM);
      else if (now && event.key === shrinks) wish(less(length(now) / rem()));
      else return;
      event.preventDefault();
    });
  }

  return {
    draw(now) {
      for (const [name, { part }] of Object.entries(KINDS)) {
        if (now[name] === null) root.style.removeProperty(`--${name}`);
        else root.style.setProperty(`--${name}`, `${now[name]}rem`);
        set($(part), "aria-valuenow", Math.round(now[name] ?? BOUNDS[name].least));
      }
      root.toggleAttribute("data-journal-away", now.journal === 0);
    },
  };
}
