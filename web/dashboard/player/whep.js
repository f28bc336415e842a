// The two requests of WHEP. `Location` holds the owner's secret: it is never logged and never leaves this exchange.

import { endsAfter, refusalOf } from "../ask.js";

// → {answer, location, substream}; `substream` is null unless another camera's stream was agreed on. Raises Refusal
// (the server refused), or TypeError or TimeoutError (no answer).
export async function offer(url, sdp, headers = {}, timeout = 10_000) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/sdp", Accept: "application/sdp, application/problem+json", ...headers },
    body: sdp,
    signal: endsAfter(timeout),
  });
  if (response.status !== 201) throw await refusalOf(response);
  const location = response.headers.get("Location");
  const shown = response.headers.get("Content-Location");
  const substream = shown && decodeURIComponent(lastOf(shown));
  return { answer: await response.text(), location: location && new URL(location, response.url).href, substream };
}

// Keepalive lets the request outlive the page. A failure does no harm: the server's timeout ends the peer.
export function end(location) {
  fetch(location, { method: "DELETE", keepalive: true }).catch(() => {});
}

// The name of the peer of a `Location` in the journal and in the list of viewers; never its secret.
export const peerOf = (location) => decodeURIComponent(lastOf(new URL(location).pathname).split(".", 1)[0]);

const lastOf = (path) => path.slice(path.lastIndexOf("/") + 1);
