// A camera's audio in words. Pure.
import { t } from "../../i18n.js";

const NAMES = {
  aac: "AAC",
  latm: "AAC",
  opus: "Opus",
  pcmu: "G.711",
  pcma: "G.711",
  g722: "G.722",
  g726: "G.726",
  "aal2-g726": "G.726",
  mpa: "MPEG",
  gsm: "GSM",
  g723: "G.723",
  speex: "Speex",
  amr: "AMR",
  "amr-wb": "AMR",
  l8: "PCM",
  l16: "PCM",
  l24: "PCM",
  pcm: "PCM",
};

export const soundName = (audio) => NAMES[audio] ?? "";

// Why a camera with a picture has no audio; empty when it has, or when that is unknown: before the first picture, and
// where another camera is displayed in its place.
export function silence({ codec, audio, mute }, substream = null) {
  if (substream) return "";
  return mute || (codec && !audio ? t("the camera sends none") : "");
}
