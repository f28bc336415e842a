"""Leases over REST and WebSocket: a page acquires a lease on a camera, renews it periodically and releases it.

Only the answer to the grant contains the secret of a lease; its owner may continue from any address.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from quart import Response, request
from werkzeug.exceptions import BadRequest, Unauthorized

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId, LeaseId, PeerId
from supervisor.domain.state import Lease as Known
from supervisor.domain.state import State
from supervisor.domain.values import LeaseKind
from supervisor.ports.gateway import GatewayPort
from supervisor.ports.snapshot import Snapshot
from supervisor.ports.viewing import HEARTBEAT_S, HeldLease, Key

from .. import json
from ..bodies import Strict, bearer
from ..client import client
from ..json import Answer, Time, iso
from ..routes import Proof, Right, Route, Web

Text = Annotated[str, msgspec.Meta(max_length=200)]
Name = Annotated[str, msgspec.Meta(max_length=64)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e7)]


class Grant(Strict, frozen=True):
    kind: LeaseKind
    camera: Name
    purpose: Text = ""
    ttl_s: Annotated[float, msgspec.Meta(ge=10, le=120)] | None = None
    exclusive: bool = False


class Renewal(Strict, frozen=True):
    idle_s: Seconds = 0.0


class Lease(Answer, frozen=True):
    """The time-limited right to watch one camera."""

    lease: LeaseId
    kind: LeaseKind
    camera: CameraId
    client: str
    """The address of its holder."""
    purpose: str
    exclusive: bool
    since: Time
    """When it was granted."""
    held: bool
    """Whether a connection holds it, so that nobody has to renew it."""
    expires: Time | None
    """When it expires without a renewal; null if the last renewal is unknown."""
    until: Time | None
    """When it ends in any case."""
    heartbeat_s: float
    """How often to renew it."""
    ttl_s: float
    """How long it lives without a renewal."""
    peers: list[PeerId]
    """The peers that belong to it."""
    secret: str | UnsetType = UNSET
    """Only in the answer to its grant."""


class Leases(Answer, frozen=True):
    leases: list[Lease]
    """The oldest first."""


async def list_leases(web: Web) -> Leases:
    return Leases(leases=leases(web.gateway.snapshot(cameras=False), web.gateway.expiries()))


async def grant_lease(web: Web, body: Grant) -> Response:
    granted = await grant(web.gateway, body, client())
    response = json.respond(granted, 201)
    # Relative to `/api/leases`, so that it works below any prefix of a proxy.
    response.headers["Location"] = f"leases/{granted.lease}"
    return response


async def renew_lease(web: Web, lease: str, body: Renewal) -> Lease:
    return held_lease(await web.gateway.renew(_require_key(lease), body.idle_s, client()))


async def release_lease(web: Web, lease: str) -> Response:
    """Release a lease with its secret; without the secret, revoke it as an operator, like a peer."""
    key = _key(lease)
    if key is not None:
        await web.gateway.release(key, client())
    else:
        await web.gateway.revoke(LeaseId(lease), client())
    return Response(b"", status=204)


def _require_key(lease: str) -> Key:
    """Return the secret that the client sent for the lease. Raises `Unauthorized` without one, and as `_key`."""
    key = _key(lease)
    if key is None:
        raise Unauthorized("this needs Banken-Lease: ID.SECRET, or Authorization: Bearer SECRET")
    return key


def _key(lease: str) -> Key | None:
    """Return the secret that the client sent for the lease; None without one.

    It is read from `Banken-Lease: ID.SECRET` or `Authorization: Bearer SECRET`. The first form leaves `Authorization`
    to a proxy that requires a password; another scheme in it belongs to such a proxy and is ignored. Raises
    `BadRequest` for the key of another lease.
    """
    name, dot, secret = request.headers.get("Banken-Lease", "").strip().partition(".")
    if dot:
        if name != lease:
            raise BadRequest("Banken-Lease names another lease than the path")
        return Key(LeaseId(lease), secret)
    scheme = request.headers.get("Authorization", "").partition(" ")[0].lower()
    return Key(LeaseId(lease), bearer()) if scheme == "bearer" else None


async def grant(gateway: GatewayPort, wish: Grant, by: str) -> Lease:
    if not wish.purpose.isprintable():
        raise BadRequest("purpose has characters that cannot be printed - at `$.purpose`")
    asked = c.GrantLease(
        LeaseId(""),
        wish.kind,
        CameraId(wish.camera),
        by,
        ttl_s=wish.ttl_s or 0.0,
        exclusive=wish.exclusive,
        purpose=wish.purpose,
    )
    return held_lease(await gateway.grant(asked))


def leases(snapshot: Snapshot, expiries: Mapping[LeaseId, int]) -> list[Lease]:
    """Return all active leases, the oldest first; `expires` is null if the last renewal is unknown."""
    state = snapshot.state
    found = sorted(state.leases.values(), key=lambda known: (known.since_ns, known.lease))
    peers = sorted(state.peers.values(), key=lambda known: (known.opened_ns, known.peer))
    under: dict[LeaseId, list[PeerId]] = {}
    for known in peers:
        under.setdefault(known.lease, []).append(known.peer)
    return [lease(each, under.get(each.lease, []), expiries.get(each.lease), _ttl_s(each, state)) for each in found]


def _ttl_s(known: Known, state: State) -> float:
    """Return how long the lease lasts without a renewal by its holder or by the connection that holds it."""
    if known.until_ns is not None and not known.ttl_s:
        return (known.until_ns - known.since_ns) / 1e9
    return known.ttl_s or state.limits.disconnected_after_s


def held_lease(own: HeldLease) -> Lease:
    """Return a lease for its holder; the secret is included only in the answer to the grant."""
    body = lease(own.lease, own.peers, own.expires_ns, own.lease.ttl_s)
    return replace(body, secret=own.secret) if own.secret else body


def lease(known: Known, under: Sequence[PeerId], expires_ns: int | None, ttl_s: float) -> Lease:
    return Lease(
        lease=known.lease,
        kind=known.kind,
        camera=known.camera,
        client=known.client,
        purpose=known.purpose,
        exclusive=known.exclusive,
        since=iso(known.since_ns),
        held=known.is_held,
        expires=None if expires_ns is None else iso(expires_ns),
        until=None if known.until_ns is None else iso(known.until_ns),
        heartbeat_s=HEARTBEAT_S,
        ttl_s=ttl_s,
        peers=list(under),
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/leases",
        right=Right.INSPECT,
        handler=list_leases,
        summary="List the leases, the oldest first.",
        answer=Leases,
        response="`leases`: a list of [leases](#lease)",
    ),
    Route(
        method="POST",
        path="/api/leases",
        right=Right.WATCH,
        handler=grant_lease,
        summary="Acquire a lease on a camera.",
        body=Grant,
        request="`kind` (`viewer` or `modal`), `camera`; optional `purpose` (200 characters), `ttl_s` (10 to 120), "
        "`exclusive` (modal only)",
        status=201,
        answer=Lease,
        response="the [lease](#lease) with its `secret`; `Location`",
        errors=(403, 404, 409, 415, 429),
    ),
    Route(
        method="PUT",
        path="/api/leases/{lease}",
        right=Right.WATCH,
        proof=Proof.HOLDER,
        handler=renew_lease,
        summary="Renew a lease.",
        admit=lambda web, lease: _require_key(lease),
        body=Renewal,
        request="Optional `idle_s`: for how long nobody has touched the page.",
        answer=Lease,
        response="the [lease](#lease), renewed",
        errors=(401, 403, 404, 415),
    ),
    Route(
        method="DELETE",
        path="/api/leases/{lease}",
        right=Right.WATCH,
        proof=Proof.HOLDER,
        handler=release_lease,
        summary="Release a lease, or revoke it as an operator.",
        request="With the secret the holder releases it. Without a secret an operator revokes it (right `operate`).",
        status=204,
        response="the lease has ended",
        errors=(403, 404),
    ),
)
