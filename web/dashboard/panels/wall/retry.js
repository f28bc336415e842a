// Makes the daemon try a camera now that waits for its next attempt. Rules of this file:
// 1. The server decides, also whether an attempt may lock an account at the camera; then the user is asked first.
// 2. One request is one attempt: nothing is resent automatically.
// 3. While banken is away, nothing is sent.
import { ask } from "../../ask.js";
import { $, say } from "../../dom.js";
import { n, t } from "../../i18n.js";

// Why no request is possible.
export const AWAY = n("banken does not answer: actions are not possible.");

// The server answers at once; the result shows in the camera's state.
const TIMEOUT_MS = 5000;
const WAITS = new Set(["waiting", "failed", "quarantined"]);
const LOCKOUT = "urn:banken:problem:lockout";

export const canRetry = ({ state }) => WAITS.has(state);

// Resolves when the server has accepted the attempt, or when the user has declined. Raises as `ask`.
export async function retry({ base, camera }) {
  const post = (query) =>
    ask(new URL(`api/cameras/${encodeURIComponent(camera.id)}/retry${query}`, base), {
      method: "POST",
      tries: 1,
      timeout: TIMEOUT_MS,
    });
  try {
    await post("");
  } catch (error) {
    if (error.problem?.type !== LOCKOUT) throw error;
    if (await isConfirmed(camera)) await post("?confirm=lockout");
  }
}

function isConfirmed({ title }) {
  const dialog = $("retry-dialog");
  if (dialog.open) return false;
  say(
    $("retry-text"),
    t(
      "{title} has refused its password. Many cameras lock an account for minutes or hours when it is " +
        "tried again. Correct the password first, in the configuration or at the camera.",
      { title },
    ),
  );
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "try"), { once: true }),
  );
}
