"""`/ws/signaling`: rooms, in which clients arrange how to reach each other. The protocol is `banken.signaling.v1`."""

from quart import Blueprint, Response, websocket
from werkzeug.exceptions import BadRequest

from supervisor.domain.signaling import PROTOCOL
from supervisor.gateway import Gates
from supervisor.rooms import Session

from . import json
from .client import client
from .sockets import Sockets, refuse_strangers
from .turns import own_meter

POLICY_VIOLATION = 1008


def routes(gateway: Gates, sockets: Sockets, allow_origins: tuple[str, ...], ice_servers: tuple[str, ...]) -> Blueprint:
    signaling = Blueprint("signaling", __name__)

    @signaling.get("/api/rooms")
    async def list_rooms() -> Response:
        """With the STUN servers that the configuration names, for who joins one."""
        body = {"rooms": json.rooms(gateway.state), "ice_servers": ice_servers}
        return json.respond(body)

    @signaling.websocket("/ws/signaling")
    async def signal() -> None:
        refuse_strangers(allow_origins)
        protocol = chosen(websocket.requested_subprotocols)
        with gateway.open_session(client()) as session:
            async with sockets.open(protocol) as nursery:
                nursery.start_soon(_listen, session)
                nursery.start_soon(_speak, session)
                await session.wait_unread()
                nursery.cancel_scope.cancel(reason="it does not read")
            if session.unread:
                await websocket.close(POLICY_VIOLATION, "you do not read what you are sent")

    return signaling


def chosen(offered: list[str]) -> str | None:
    """The version that is spoken; who names none speaks the first. Raises `BadRequest` for unknown ones alone."""
    if offered and PROTOCOL not in offered:
        raise BadRequest(f"none of the sub-protocols is known: {', '.join(offered)[:100]}; there is {PROTOCOL}")
    return PROTOCOL if offered else None


async def _listen(session: Session) -> None:
    meter = own_meter(websocket.scope)
    while True:
        data = await websocket.receive()
        await meter.take()
        await meter.measure(_take(session, data))


async def _take(session: Session, data: object) -> None:
    session.take(data)


async def _speak(session: Session) -> None:
    while told := await session.wait_told():
        for text in told:
            await websocket.send(text)
