// Viewers as one list: leases with their connections, and connections without one. Pure.
import { n } from "../i18n.js";

// The name of each kind of lease.
export const KINDS = { viewer: n("a tile"), modal: n("the large view"), suggest: n("the suggestion") };

// → [{id, lease (its id, or null), camera, client, purpose, kind, state, opened, until, peers: [ids that can be ended], page: [ids]}]
export function viewingOf({ leases = [], peers = [] }) {
  const known = new Map(peers.map((peer) => [peer.id, peer]));
  const leased = leases.map((lease) => ofLease(lease, lease.peers.map((id) => known.get(id)).filter(Boolean)));
  const under = new Set(leases.flatMap((lease) => lease.peers));
  const alone = peers.filter(({ id }) => !under.has(id)).map(ofPeer);
  return [...leased, ...alone];
}

const ofLease = ({ lease, kind, camera, client, purpose, since, expires }, peers) => ({
  id: `lease/${lease}`, lease, camera, client, purpose: purpose ?? "", kind, opened: since, until: expires,
  state: peers[0]?.state ?? (kind === "viewer" ? n("still pictures") : n("no connection")), peers: peers.map(({ id }) => id),
});

const ofPeer = ({ id, camera, client, state, opened }) => ({ id, lease: null, camera, client, purpose: "", kind: null, opened, until: null, state, peers: [id] });
