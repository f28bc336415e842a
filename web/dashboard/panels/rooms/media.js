// Microphone and camera, as far as they exist and the browser permits; and a text about missing ones.
import { n, t } from "../../i18n.js";

export const HEAR_ALL_THE_SAME = n("You still see and hear the others.");

// → {stream, problem}: a stream of the available devices, and a sentence about the missing ones, or "".
export async function openMedia(devices = navigator.mediaDevices) {
  if (!devices) return { stream: new MediaStream(), problem: problemOf({ name: "InsecureContext" }) };
  let problem = "";
  for (const wanted of [{ audio: true, video: true }, { audio: true }, { video: true }]) {
    try {
      return { stream: await devices.getUserMedia(wanted), problem };
    } catch (error) {
      problem ||= problemOf(error);
      // A user who refused once is not asked again.
      if (error.name === "NotAllowedError") break;
    }
  }
  return { stream: new MediaStream(), problem };
}

// Pure.
export function problemOf({ name }) {
  const said = {
    InsecureContext: n("A browser allows microphone and camera only on https pages, or on the same machine."),
    NotAllowedError: n("The browser was not allowed to use microphone and camera."),
    NotFoundError: n("There is no microphone here, or no camera."),
    NotReadableError: n("Microphone or camera is in use by another program."),
  }[name];
  const why = said ? t(said) : t("Microphone or camera could not be opened.");
  return `${why} ${t(HEAR_ALL_THE_SAME)}`;
}
