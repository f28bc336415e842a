"""Signaling for rooms: clients exchange offers, answers and candidates through the daemon; media never passes it.

Rules of this file:
- The members of a room are state, and change by commands alone. An offer, an answer or a candidate is passed on or
  refused, and then forgotten: it is in no state, journal or log.
- Nobody waits for anybody: each client has its own queue, and one whose queue grows too long is removed.
"""

import logging
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from ..domain import commands as c
from ..domain import signaling as s
from ..domain.errors import Rejected
from ..domain.events import Recorded, RoomEvent, RunStopping
from ..domain.ids import SYSTEM, ParticipantId, RoomId, room_stream
from ..domain.rate import MOST, RateLimit
from ..domain.room import STOPPED, is_idle
from ..domain.values import Fault, Reason
from ..ports.asking import origin_of
from ..ports.decisions import Origin, Receipt
from ..ports.statistics import RoomStatistics
from ..runtime.kernel import Kernel

logger = logging.getLogger("banken.rooms")

LINE, LINE_BYTES = 256, 1024 * 1024
"""The most bytes that may wait for one client: a full room's offers and candidates many times over."""
LOOK_EVERY_S = 1.0

TOO_MANY = f"more than {MOST} messages within a second; nothing is taken for a second from then on"
LEFT = Reason("left", "it left", Fault.NONE)
LOST = Reason("lost", "its connection is gone")
UNREAD = Reason("unread", "it did not read its input")


class Session:
    """One client's WebSocket. `take` is given its messages; `wait_messages` returns those for it. Made by `Rooms`."""

    def __init__(self, rooms: "Rooms", participant: ParticipantId, client: str) -> None:
        self.participant = participant
        self.client = client
        self._rooms = rooms
        self._limit = RateLimit()
        self._line: deque[str] = deque()
        self._bytes = 0
        self._more = trio.lowlevel.ParkingLot()
        self._out = trio.Event()

    @property
    def unread(self) -> bool:
        """It let its line grow too long, and is out."""
        return self._out.is_set()

    def take(self, data: object) -> None:
        """Obey one message, or tell the client why not."""
        if self.unread:
            return
        try:
            self._rooms.handle(self, self._admit(data, trio.current_time()))
        except s.MessageRejected as refused:
            self._rooms.refuse(self, refused.error)

    def _admit(self, data: object, now: float) -> s.Request:
        if self._limit.closed(now):
            raise s.MessageRejected(s.Code.RATE_LIMITED, TOO_MANY)
        request = s.read_request(data)
        if self._limit.exceeds(now):
            self._rooms.log(self, logging.WARNING, f"RateLimited: {TOO_MANY}")
            raise s.MessageRejected(s.Code.RATE_LIMITED, TOO_MANY)
        return request

    async def wait_messages(self) -> list[str]:
        """All that waits for the client, in order; nothing once it is out."""
        while not self._line and not self.unread:
            await self._more.park()
        return self.messages_nowait()

    def messages_nowait(self) -> list[str]:
        """The messages that wait for the client now."""
        told = list(self._line)
        self._line.clear()
        self._bytes = 0
        return told

    async def wait_unread(self) -> None:
        """Wait until it is out, because it does not read."""
        await self._out.wait()

    def put(self, text: str) -> None:
        """Put a message in its line, or it out, where the line is too long."""
        self._bytes += len(text.encode())
        if len(self._line) < LINE and self._bytes <= LINE_BYTES:
            self._line.append(text)
        else:
            self._out.set()
            self._line.clear()
        self._more.unpark_all()


