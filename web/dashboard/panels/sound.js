// A camera's sound in words. Pure.
import { t } from "../i18n.js";

const NAMES = { aac: "AAC", opus: "Opus", pcmu: "G.711", pcma: "G.711" };

export const soundName = (audio) => NAMES[audio] ?? "";

// Why nothing is to be heard of a camera that shows its picture; empty when something is, or it is not known: before the
// first picture, and where another camera is shown in its place.
export function silence({ codec, audio, mute }, substream = null) {
  if (substream) return "";
  return mute || (codec && !audio ? t("the camera sends none") : "");
}
