"""What clients and banken say to each other about rooms: the messages of `banken.signaling.v1`, and who is told what.

Rules of this file:
- Strict: a field that is unknown, missing or of another kind is an error. New fields come with a new version.
- Pure: text and state in, messages out. What is in an offer, an answer or a candidate is never looked at.
- Nothing is kept for later: who is not there is told nothing.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from . import events as e
from .errors import Refusal, Rejected
from .ids import ParticipantId
from .state import State

PROTOCOL = "banken.signaling.v1"
"""The sub-protocol of the WebSocket."""
MAX_MESSAGE = 64 * 1024
"""Bytes of one message."""

Id = Annotated[str, Meta(max_length=64)]


class Message(Struct, frozen=True, tag=True, tag_field="type", forbid_unknown_fields=True):
    """Base of all messages; `type` is the name of the class."""


# ── from a client ───────────────────────────────────────────────────────────────────────────────────────────────


class CreateRoom(Message, frozen=True):
    pass


class JoinRoom(Message, frozen=True):
    room_id: Id


class LeaveRoom(Message, frozen=True):
    pass


class Offer(Message, frozen=True):
    to: Id
    sdp: str


class Answer(Message, frozen=True):
    to: Id
    sdp: str


class IceCandidate(Message, frozen=True):
    to: Id
    candidate: str


Relayed = Offer | Answer | IceCandidate
Request = CreateRoom | JoinRoom | LeaveRoom | Relayed


# ── to a client ─────────────────────────────────────────────────────────────────────────────────────────────────


class RoomCreated(Message, frozen=True):
    room_id: str
    self_id: str


class RoomParticipants(Message, frozen=True):
    """All who are in the room, in the order in which they came."""

    room_id: str
    participants: tuple[str, ...]


class PeerConnected(Message, frozen=True):
    """Somebody has come, oneself included: so who joins learns its own id."""

    participant_id: str


class PeerDisconnected(Message, frozen=True):
    """Somebody has left; oneself, too."""

    participant_id: str


class OfferFrom(Message, frozen=True, tag="Offer"):
    sender: str = msgspec.field(name="from")
    sdp: str


class AnswerFrom(Message, frozen=True, tag="Answer"):
    sender: str = msgspec.field(name="from")
    sdp: str


class IceCandidateFrom(Message, frozen=True, tag="IceCandidate"):
    sender: str = msgspec.field(name="from")
    candidate: str


class Code(StrEnum):
    ROOM_FULL = "RoomFull"
    INVALID_PAYLOAD = "InvalidPayload"
    PARTICIPANT_NOT_FOUND = "ParticipantNotFound"
    RATE_LIMITED = "RateLimited"
    INTERNAL = "Internal"


class Error(Message, frozen=True):
    """A message was not obeyed, and nothing has changed."""

    code: Code
    message: str


Forwarded = OfferFrom | AnswerFrom | IceCandidateFrom
Told = RoomCreated | RoomParticipants | PeerConnected | PeerDisconnected | Forwarded | Error


class Refused(Exception):
    """What a client sent is not obeyed; `error` says so to it."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.error = Error(code, message)


_requests = msgspec.json.Decoder(Request)
_told = msgspec.json.Decoder(Told)
_encoder = msgspec.json.Encoder()


def read_request(data: object) -> Request:
    """What a client sent, as text of a WebSocket. Raises `Refused` for all that is no request."""
    return _read(_requests, data)  # type: ignore[return-value]


def read_told(data: object) -> Told:
    """What a client was sent. Raises `Refused` for what this version does not know."""
    return _read(_told, data)  # type: ignore[return-value]


def _read(decoder: msgspec.json.Decoder[Any], data: object) -> Message:
    if not isinstance(data, str):
        raise Refused(Code.INVALID_PAYLOAD, "a message is JSON in a text frame, and this frame is binary")
    try:
        return decoder.decode(data)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Refused(Code.INVALID_PAYLOAD, str(error)[:200]) from None


def write(message: Message) -> str:
    """A message as the text of a WebSocket."""
    return _encoder.encode(message).decode()


def refused(rejected: Rejected) -> Refused:
    """What the domain said no with, in the words of the protocol, which has five codes for it."""
    codes = {
        Refusal.CAP_REACHED: Code.ROOM_FULL,
        Refusal.RATE_LIMITED: Code.RATE_LIMITED,
        Refusal.UNAVAILABLE: Code.INTERNAL,
    }
    return Refused(codes.get(rejected.refusal, Code.INVALID_PAYLOAD), rejected.reason)


def relay(state: State, sender: ParticipantId, message: Relayed) -> tuple[ParticipantId, Forwarded]:
    """To whom a message goes, and as what. Raises `Refused` for one who is not in the sender's room."""
    here, to = state.participants.get(sender), ParticipantId(message.to)
    if here is None:
        raise Refused(Code.PARTICIPANT_NOT_FOUND, "you are in no room: CreateRoom or JoinRoom comes first")
    there = state.participants.get(to)
    if there is None or there.room != here.room:
        raise Refused(
            Code.PARTICIPANT_NOT_FOUND, f"there is no participant {message.to!r} in your room, or it has left"
        )
    match message:
        case Offer(sdp=sdp):
            return to, OfferFrom(sender, sdp)
        case Answer(sdp=sdp):
            return to, AnswerFrom(sender, sdp)
        case IceCandidate(candidate=candidate):
            return to, IceCandidateFrom(sender, candidate)


def tidings(event: e.Event, state: State) -> Iterator[tuple[ParticipantId, Told]]:
    """Who is told what of an event of a room, in this order; `state` is that after the decision it is part of."""
    if not isinstance(event, e.RoomOpened | e.RoomJoined | e.RoomLeft):
        return
    room, who = state.rooms.get(event.room), event.participant
    present = room.participants if room else ()
    match event:
        case e.RoomOpened():
            yield who, RoomCreated(event.room, who)
        case e.RoomJoined():
            yield from ((participant, PeerConnected(who)) for participant in present)
        case e.RoomLeft():
            yield from ((participant, PeerDisconnected(who)) for participant in (who, *present))
    yield from ((participant, RoomParticipants(event.room, present)) for participant in present)
