// How long nobody has touched the page. One timer, which a touch does not restart.
import { all, on } from "../../dom.js";

export const IDLE_MS = 300_000;
const TOUCHES = ["mousemove", "keydown", "click", "scroll", "touchstart"];

// `onIdle()` is called once each time that nobody has touched the page for `after` milliseconds.
export function createIdle({ target, onIdle, after = IDLE_MS }) {
  let touched = Date.now();
  let told = false;
  let timer = null;
  let undo = null;

  function touch() {
    touched = Date.now();
    if (told && undo) look();
  }

  function look() {
    const left = touched + after - Date.now();
    told = left <= 0;
    if (told) onIdle();
    else timer = setTimeout(look, left);
  }

  return {
    seconds: () => (Date.now() - touched) / 1000,
    start() {
      if (undo) return;
      undo = all(...TOUCHES.map((type) => on(target, type, touch, { passive: true, capture: true })));
      touched = Date.now();
      look();
    },
    stop() {
      undo?.();
      undo = null;
      clearTimeout(timer);
    },
  };
}
