"""Leases: a page asks for a camera, says now and then that it is still there, and gives it back. REST and WebSocket.

The secret of a lease is in the answer to its grant and nowhere else; whoever has it may go on from any address.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
from quart import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId, LeaseId
from supervisor.domain.values import LeaseKind
from supervisor.gateway import Gates, Key

from . import json
from .bodies import Strict, bearer, parse, read, understand
from .client import client
from .problems import FAULTS, document

MAX_MESSAGE = 4096
"""Characters of a message over the WebSocket: its type is not known before it is parsed."""

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


class RenewalOf(Renewal, frozen=True, kw_only=True):
    lease: Name
    secret: Text


class Show(Strict, frozen=True):
    views: Annotated[tuple[Name, ...], msgspec.Meta(max_length=16)]


class Release(Strict, frozen=True):
    lease: Name
    secret: Text


def routes(gateway: Gates) -> Blueprint:
    leases = Blueprint("leases", __name__)

    @leases.get("/api/leases")
    async def list_leases() -> Response:
        return json.respond({"leases": json.leases(gateway.snapshot(cameras=False), gateway.expiries())})

    @leases.post("/api/leases")
    async def grant_lease() -> Response:
        body = await grant(gateway, await read(Grant), client())
        response = json.respond(body, 201)
        response.headers["Location"] = (
            f"leases/{body['lease']}"  # relative to `/api/leases`: below any prefix of a proxy
        )
        return response

    @leases.put("/api/leases/<lease>")
    async def renew_lease(lease: str) -> Response:
        key = _key(lease) or Key(LeaseId(lease), bearer())
        renewal = await read(Renewal) if request.mimetype or request.content_length else Renewal()
        return json.respond(json.lent(await gateway.renew(key, renewal.idle_s, client())))

    @leases.delete("/api/leases/<lease>")
    async def release_lease(lease: str) -> Response:
        """With its secret, its holder gives it back. Without one, an operator ends it, as a viewer."""
        key = _key(lease)
        if key is not None:
            await gateway.release(key, client())
        else:
            await gateway.revoke(LeaseId(lease), client())
        return Response(b"", status=204)

    return leases


def _key(lease: str) -> Key | None:
    """The secret of the client for the lease: `Banken-Lease: ID.SECRET`, or `Authorization: Bearer SECRET`.

    The first leaves `Authorization` to a proxy that asks for a password. None without either; what has another scheme
    is such a proxy's. Raises `BadRequest` for the key of another lease.
    """
    name, dot, secret = request.headers.get("Banken-Lease", "").strip().partition(".")
    if dot:
        if name != lease:
            raise BadRequest("Banken-Lease names another lease than the path")
        return Key(LeaseId(lease), secret)
    scheme = request.headers.get("Authorization", "").partition(" ")[0].lower()
    return Key(LeaseId(lease), bearer()) if scheme == "bearer" else None


async def grant(gateway: Gates, wish: Grant, by: str) -> json.Json:
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
    return json.lent(await gateway.grant(asked))


async def answer(gateway: Gates, data: bytes | str, by: str, show: Callable[[Sequence[str]], None]) -> json.Json:
    """The answer to `data` that a page sent over its WebSocket: the status and the body that REST would give."""
    number: object = None
    try:
        if len(data) > MAX_MESSAGE:
            raise BadRequest(f"a message has at most {MAX_MESSAGE} characters")
        message = parse(data)
        if not isinstance(message, dict):
            raise BadRequest("a message must be an object with a type")
        kind, number = message.pop("type", None), message.pop("id", None)
        if type(number) is not int:
            number = None
            raise BadRequest("a message needs an id, a whole number that its reply will bear - at `$.id`")
        status, body = await _act(gateway, kind, message, by, show)
    except FAULTS as error:
        problem = document(error)
        status, body = problem.status_code, parse(await problem.get_data(as_text=False))
    return {"type": "reply", "id": number, "status": status, "body": body}


async def _act(
    gateway: Gates, kind: object, message: object, by: str, show: Callable[[Sequence[str]], None]
) -> tuple[int, object]:
    match kind:
        case "state.show":
            show(understand(message, Show).views)
            return 204, None
        case "lease.grant":
            return 201, await grant(gateway, understand(message, Grant), by)
        case "lease.renew":
            renewal = understand(message, RenewalOf)
            key = Key(LeaseId(renewal.lease), renewal.secret)
            return 200, json.lent(await gateway.renew(key, renewal.idle_s, by))
        case "lease.release":
            release = understand(message, Release)
            await gateway.release(Key(LeaseId(release.lease), release.secret), by)
            return 204, None
        case _:
            raise BadRequest("type must be lease.grant, lease.renew, lease.release or state.show - at `$.type`")
