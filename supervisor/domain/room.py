"""Rooms: their participants, and when a room is closed. Relayed messages need no decision."""

from msgspec.structs import replace

from .clients import network_of
from .common import Arms, Changes, Decisions, Events, elapsed_s, require_running
from .core import FIRST, OUTSIDE, SOON, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import ParticipantId, RoomId, room_stream
from .rights import Right
from .state import Participant, Room, State
from .values import Fault, Reason
from .words import seconds


class OpenRoom(Command, frozen=True):
    """Make a room with one participant in it."""

    room: RoomId
    participant: ParticipantId
    client: str

    sender = "rooms service"
    right = Right.ROOM


class JoinRoom(Command, frozen=True):
    """Join a room. Check and registration are one step."""

    room: RoomId
    participant: ParticipantId
    client: str

    sender = "rooms service"
    right = Right.ROOM


class LeaveRoom(Command, frozen=True):
    participant: ParticipantId
    reason: Reason

    sender = "rooms service"


class CloseRoom(Command, frozen=True):
    """Close a room if it has been idle for long enough."""

    room: RoomId

    sender = "rooms service"


class RoomEvent(Event, frozen=True):
    room: RoomId
    """A UUID. Anybody who knows it may enter the room."""

    @property
    def stream(self) -> str:
        return room_stream(self.room)


class RoomOpened(RoomEvent, frozen=True):
    """A room was opened. Its creator is the first participant."""

    participant: ParticipantId
    """A UUID of one WebSocket."""
    client: str
    """Address of the participant, without its port."""

    severity = Severity.INFO
    emitters = ("OpenRoom",)
    causes = (OUTSIDE, "RoomClosed")
    cause_note = "none, a request from outside; the `RoomClosed` of a displaced room"
    when = "before the answer `RoomCreated`"

    def sentence(self) -> str:
        return f"room {self.room} opened by {self.participant} from {self.client}"


class RoomJoined(RoomEvent, frozen=True):
    """A participant joined a room."""

    participant: ParticipantId
    """A UUID of one WebSocket."""
    client: str
    """Address of the participant, without its port."""

    severity = Severity.INFO
    emitters = ("JoinRoom",)
    when = "before the room is notified; the ninth participant is rejected without an event"

    def sentence(self) -> str:
        return f"{self.participant} from {self.client} joined room {self.room}"


class RoomLeft(RoomEvent, frozen=True):
    """A participant left the room, or its connection was lost."""

    participant: ParticipantId
    """A UUID of one WebSocket, which may join again while it is open."""
    reason: Reason
    """Code `left`, `lost`, `unread` or `stopped`."""
    lasted_s: float
    """Time in the room."""

    severity = Severity.INFO
    emitters = ("LeaveRoom",)
    causes = (OUTSIDE, "RoomOpened", "RoomJoined", "RoomLeft", "RunStopping")
    cause_note = (
        "none at a request; otherwise the newest event of the room, or the `RunStopping` that closed its WebSocket"
    )
    when = (
        "the participant requested it (`left`), its WebSocket is gone (`lost`), it did not read its messages "
        "(`unread`), or banken stops (`stopped`)"
    )

    def sentence(self) -> str:
        return f"{self.participant} left room {self.room} after {seconds(self.lasted_s)}: {self.reason.text}"


class RoomClosed(RoomEvent, frozen=True):
    """The room was closed. Nobody can join it any more."""

    reason: Reason
    """Code `idle`, `displaced`, `stopped` or `abandoned`."""
    lasted_s: float
    """Time since `RoomOpened`."""

    ends_stream = True
    severity = Severity.INFO
    emitters = ("CloseRoom", "OpenRoom", "LeaveRoom", "StopRun", "StartRun")
    causes = (OUTSIDE, "RoomOpened", "RoomJoined", "RoomLeft", "RunStopping")
    cause_note = (
        "the newest event of the room; none for `displaced`; `RunStopping` or the last `RoomLeft` for `stopped`"
    )
    when = (
        "it was empty for 60 s (`idle`), or was the oldest empty one at the limit of rooms (`displaced`); banken "
        "stops (`stopped`); an earlier run left it open (`abandoned`)"
    )
    stored = f"{SOON}; {FIRST} at a start"

    def sentence(self) -> str:
        return f"room {self.room} closed after {seconds(self.lasted_s)}: {self.reason.text}"


PLACES = 8
"""Participants in one room."""


ROOMS = 512
"""Rooms at once. There are fewer connections, so at this number one room is always empty."""


LEFT_EMPTY = 8
"""Empty rooms that one client may have opened."""


IDLE_S = 60.0
"""An empty room is closed after this time. Until then, a client that lost its connection can return."""


STOPPED = Reason("stopped", "banken stops", Fault.NONE)


