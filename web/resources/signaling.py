"""`/ws/signaling`: rooms, in which clients negotiate connections to each other. Protocol: `banken.signaling.v1`."""

from quart import websocket
from werkzeug.exceptions import BadRequest

from supervisor.domain.signaling import PROTOCOL
from supervisor.ports.gateway import SessionPort

from ..client import client
from ..cross_site import refuse_strangers
from ..json import Answer
from ..loop_scheduler import own_meter
from ..rooms import Room, rooms
from ..routes import WEBSOCKET, Right, Route, Web

POLICY_VIOLATION = 1008


class Rooms(Answer, frozen=True):
    rooms: list[Room]
    """The oldest first."""
    ice_servers: tuple[str, ...]
    """The configured STUN servers."""


async def list_rooms(web: Web) -> Rooms:
    """List the rooms, with the configured STUN servers for participants."""
    return Rooms(rooms=rooms(web.gateway.state), ice_servers=web.settings.ice_servers)


async def signal(web: Web) -> None:
    refuse_strangers(web.settings.allow_origins)
    protocol = chosen(websocket.requested_subprotocols)
    with web.gateway.open_session(client()) as session:
        async with web.sockets.open(protocol) as nursery:
            nursery.start_soon(_listen, session)
            nursery.start_soon(_speak, session)
            await session.wait_unread()
            nursery.cancel_scope.cancel(reason="it does not read")
        if session.unread:
            await websocket.close(POLICY_VIOLATION, "you do not read what you are sent")


def chosen(offered: list[str]) -> str | None:
    """Return the negotiated sub-protocol; None if the client offers none. Raises `BadRequest` if all are unknown."""
    if offered and PROTOCOL not in offered:
        raise BadRequest(f"none of the sub-protocols is known: {', '.join(offered)[:100]}; there is {PROTOCOL}")
    return PROTOCOL if offered else None


async def _listen(session: SessionPort) -> None:
    meter = own_meter(websocket.scope)
    while True:
        data = await websocket.receive()
        await meter.take()
        await meter.measure(_take(session, data))


async def _take(session: SessionPort, data: object) -> None:
    session.take(data)


async def _speak(session: SessionPort) -> None:
    while told := await session.wait_messages():
        for text in told:
            await websocket.send(text)


ROUTES = (
    Route(
        method="GET",
        path="/api/rooms",
        right=Right.ROOM,
        handler=list_rooms,
        summary="List the rooms, the oldest first.",
        answer=Rooms,
        response="`rooms`: a list of [rooms](#room). `ice_servers`: the configured STUN servers",
    ),
    Route(
        method=WEBSOCKET,
        path="/ws/signaling",
        right=Right.ROOM,
        handler=signal,
        summary="Join rooms, and negotiate connections to other clients.",
        request="sub-protocol `banken.signaling.v1`",
        response="[rooms.md](rooms.md) describes the messages",
        errors=(400, 403, 429, 503),
    ),
)
