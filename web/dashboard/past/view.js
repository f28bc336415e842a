// What stands on the tile of a camera in the past, and why nothing can be done there. Pure.
import { n, t } from "../i18n.js";
import { describe } from "../panels/overlay.js";

export const REFUSAL = n("This is the past: it can be looked at, and not changed.");

const TITLES = { live: n("Was live"), idle: n("Was at rest"), stalled: n("Had gone silent") };
const NO_PLAYER = Object.freeze({ name: "idle", reason: null });

export function pastView(camera, now) {
  const title = TITLES[camera.state];
  if (!title) return describe({ camera, player: NO_PLAYER, dueAt: null, paused: false, agreed: false, pictured: false, now, localNow: now });
  const detail = camera.state === "live" ? t("Its pictures are not kept.") : (camera.reason?.text ?? "");
  return { mark: camera.state, tone: camera.state, title: t(title), detail, next: "" };
}
