// The last picture of a camera at rest. It is asked for with `cached`, so that looking at the page opens no camera.
import { set } from "../dom.js";

export function createSnapshot({ img, url, onChange }) {
  let takenAt = null;
  let asking = null;

  async function load() {
    asking?.abort();
    const mine = (asking = new AbortController());
    const response = await fetch(`${url}?cached`, { signal: mine.signal }).catch(() => null);
    const picture = response?.ok ? await response.blob().catch(() => null) : null;
    if (asking !== mine) return;
    asking = null;
    if (picture) show(picture, Date.parse(response.headers.get("X-Picture-Time")));
  }

  function show(picture, at) {
    release();
    set(img, "src", URL.createObjectURL(picture));
    takenAt = at;
    onChange();
  }

  function release() {
    if (img.src) URL.revokeObjectURL(img.src);
    img.removeAttribute("src");
    takenAt = null;
  }

  return {
    load,
    takenAt: () => takenAt,
    stop() {
      asking?.abort();
      asking = null;
    },
    close() {
      this.stop();
      release();
    },
  };
}
