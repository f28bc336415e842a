// The last snapshot of a camera that nobody watches on this page. It is requested with `cached`, so that opening the
// page does not open a camera.
import { ask } from "../ask.js";
import { set } from "../dom.js";

// Many cameras on a page wait for one decoder.
const TIMEOUT_MS = 30_000;

// No content: there is no picture of that camera yet.
const read = async (response) =>
  response.status === 204
    ? null
    : { picture: await response.blob(), at: Date.parse(response.headers.get("X-Picture-Time")) };

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
    isAsking: () => asking !== null,
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
