// The two requests of WHEP. Without a login `Location` ends in the owner's secret. It is sent back as a header only, so
// that no log of a proxy has it, and it never leaves this exchange.

import { endsAfter, refusalOf } from "../ask.js";

// → {answer, session, substream}; `session` is for `end` and `peerOf`, or null; `substream` is null unless another
// camera's stream was agreed on. Raises Refusal (the server refused), or TypeError or TimeoutError (no answer).
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
  return { answer: await response.text(), session: location && sessionOf(new URL(location, response.url)), substream };
}

// Keepalive lets the request outlive the page. A failure does no harm: the server's timeout ends the peer.
export function end({ url, headers }) {
  fetch(url, { method: "DELETE", headers, keepalive: true }).catch(() => {});
}

// The name of the peer of a session in the journal and in the list of viewers.
export const peerOf = ({ url }) => decodeURIComponent(lastOf(new URL(url).pathname));

function sessionOf(location) {
  const [peer, secret] = lastOf(location.pathname).split(".");
  return { url: new URL(peer, location).href, headers: secret ? { "Banken-Peer": `${peer}.${secret}` } : {} };
}

const lastOf = (path) => path.slice(path.lastIndexOf("/") + 1);
