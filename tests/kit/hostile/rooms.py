"""Rooms as a target: conversations of messages, damaged, with a session; and frames with its WebSocket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from supervisor.domain import signaling as s
from supervisor.services.rooms import Rooms, Session

from ..core import open_core
from .judge import Take, Wrong
from .web import CLOSE, frame

ROOM, HOST = b"THE-ROOM", b"THE-HOST"
"""Stand in an input for a room that is open, and for who is in it."""
CREATE, LEAVE = b'{"type":"CreateRoom"}', b'{"type":"LeaveRoom"}'
JOIN = b'{"type":"JoinRoom","room_id":"THE-ROOM"}'
OFFER = b'{"type":"Offer","to":"THE-HOST","sdp":"v=0\\r\\na=x\\r\\n"}'
ANSWER = b'{"type":"Answer","to":"THE-HOST","sdp":"v=0"}'
CANDIDATE = b'{"type":"IceCandidate","to":"THE-HOST","candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host"}'
CONVERSATIONS = (
    b"\n".join((JOIN, OFFER, CANDIDATE, ANSWER, LEAVE)),
    b"\n".join((CREATE, LEAVE, JOIN, JOIN, CREATE, OFFER)),
    b"\n".join((OFFER, LEAVE, JOIN, b'{"type":"Offer","to":"nobody","sdp":""}')),
    b"\n".join((b'{"type":"Offer","to":"THE-HOST","sdp":"v=0","token":{"a":[1,2,{"b":null}]}}', JOIN, CANDIDATE)),
    b"\n".join((JOIN, b'{ "sdp" : "\\u0000\\ud83d\\ude00" , "to" : "THE-HOST" , "type" : "Offer" }')),
    b"\n".join((JOIN, b'{"type":"JoinRoom","room_id":12}', b"[]", b'""', b"null", b"{}", LEAVE, LEAVE)),
)
MOST = 60
"""Messages of one conversation."""
FRAMES = (
    frame(1, CREATE) + frame(1, OFFER) + frame(1, LEAVE) + CLOSE,
    frame(1, CREATE[:9], fin=False) + frame(9, b"between") + frame(0, CREATE[9:]) + CLOSE,
    frame(2, CREATE) + frame(2, b"") + frame(1, b"") + CLOSE,
    frame(1, LEAVE) * 30 + CLOSE,
    frame(1, b'{"type":"Offer","to":"x","sdp":"' + b"y" * 70_000 + b'"}') + CLOSE,
    frame(1, b"\xff" + CREATE) + CLOSE,
    frame(1, CREATE) + frame(8, b"\x03"),
)


@asynccontextmanager
async def open_signaling() -> AsyncIterator[Take]:
    """Each input comes from a new stranger; a host in a room must stay there alone."""
    async with open_core() as core:
        hall = Rooms(core.kernel)
        with hall.open_session("192.0.2.1") as host:
            host.take(s.write(s.CreateRequest()))
            room, _ = [s.read_message(text) for text in host.messages_nowait()]
            assert isinstance(room, s.RoomCreated)
            alone = core.kernel.state.participants

            async def take(data: bytes) -> bool:
                named = data.replace(ROOM, room.room_id.encode()).replace(HOST, room.self_id.encode())
                with hall.open_session("192.0.2.9") as stranger:
                    refused = [_one(stranger, host, line) for line in named.split(b"\n")[:MOST]]
                host.messages_nowait()
                if core.kernel.state.participants != alone:
                    raise Wrong("somebody is left behind, or the host is gone")
                return not all(refused)

            def _one(stranger: Session, host: Session, line: bytes) -> bool:
                """Whether it was refused: then it has changed nothing, and the host has heard of nothing."""
                before = core.kernel.state
                stranger.take(_as_frame(line))
                told = [s.read_message(text) for text in stranger.messages_nowait()]
                heard = [s.read_message(text) for text in host.messages_nowait()]
                refused = any(isinstance(each, s.Error) for each in told)
                if refused and (core.kernel.state is not before or heard or len(told) != 1):
                    raise Wrong("a message was refused, and has changed what is")
                if not told and not heard:
                    raise Wrong("a message was not answered")
                return refused

            yield take


def _as_frame(line: bytes) -> str | bytes:
    """As the WebSocket would give it: text where it can be."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line
