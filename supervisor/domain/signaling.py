"""The signaling protocol of rooms: the messages of `banken.signaling.v1`, and their recipients.

Rules of this file:
- Strict: a field that is unknown, missing, given twice or of another type is an error. New fields need a new version.
- Pure: text and state in, messages out. The content of offers, answers and candidates is never read.
- No message is stored: a participant that is not connected gets nothing later.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from . import events as e
from .errors import Refusal, Rejected
from .ids import ParticipantId
from .json_fields import doubled_field
from .state import State

PROTOCOL = "banken.signaling.v1"
"""The sub-protocol of the WebSocket."""
MAX_MESSAGE = 64 * 1024
"""Bytes of one message."""

Id = Annotated[str, Meta(max_length=64)]


class Message(Struct, frozen=True, tag=True, tag_field="type", forbid_unknown_fields=True):
    """Base of all messages. The field `type` has the tag of the class: its name, or the one given beside it."""

    @classmethod
    def tag(cls) -> str:
        """The value of `type` in the message's JSON."""
        return str(cls.__struct_config__.tag)


# ── from a client ───────────────────────────────────────────────────────────────────────────────────────────────


class CreateRequest(Message, frozen=True, tag="CreateRoom"):
    pass


class JoinRequest(Message, frozen=True, tag="JoinRoom"):
    room_id: Id


class LeaveRequest(Message, frozen=True, tag="LeaveRoom"):
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
Request = CreateRequest | JoinRequest | LeaveRequest | Relayed


# ── to a client ─────────────────────────────────────────────────────────────────────────────────────────────────


class RoomCreated(Message, frozen=True):
    room_id: str
    self_id: str


class RoomParticipants(Message, frozen=True):
    """All participants of the room, in the order in which they joined."""

    room_id: str
    participants: tuple[str, ...]


class ParticipantJoined(Message, frozen=True, tag="PeerConnected"):
    """A participant joined. The joining client gets it too, and so learns its own id."""

    participant_id: str


class ParticipantLeft(Message, frozen=True, tag="PeerDisconnected"):
    """A participant left. The leaving client gets it too."""

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
    """A message was rejected, and nothing has changed."""

    code: Code
    message: str


Forwarded = OfferFrom | AnswerFrom | IceCandidateFrom
Told = RoomCreated | RoomParticipants | ParticipantJoined | ParticipantLeft | Forwarded | Error


class MessageRejected(Exception):
    """A client's message is rejected. `error` is the message for the client."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.error = Error(code, message)


_requests = msgspec.json.Decoder(Request)
_told = msgspec.json.Decoder(Told)
_encoder = msgspec.json.Encoder()


def read_request(data: object) -> Request:
    """Decode a client's message from the text of a WebSocket. Raises `MessageRejected` unless it is a request."""
    return _read(_requests, data)  # type: ignore[return-value]


def read_message(data: object) -> Told:
    """Decode a message to a client. Raises `MessageRejected` for a message that this version does not know."""
    return _read(_told, data)  # type: ignore[return-value]


def _read(decoder: msgspec.json.Decoder[Any], data: object) -> Message:
    if not isinstance(data, str):
        raise MessageRejected(Code.INVALID_PAYLOAD, "a message is JSON in a text frame, and this frame is binary")
    try:
        message: Message = decoder.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MessageRejected(Code.INVALID_PAYLOAD, str(error)[:200]) from None
    if (name := doubled_field(data)) is not None:
        raise MessageRejected(Code.INVALID_PAYLOAD, f"the field {name!r} is given twice")
    return message


def write(message: Message) -> str:
    """Encode a message as text for a WebSocket."""
    return _encoder.encode(message).decode()


def refused(rejected: Rejected) -> MessageRejected:
    """Convert a rejection of the domain to an error of the protocol, which has five codes."""
    codes = {
        Refusal.CAP_REACHED: Code.ROOM_FULL,
        Refusal.RATE_LIMITED: Code.RATE_LIMITED,
        Refusal.UNAVAILABLE: Code.INTERNAL,
    }
    return MessageRejected(codes.get(rejected.refusal, Code.INVALID_PAYLOAD), rejected.reason)


def relay(state: State, sender: ParticipantId, message: Relayed) -> tuple[ParticipantId, Forwarded]:
    """The recipient of a message, and the forwarded message. Raises `MessageRejected` unless both are in one room."""
    here, to = state.participants.get(sender), ParticipantId(message.to)
    if here is None:
        raise MessageRejected(Code.PARTICIPANT_NOT_FOUND, "you are in no room: CreateRoom or JoinRoom comes first")
    there = state.participants.get(to)
    if there is None or there.room != here.room:
        raise MessageRejected(
            Code.PARTICIPANT_NOT_FOUND, f"there is no participant {message.to!r} in your room, or it has left"
        )
    match message:
        case Offer(sdp=sdp):
            return to, OfferFrom(sender, sdp)
        case Answer(sdp=sdp):
            return to, AnswerFrom(sender, sdp)
        case IceCandidate(candidate=candidate):
            return to, IceCandidateFrom(sender, candidate)


def notifications(event: e.Event, state: State) -> Iterator[tuple[ParticipantId, Told]]:
    """The messages that follow from an event of a room, each with its recipient, in this order.

    `state` is the state after the decision that the event is part of.
    """
    if not isinstance(event, e.RoomOpened | e.RoomJoined | e.RoomLeft):
        return
    room, who = state.rooms.get(event.room), event.participant
    present = room.participants if room else ()
    match event:
        case e.RoomOpened():
            yield who, RoomCreated(event.room, who)
        case e.RoomJoined():
            yield from ((participant, ParticipantJoined(who)) for participant in present)
        case e.RoomLeft():
            yield from ((participant, ParticipantLeft(who)) for participant in (who, *present))
    yield from ((participant, RoomParticipants(event.room, present)) for participant in present)