def open_room(state: State, command: OpenRoom, now_ns: int) -> Events:
    require_running(state)
    _require_outside(state, command)
    opened = RoomOpened(command.room, command.participant, command.client)
    return (*_make_place(state, command.client, now_ns), opened)


def _make_place(state: State, client: str, now_ns: int) -> Events:
    """Close the oldest empty room if necessary: a client's own at `LEFT_EMPTY`, or the oldest of all at `ROOMS`."""
    empty = [room for room in state.rooms.values() if not room.participants]
    own = [room for room in empty if network_of(room.client) == network_of(client)]
    if len(own) < LEFT_EMPTY and len(state.rooms) < ROOMS:
        return ()
    empty = own if len(own) >= LEFT_EMPTY else empty
    if not empty:
        raise Rejected(Refusal.CAP_REACHED, f"{len(state.rooms)} rooms are open, which is the limit")
    oldest = min(empty, key=lambda room: (room.empty_since_ns, room.room))
    return (closed(oldest, Reason("displaced", "it was empty at the limit of rooms", Fault.NONE), now_ns),)


def join_room(state: State, command: JoinRoom, now_ns: int) -> Events:
    require_running(state)
    _require_outside(state, command)
    room = state.rooms.get(command.room)
    if room is None:
        raise Rejected(Refusal.UNKNOWN, f"there is no room {command.room[:40]!r}, or it has ended")
    if len(room.participants) >= PLACES:
        raise Rejected(
            Refusal.CAP_REACHED, f"{len(room.participants)} participants are in this room, which is the limit"
        )
    return (RoomJoined(command.room, command.participant, command.client),)


def _require_outside(state: State, command: OpenRoom | JoinRoom) -> None:
    known = state.participants.get(command.participant)
    if known is not None:
        raise Rejected(Refusal.CONFLICT, f"you are in room {known.room}; leave it first")


def leave_room(state: State, command: LeaveRoom, now_ns: int) -> Events:
    known = state.participants.get(command.participant)
    if known is None:
        return ()
    left = RoomLeft(known.room, command.participant, command.reason, elapsed_s(known.since_ns, now_ns))
    room = state.rooms[known.room]
    if state.stopping and len(room.participants) == 1:
        return left, closed(room, STOPPED, now_ns)
    return (left,)


def close_room(state: State, command: CloseRoom, now_ns: int) -> Events:
    room = state.rooms.get(command.room)
    if room is None or not is_idle(room, now_ns):
        return ()
    return (closed(room, Reason("idle", f"nobody was in it for {IDLE_S:.0f} s", Fault.NONE), now_ns),)


def is_idle(room: Room, now_ns: int) -> bool:
    """Whether the room has been empty for `IDLE_S`."""
    return not room.participants and now_ns - room.empty_since_ns >= IDLE_S * 1e9


def closed(room: Room, reason: Reason, now_ns: int) -> RoomClosed:
    return RoomClosed(room.room, reason, elapsed_s(room.opened_ns, now_ns))


def _room_opened(state: State, event: RoomOpened, at: Recorded) -> Changes:
    room = Room(event.room, opened_ns=at.wall_ns, client=event.client)
    return _entered(replace(state, rooms=state.rooms.insert(event.room, room)), event, at)


def _entered(state: State, event: RoomOpened | RoomJoined, at: Recorded) -> Changes:
    before = state.rooms[event.room]
    room = replace(before, participants=(*before.participants, event.participant), empty_since_ns=0)
    participant = Participant(event.room, event.client, since_ns=at.wall_ns)
    return {
        "rooms": state.rooms.insert(event.room, room),
        "participants": state.participants.insert(event.participant, participant),
    }


def _room_left(state: State, event: RoomLeft, at: Recorded) -> Changes:
    before = state.rooms[event.room]
    left = tuple(participant for participant in before.participants if participant != event.participant)
    room = replace(before, participants=left, empty_since_ns=0 if left else at.wall_ns)
    return {
        "rooms": state.rooms.insert(event.room, room),
        "participants": state.participants.remove(event.participant),
    }


def _room_closed(state: State, event: RoomClosed, at: Recorded) -> Changes:
    """Remove the room, with participants that an earlier run left in it."""
    participants = state.participants
    for participant in state.rooms[event.room].participants:
        participants = participants.remove(participant)
    return {"rooms": state.rooms.remove(event.room), "participants": participants}


DECISIONS: Decisions = {
    OpenRoom: open_room,
    JoinRoom: join_room,
    LeaveRoom: leave_room,
    CloseRoom: close_room,
}


ARMS: Arms = {
    RoomOpened: _room_opened,
    RoomJoined: _entered,
    RoomLeft: _room_left,
    RoomClosed: _room_closed,
}
