"""Decisions about rooms: who is in which, and when a room ends. What its participants tell each other is none of it."""

from .. import commands as c
from .. import events as e
from ..clients import network_of
from ..errors import Refusal, Rejected
from ..state import Room, State
from ..values import Fault, Reason
from .common import Events, elapsed_s, require_running

PLACES = 8
"""In one room."""
ROOMS = 512
"""At once. There are fewer connections, so one of so many rooms is always empty."""
LEFT_EMPTY = 8
"""By one client, which has made them."""
IDLE_S = 60.0
"""A room that nobody is in ends after this long; whoever lost the line finds it again until then."""

STOPPED = Reason("stopped", "banken stops", Fault.NONE)


def open_room(state: State, command: c.OpenRoom, now_ns: int) -> Events:
    require_running(state)
    _require_outside(state, command)
    opened = e.RoomOpened(command.room, command.participant, command.client)
    return (*_make_place(state, command.client, now_ns), opened)


def _make_place(state: State, client: str, now_ns: int) -> Events:
    """Who leaves many rooms empty loses the oldest; where there are as many as may be, the oldest of all ends."""
    empty = [room for room in state.rooms.values() if not room.participants]
    own = [room for room in empty if network_of(room.client) == network_of(client)]
    if len(own) < LEFT_EMPTY and len(state.rooms) < ROOMS:
        return ()
    empty = own if len(own) >= LEFT_EMPTY else empty
    if not empty:
        raise Rejected(Refusal.CAP_REACHED, f"{len(state.rooms)} rooms are open, no more may be")
    oldest = min(empty, key=lambda room: (room.empty_since_ns, room.room))
    return (closed(oldest, Reason("displaced", "nobody was in it, and its place was needed", Fault.NONE), now_ns),)


def join_room(state: State, command: c.JoinRoom, now_ns: int) -> Events:
    require_running(state)
    _require_outside(state, command)
    room = state.rooms.get(command.room)
    if room is None:
        raise Rejected(Refusal.UNKNOWN, f"there is no room {command.room[:40]!r}, or it has ended")
    if len(room.participants) >= PLACES:
        raise Rejected(Refusal.CAP_REACHED, f"{len(room.participants)} are in this room, no more may be")
    return (e.RoomJoined(command.room, command.participant, command.client),)


def _require_outside(state: State, command: c.OpenRoom | c.JoinRoom) -> None:
    known = state.participants.get(command.participant)
    if known is not None:
        raise Rejected(Refusal.CONFLICT, f"you are in room {known.room}; leave it first")


def leave_room(state: State, command: c.LeaveRoom, now_ns: int) -> Events:
    known = state.participants.get(command.participant)
    if known is None:
        return ()
    left = e.RoomLeft(known.room, command.participant, command.reason, elapsed_s(known.since_ns, now_ns))
    room = state.rooms[known.room]
    if state.stopping and len(room.participants) == 1:
        return left, closed(room, STOPPED, now_ns)
    return (left,)


def close_room(state: State, command: c.CloseRoom, now_ns: int) -> Events:
    room = state.rooms.get(command.room)
    if room is None or not is_idle(room, now_ns):
        return ()
    return (closed(room, Reason("idle", f"nobody was in it for {IDLE_S:.0f} s", Fault.NONE), now_ns),)


def is_idle(room: Room, now_ns: int) -> bool:
    """Whether nobody has been in it for `IDLE_S`."""
    return not room.participants and now_ns - room.empty_since_ns >= IDLE_S * 1e9


def closed(room: Room, reason: Reason, now_ns: int) -> e.RoomClosed:
    return e.RoomClosed(room.room, reason, elapsed_s(room.opened_ns, now_ns))
