// Viewers as one list: leases with their connections, and connections without a lease. Pure.
import { n } from "../../i18n.js";

// The name of each kind of lease, and of a reader, which is no page.
export const KINDS = {
  viewer: n("a tile"),
  modal: n("the large view"),
  suggest: n("the suggestion"),
  rtsp: n("RTSP"),
  "rtsp-tcp": n("RTSP over TCP"),
  "rtsp-udp": n("RTSP over UDP"),
};

// The state of a lease that nobody watches under.
export const LEASE_ONLY = n("lease only");

// → [{id, lease (its id, or null), camera, client, purpose, kind, state, opened, until, peers: [ids that can be ended],
// page: [ids]}]
export function viewingOf({ leases = [], peers = [] }) {
  const known = new Map(peers.map((peer) => [peer.id, peer]));
  const leased = leases.map((lease) => ofLease(lease, lease.peers.map((id) => known.get(id)).filter(Boolean)));
  const under = new Set(leases.flatMap((lease) => lease.peers));
  const alone = peers.filter(({ id }) => !under.has(id)).map(ofPeer);
  return [...leased, ...alone];
}

// The number of viewers, in the header and in the view: a lease that nobody watches under is not a viewer.
export const watching = (cameras) => cameras.reduce((sum, { viewers }) => sum + viewers, 0);

// The question before a viewer is ended, in the words that its page uses afterwards. `mine`: it belongs to this page.
export function endingOf({ lease, state, kind }, mine) {
  const title = lease ? n("End this lease?") : n("End this connection?");
  if (state === LEASE_ONLY)
    return { title, text: n("{client} holds a lease on {camera}, and nobody watches under it.") };
  if (kind?.startsWith("rtsp"))
    return { title, text: n("{client} reads {camera} by RTSP. Its connection will be closed.") };
  const own = lease
    ? n("This page watches {camera}. It will say that an operator ended the lease, and will not come back by itself.")
    : n(
        "This page watches {camera}. It will say that an operator ended the connection, and will not come " +
          "back by itself.",
      );
  const other = lease
    ? n(
        "{client} watches {camera}. Its page will say that an operator ended the lease, and will not come " +
          "back by itself.",
      )
    : n(
        "{client} watches {camera}. Its page will say that an operator ended the connection, and will not " +
          "come back by itself.",
      );
  return { title, text: mine ? own : other };
}

// `held`: a connection of the server holds the lease; without a peer that is an MJPEG stream.
const ofLease = ({ lease, kind, camera, client, purpose, since, expires, held }, peers) => ({
  id: `lease/${lease}`,
  lease,
  camera,
  client,
  purpose: purpose || (peers[0]?.token ?? ""),
  kind: readerOf(peers[0]) ?? kind,
  opened: since,
  until: expires,
  state: peers[0]?.state ?? (held ? n("snapshots") : LEASE_ONLY),
  peers: peers.map(({ id }) => id),
});

// The kind of a reader by RTSP, whose transport is known once it plays; null for another peer.
const readerOf = (peer) => (peer?.protocol !== "rtsp" ? null : peer.transport ? `rtsp-${peer.transport}` : "rtsp");

const ofPeer = ({ id, camera, client, state, opened, protocol, transport, token }) => ({
  id,
  lease: null,
  camera,
  client,
  purpose: token ?? "",
  kind: readerOf({ protocol, transport }),
  opened,
  until: null,
  state,
  peers: [id],
});
