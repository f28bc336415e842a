// WHEP's two requests. `Location` holds the owner's secret: it is never logged and never leaves this exchange.

import { refusalOf } from "../ask.js";

// → {answer, location, substream}, the last null unless another camera's stream was agreed on; raises Refusal (the server said no) or TypeError/TimeoutError (nobody answered).
export async function offer(url, sdp, headers = {}, timeout = 10_000) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/sdp", Accept: "application/sdp, application/problem+json", ...headers },
    body: sdp,
    signal: AbortSignal.timeout(timeout),
  });
  if (response.status !== 201) throw await refusalOf(response);
  const location = response.headers.get("Location");
  const shown = response.headers.get("Content-Location");
  const substream = shown && decodeURIComponent(shown.split("/").at(-1));
  return { answer: await response.text(), location: location && new URL(location, response.url).href, substream };
}

// Keepalive lets the request outlive the page. A failure is no concern: the server's own timeout ends the peer.
export function end(location) {
  fetch(location, { method: "DELETE", keepalive: true }).catch(() => {});
}

// The name by which the journal and the list of viewers know the one behind a `Location`; never its secret.
export const peerOf = (location) => decodeURIComponent(new URL(location).pathname.split("/").at(-1).split(".", 1)[0]);
