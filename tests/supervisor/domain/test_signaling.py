"""The messages of `banken.signaling.v1`: each as the protocol writes it, and nothing else."""

import json
from typing import Any, get_args

import pytest

from supervisor.domain import signaling as s

REQUESTS: list[tuple[dict[str, Any], s.Request]] = [
    ({"type": "CreateRoom"}, s.CreateRequest()),
    ({"type": "JoinRoom", "room_id": "r"}, s.JoinRequest("r")),
    ({"type": "LeaveRoom"}, s.LeaveRequest()),
    ({"type": "Offer", "to": "p", "sdp": "v=0"}, s.Offer("p", "v=0")),
    ({"type": "Answer", "to": "p", "sdp": "v=0"}, s.Answer("p", "v=0")),
    ({"type": "IceCandidate", "to": "p", "candidate": "c"}, s.IceCandidate("p", "c")),
]
TOLD: list[tuple[dict[str, Any], s.Told]] = [
    ({"type": "RoomCreated", "room_id": "r", "self_id": "p"}, s.RoomCreated("r", "p")),
    ({"type": "RoomParticipants", "room_id": "r", "participants": ["p"]}, s.RoomParticipants("r", ("p",))),
    ({"type": "PeerConnected", "participant_id": "p"}, s.ParticipantJoined("p")),
    ({"type": "PeerDisconnected", "participant_id": "p"}, s.ParticipantLeft("p")),
    ({"type": "Offer", "from": "p", "sdp": "v=0"}, s.OfferFrom("p", "v=0")),
    ({"type": "Answer", "from": "p", "sdp": "v=0"}, s.AnswerFrom("p", "v=0")),
    ({"type": "IceCandidate", "from": "p", "candidate": "c"}, s.IceCandidateFrom("p", "c")),
    ({"type": "Error", "code": "RoomFull", "message": "m"}, s.Error(s.Code.ROOM_FULL, "m")),
]


def named(given: Any) -> str:
    return str(given["type"]) if isinstance(given, dict) else ""


def test_no_message_is_left_out() -> None:
    """The tables of examples below contain every type of request and of message."""
    assert {type(message) for _, message in REQUESTS} == set(get_args(s.Request))
    assert {type(message) for _, message in TOLD} == set(get_args(s.Told))


@pytest.mark.parametrize(("written", "message"), REQUESTS, ids=named)
def test_a_request_is_read_and_written_as_the_protocol_has_it(written: dict[str, Any], message: s.Request) -> None:
    """The JSON and the type are equal in both directions."""
    assert s.read_request(json.dumps(written)) == message
    assert json.loads(s.write(message)) == written


@pytest.mark.parametrize(("written", "message"), TOLD, ids=named)
def test_message_is_read_and_written_as_the_protocol_has_it(written: dict[str, Any], message: s.Told) -> None:
    """Clients of other languages rely on exactly these field names."""
    assert s.read_message(json.dumps(written)) == message
    assert json.loads(s.write(message)) == written


@pytest.mark.parametrize("written", [written for written, _ in REQUESTS], ids=lambda written: written["type"])
def test_a_field_too_many_too_few_or_of_another_kind_is_invalid(written: dict[str, Any]) -> None:
    """Each field in turn is left out, or is a number, null or a list."""
    wrong = [{**written, "token": "x"}]
    for name in written:
        wrong += [{key: value for key, value in written.items() if key != name}, {**written, name: 1}]
        wrong += [{**written, name: None}, {**written, name: ["x"]}]
    for each in wrong:
        refused(json.dumps(each))


@pytest.mark.parametrize(
    "data",
    ["", "null", "[]", '"CreateRoom"', "{}", '{"type": "RoomCreated", "room_id": "r", "self_id": "p"}', "{" * 5000,
     '{"type": "CreateRoom"} x', '{"type": "Offer", "to": "p", "sdp": "\\ud800"}', "[" * 100_000, b"{}", None,
     '{"type": "JoinRoom", "room_id": "' + "r" * 65 + '"}'],
)  # fmt: skip
def test_text_that_is_not_a_request_is_rejected_with_a_message(data: object) -> None:
    """Empty, binary, nested too deeply, no Unicode, an id too long: each is refused with a message."""
    assert refused(data).message


def refused(data: object) -> s.Error:
    with pytest.raises(s.MessageRejected) as found:
        s.read_request(data)
    assert found.value.error.code is s.Code.INVALID_PAYLOAD
    return found.value.error


def test_message_with_a_field_that_is_given_twice_is_rejected() -> None:
    """Sender and receiver could take different rooms."""
    with pytest.raises(s.MessageRejected, match="'room_id' is given twice"):
        s.read_request('{"type":"JoinRoom","room_id":"a","room_id":"b"}')
