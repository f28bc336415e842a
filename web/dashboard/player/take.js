// A picture for keeps: asked of the camera, and handed to the browser as a download.
import { pictureName } from "../format.js";

// Raises Error with what the server said.
export async function takePicture({ id, url }) {
  const response = await fetch(url);
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Error(problem.detail ?? `the server answered ${response.status}`);
  }
  const address = URL.createObjectURL(await response.blob());
  const link = Object.assign(document.createElement("a"), {
    href: address,
    download: pictureName(id, response.headers.get("X-Picture-Time")),
  });
  link.click();
  // The download has its own hold on the picture once the click has been dealt with.
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
