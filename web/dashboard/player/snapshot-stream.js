// Snapshots in an <img> where WebRTC is not available. Rules of this file:
// 1. hide() leaves no request and no timer: the server ends a stream when its <img> releases it.
// 2. A browser opens six connections to one host. At most STREAMS of them are MJPEG streams; a later camera requests
//    the newest snapshot repeatedly instead.
import { on, set } from "../dom.js";

export const STREAMS = 3;
const AGAIN_MS = 5000;
const NEXT_MS = 1000;

let streaming = 0;

export function createSnapshotStream({ img, stream, newest, onChange }) {
  let shown = false;
  let streams = false;
  let timer = null;

  function ask() {
    const url = new URL(streams ? stream : newest);
    url.searchParams.set("t", String(Date.now()));
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
      streaming += Number(streams);
      ask();
    },
    hide() {
      if (!shown) return;
      shown = false;
      streaming -= Number(streams);
      clearTimeout(timer);
      img.removeAttribute("src");
    },
    pictured: () => shown && img.naturalWidth > 0,
  };
}