class Rooms:
    """All sessions. `new_id` makes UUIDs; a simulation hands in a seeded one."""

    def __init__(self, kernel: Kernel, new_id: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        self._kernel = kernel
        self._new_id = new_id
        self._sessions: dict[ParticipantId, Session] = {}
        self._requests: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._unread: list[Session] = []
        """Clients that do not read and are still in their rooms, while the other members are notified."""
        self._expelled = 0

    @contextmanager
    def open_session(self, client: str) -> Iterator[Session]:
        """A session for a client (an address). Cleanup: it has left its room, and the others know."""
        session = Session(self, ParticipantId(self._new_id()), client)
        self._sessions[session.participant] = session
        self.log(session, logging.DEBUG, f"connected from {client}")
        try:
            yield session
        finally:
            self._leave(session, STOPPED if self._kernel.state.stopping else LOST)
            del self._sessions[session.participant]
            self.log(session, logging.DEBUG, "disconnected")

    def handle(self, session: Session, request: s.Request) -> None:
        """Raises `MessageRejected`; then nothing has changed."""
        me, origin = session.participant, origin_of(session.client)
        try:
            match request:
                case s.CreateRequest():
                    self._enter(session, c.OpenRoom(RoomId(self._new_id()), me, session.client), origin)
                case s.JoinRequest(room_id=room):
                    self._enter(session, c.JoinRoom(RoomId(room), me, session.client), origin)
                case s.LeaveRequest():
                    if not self._leave(session, LEFT, origin):
                        raise s.MessageRejected(s.Code.INVALID_PAYLOAD, "you are in no room")
                case s.Offer() | s.Answer() | s.IceCandidate():
                    to, message = s.relay(self._kernel.state, me, request)
                    self.log(session, logging.DEBUG, f"{request.tag()} passed on to {to}")
                    self._tell((to, message))
        except Rejected as rejected:
            raise s.refused(rejected) from None
        self._requests[request.tag()] += 1

    def refuse(self, session: Session, error: s.Error) -> None:
        self._errors[error.code.value] += 1
        self._tell((session.participant, error))

    def _enter(self, session: Session, command: c.OpenRoom | c.JoinRoom, origin: Origin) -> None:
        receipt = self._kernel.emit(command, origin=origin)
        self.log(session, logging.INFO, f"is in the room, from {session.client}")
        self._tell_of(receipt)

    def _leave(self, session: Session, reason: Reason, origin: Origin | None = None) -> bool:
        """Whether it was in a room."""
        known = self._kernel.state.participants.get(session.participant)
        if known is None:
            return False
        self.log(session, logging.INFO, f"leaves the room: {reason.text}")
        before = None if origin else _newest(self._kernel, known.room)
        self._tell_of(self._kernel.emit(c.LeaveRoom(session.participant, reason), after=before, origin=origin))
        return True

    def _tell_of(self, receipt: Receipt) -> None:
        for recorded in receipt.events:
            self._tell(*s.notifications(recorded.event, self._kernel.state))

    def _tell(self, *told: tuple[ParticipantId, s.Told]) -> None:
        """Tell these things, in this order, to those who are there; then expel whoever does not read."""
        for to, message in told:
            session = self._sessions.get(to)
            if session is None or session.unread:
                continue
            session.put(s.write(message))
            if session.unread:
                self._unread.append(session)
        while self._unread:
            session = self._unread.pop()
            self._expelled += 1
            self.log(session, logging.WARNING, f"ended: {UNREAD.text}")
            self._leave(session, UNREAD)

    def log(self, session: Session, level: int, text: str) -> None:
        """Every record names the participant, and the room that it is in, for machines and for people."""
        if not logger.isEnabledFor(level):
            return
        known = self._kernel.state.participants.get(session.participant)
        named = {"participant_id": session.participant, "room_id": known.room if known else ""}
        where = f" in room {known.room}" if known else ""
        logger.log(level, "participant %s%s: %s", session.participant, where, text, extra=named)

    def statistics(self) -> RoomStatistics:
        return RoomStatistics(len(self._sessions), dict(self._requests), dict(self._errors), self._expelled)


async def run_idle_rooms(kernel: Kernel) -> None:
    """End the rooms that nobody has been in for a while.

    Cancellation: at any time. Cleanup: nothing is held.
    """
    while True:
        await trio.sleep(LOOK_EVERY_S)
        now_ns = kernel.clock.wall_ns()
        for room in sorted(room.room for room in kernel.state.rooms.values() if is_idle(room, now_ns)):
            kernel.emit(c.CloseRoom(room), after=_newest(kernel, room))


def _newest(kernel: Kernel, room: RoomId) -> Recorded | None:
    """The newest event of a room, or the stop: a lost connection, a full queue and an idle room are no events."""
    return kernel.latest(room_stream(room), SYSTEM, of=RoomEvent | RunStopping)
