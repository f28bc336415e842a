// The last picture of a camera at rest. It is asked for with `cached`, so that looking at the page opens no camera.
import { ask } from "../ask.js";
import { set } from "../dom.js";

// Many cameras on a page wait for one decoder.
const TIMEOUT_MS = 30_000;

const read = async (response) => ({ picture: await response.blob(), at: Date.parse(response.headers.get("X-Picture-Time")) });

export function createSnapshot({ img, url, onChange }) {
  let takenAt = null;
  let asking = null;

  async function load() {
    asking?.abort();
    const mine = (asking = new AbortController());
    const taken = await ask(`${url}?cached`, { timeout: TIMEOUT_MS, signal: mine.signal, read }).catch(() => null);
    if (asking !== mine) return;
    asking = null;
    if (taken) show(taken);
  }

  function show({ picture, at }) {
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
