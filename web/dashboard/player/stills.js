// Still pictures in an <img> where WebRTC cannot be had. Rules of this file:
// 1. hide() leaves no request and no timer: the server ends a stream when its <img> lets go of it.
// 2. A browser opens six connections to one host. At most STREAMS of them are streams; who comes later is given the
//    newest picture again and again instead.
import { on, set } from "../dom.js";

export const STREAMS = 3;
const AGAIN_MS = 5000;
const NEXT_MS = 1000;

let streaming = 0;

export function createStills({ img, stream, newest, onChange }) {
  let shown = false;
  let streams = false;
  let timer = null;

  function ask() {
    const url = new URL(streams ? stream : newest);
    url.searchParams.set("t", Date.now());
    set(img, "src", url.href);
  }

  function later(milliseconds) {
    clearTimeout(timer);
    if (shown) timer = setTimeout(ask, milliseconds);
  }

  on(img, "load", () => {
    if (!streams) later(NEXT_MS);
    onChange();
  });
  on(img, "error", () => {
    later(AGAIN_MS);
    onChange();
  });

  return {
    show() {
      if (shown) return;
      shown = true;
      streams = streaming < STREAMS;
      streaming += streams;
      ask();
    },
    hide() {
      if (!shown) return;
      shown = false;
      streaming -= streams;
      clearTimeout(timer);
      img.removeAttribute("src");
    },
    pictured: () => shown && img.naturalWidth > 0,
  };
}
