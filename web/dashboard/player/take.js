// A picture for keeps: asked of the camera, and handed to the browser as a download.
import { ask } from "../ask.js";
import { pictureName } from "../format.js";

// A camera at rest has to be opened for it.
const TIMEOUT_MS = 30_000;

// Raises Error with what the server said.
export async function takePicture({ id, url }) {
  const response = await ask(url, { timeout: TIMEOUT_MS });
  const address = URL.createObjectURL(await response.blob());
  const link = Object.assign(document.createElement("a"), {
    href: address,
    download: pictureName(id, response.headers.get("X-Picture-Time")),
  });
  link.click();
  // The download has its own hold on the picture once the click has been dealt with.
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
