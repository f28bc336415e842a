// The lease under which one viewer watches one camera in the large view. Rules of this file:
// 1. One lease at a time; a release also covers a lease whose grant is still on its way.
// 2. After release() no timer runs; the request that releases the lease outlives the page.
// 3. A daemon without leases is not an obstacle: everything is displayed, without a lease.
import { endsAfter, isAbsent, refusalOf } from "../ask.js";

const TIMEOUT_MS = 10_000;
const HEARTBEAT_S = 10;

// `idle()` → seconds since the page was last touched. `onEnd(reason)`: the server has ended the lease; {code, text}.
export function createLease({ url, kind = "modal", idle, onEnd }) {
  let held = null; // {id, address, headers}; without an address: a daemon without leases
  let asking = null;
  let timer = null;
  let round = 0;

  // → the headers of an offer under the lease. Raises Refusal or Silence.
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
    if (response?.status !== 404) return later(held.heartbeat); // also after no answer: it lasts three heartbeats
    const { reason, problem } = await refusalOf(response);
    if (mine === round) ended(problem.reason ?? { code: "expired", text: reason });
  }

  function ended(reason) {
    round += 1; // outdates a renewal that is still on its way
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
    // An event of the journal about a lease.
    heard: (id, reason) => held?.id === id && ended(reason),
    isHeld: () => Boolean(held?.address),
  };
}

// The secret is in `Banken-Lease`: `Authorization` is for a proxy, which may ask for a password.
const send = (url, method, body, headers = {}) =>
  fetch(url, {
    method,
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
    signal: endsAfter(TIMEOUT_MS),
  });

function giveBack({ address, headers }) {
  if (address) fetch(address, { method: "DELETE", keepalive: true, headers }).catch(() => {});
}
