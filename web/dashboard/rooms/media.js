// Microphone and camera, as far as there are any and the browser lets us; and in words what is missing.
import { n, t } from "../i18n.js";

export const HEAR_ALL_THE_SAME = n("You see and hear the others all the same.");

// → {stream, problem}: a stream with what could be had, and a sentence about what could not, or "".
export async function openMedia(devices = navigator.mediaDevices) {
  if (!devices) return { stream: new MediaStream(), problem: problemOf({ name: "InsecureContext" }) };
  let problem = "";
  for (const wanted of [{ audio: true, video: true }, { audio: true }, { video: true }]) {
    try {
      return { stream: await devices.getUserMedia(wanted), problem };
    } catch (error) {
      problem ||= problemOf(error);
      // Who said no once is not asked again.
      if (error.name === "NotAllowedError") break;
    }
  }
  return { stream: new MediaStream(), problem };
}

// Pure.
export function problemOf({ name, message }) {
  const said = {
    InsecureContext: n("A browser lends microphone and camera only to pages over https, or on its own machine."),
    NotAllowedError: n("The browser was not allowed to use microphone and camera."),
    NotFoundError: n("There is no microphone here, or no camera."),
    NotReadableError: n("Microphone or camera is in use by another program."),
  }[name];
  const why = said ? t(said) : t("Microphone or camera could not be opened: {reason}.", { reason: message ?? name });
  return `${why} ${t(HEAR_ALL_THE_SAME)}`;
}
