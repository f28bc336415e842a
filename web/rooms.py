"""Rooms as clients read them. They are part of the state, also if the part `rooms` is off."""

from supervisor.domain.ids import ParticipantId, RoomId
from supervisor.domain.state import State

from .json import Answer, Time, iso


class Participant(Answer, frozen=True):
    """A client in a room."""

    id: ParticipantId
    client: str
    since: Time


class Room(Answer, frozen=True):
    """A room in which clients negotiate connections to each other."""

    id: RoomId
    opened: Time
    empty_since: Time | None
    participants: list[Participant]
    """In the order of arrival."""


def rooms(state: State) -> list[Room]:
    """Return all rooms, the oldest first, with their participants in the order of arrival."""
    return [
        Room(
            id=room.room,
            opened=iso(room.opened_ns),
            empty_since=iso(room.empty_since_ns) if room.empty_since_ns else None,
            participants=[
                Participant(id=name, client=known.client, since=iso(known.since_ns))
                for name in room.participants
                if (known := state.participants.get(name))
            ],
        )
        for room in sorted(state.rooms.values(), key=lambda room: (room.opened_ns, room.room))
    ]
