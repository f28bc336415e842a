// WHEP's two requests. `Location` holds the owner's secret: it is never logged and never leaves this exchange.

// `codec`: what the camera sends, where that is why it was refused.
const UNSUPPORTED = "urn:banken:problem:unsupported-codec";

export class Refusal extends Error {
  constructor(status, reason, retryAfter, codec = null) {
    super(reason);
    Object.assign(this, { status, reason, retryAfter, codec });
  }
}

// → {answer, location, substream}, the last null unless another camera's stream was agreed on; raises Refusal (the server said no) or TypeError/TimeoutError (nobody answered).
export async function offer(url, sdp, { timeout = 10_000 } = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/sdp", Accept: "application/sdp, application/problem+json" },
    body: sdp,
    signal: AbortSignal.timeout(timeout),
  });
  if (response.status !== 201) throw await refusal(response);
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

async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  const reason = problem.detail || problem.title || `the server answered ${response.status}`;
  const retryAfter = parseRetryAfter(response.headers.get("Retry-After"), Date.now());
  return new Refusal(response.status, reason, retryAfter, problem.type === UNSUPPORTED ? problem.codec : null);
}

// Seconds, or an HTTP date (RFC 9110, 10.2.3) → seconds from now.
export function parseRetryAfter(value, now) {
  if (!value) return 0;
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : (Date.parse(value) - now) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : 0;
}
