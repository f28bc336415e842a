// The lease under which one person watches one camera large. Rules of this file:
// 1. One lease at a time; a release gives back even one whose grant is still on its way.
// 2. After release() no timer runs; the request that gives it back outlives the page.
// 3. A daemon that knows no leases is no obstacle: everything is shown, under none.
import { isAbsent, refusalOf } from "../ask.js";

const TIMEOUT_MS = 10_000;
const HEARTBEAT_S = 10;

// `idle()` → seconds since somebody touched the page. `onEnd(reason)`: the server has ended it; {code, text}.
export function createLease({ url, kind = "modal", idle, onEnd }) {
  let held = null; // {id, address, headers}; without an address: a daemon without leases
  let asking = null;
  let timer = null;
  let round = 0;

  // → the headers of an offer under the lease. Raises Refusal, TypeError or TimeoutError.
  function take(camera) {
    if (held) return Promise.resolve(held.headers);
    return (asking ??= grant(camera, round));
  }

  async function grant(camera, mine) {
    try {
      const granted = await request(camera);
      if (mine !== round) giveBack(granted);
      else {
        held = granted;
        if (held.address) later(held.heartbeat);
      }
      return granted.headers;
    } finally {
      if (mine === round) asking = null;
    }
  }

  async function request(camera) {
    const response = await send(url, "POST", { kind, camera });
    if (response.status === 201) {
      const { lease, secret, heartbeat_s: heartbeat = HEARTBEAT_S } = await response.json();
      const address = new URL(response.headers.get("Location") ?? `${url}/${lease}`, response.url || url).href;
      return { id: lease, address, heartbeat, headers: { "Banken-Lease": `${lease}.${secret}` } };
    }
    const refusal = await refusalOf(response);
    if (isAbsent(refusal)) return { address: null, headers: {} };
    throw refusal;
  }

  async function renew() {
    const mine = round;
    const response = await send(held.address, "PUT", { idle_s: Math.round(idle()) }, held.headers).catch(() => null);
    if (mine !== round) return;
    if (response?.status !== 404) return later(held.heartbeat); // also after no answer: its time is three heartbeats long
    const { reason, problem } = await refusalOf(response);
    if (mine === round) ended(problem.reason ?? { code: "expired", text: reason });
  }

  function ended(reason) {
    round += 1; // a renewal that is still on its way is of this one
    clearTimeout(timer);
    held = null;
    onEnd(reason);
  }

  function later(seconds) {
    timer = setTimeout(renew, seconds * 1000);
  }

  return {
    take,
    release() {
      round += 1;
      asking = null;
      clearTimeout(timer);
      if (held) giveBack(held);
      held = null;
    },
    // What the journal says of a lease.
    heard: (id, reason) => held?.id === id && ended(reason),
    isHeld: () => Boolean(held?.address),
  };
}

// The secret stands in `Banken-Lease`: `Authorization` is a proxy's, which may ask for a password.
const send = (url, method, body, headers = {}) =>
  fetch(url, {
    method,
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });

function giveBack({ address, headers }) {
  if (address) fetch(address, { method: "DELETE", keepalive: true, headers }).catch(() => {});
}
