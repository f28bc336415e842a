// What stands on the tile of a camera in the past, and why nothing can be done there. Pure.
import { describe } from "../panels/overlay.js";

export const REFUSAL = "This is the past: it can be looked at, and not changed.";

const TITLES = { live: "Was live", idle: "Was at rest", stalled: "Had gone silent" };
const NO_PLAYER = Object.freeze({ name: "idle", reason: null });

export function pastView(camera, now) {
  const title = TITLES[camera.state];
  if (!title) return describe({ camera, player: NO_PLAYER, dueAt: null, paused: false, agreed: false, pictured: false, now, localNow: now });
  const detail = camera.state === "live" ? "Its pictures are not kept." : (camera.reason?.text ?? "");
  return { mark: camera.state, tone: camera.state, title, detail, next: "" };
}
