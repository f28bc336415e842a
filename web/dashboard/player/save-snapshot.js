// A snapshot to keep: requested from the camera, and handed to the browser as a download.
import { ask } from "../ask.js";
import { pictureName } from "../format.js";

// An idle camera has to be opened for it.
const TIMEOUT_MS = 30_000;

// Raises Refusal or Silence.
export async function saveSnapshot({ id, url }) {
  const read = async (response) => ({ picture: await response.blob(), time: response.headers.get("X-Picture-Time") });
  const { picture, time } = await ask(url, { timeout: TIMEOUT_MS, read });
  const address = URL.createObjectURL(picture);
  const link = Object.assign(document.createElement("a"), { href: address, download: pictureName(id, time) });
  link.click();
  // Once the click has been processed, the download holds the picture independently.
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
