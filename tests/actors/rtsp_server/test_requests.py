"""Requests of readers: methods, addresses and transports, and the words of each refusal."""

import itertools

import pytest

from actors.rtsp_server.requests import (
    ALLOWED,
    REFUSED,
    Channels,
    NamedCamera,
    Ports,
    RequestRefused,
    Stage,
    check,
    read_address,
    read_transport,
    refusal,
)
from actors.sources.rtsp.messages import RtspRequest


def request(method: str, **headers: str) -> RtspRequest:
    fields = {"cseq": "1", **headers}
    return RtspRequest({name: (value,) for name, value in fields.items()}, method=method, url="rtsp://h/gate")


@pytest.mark.parametrize(("method", "stage"), list(itertools.product((*ALLOWED, *REFUSED, "FROBNICATE"), Stage)))
def test_each_method_is_answered_in_each_stage(method: str, stage: Stage) -> None:
    """All pairs: possible by the table, 455 in another stage, 405 for what banken never does, 501 for the unknown."""
    wanted = None
    if method in REFUSED:
        wanted = 405
    elif method not in ALLOWED:
        wanted = 501
    elif stage not in ALLOWED[method]:
        wanted = 455
    if wanted is None:
        check(request(method), stage, "")
        return
    with pytest.raises(RequestRefused) as refused:
        check(request(method), stage, "")
    assert refused.value.status == wanted


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"cseq": ""}, 400),
        ({"cseq": "1 2"}, 400),
        ({"cseq": "9" * 30}, 400),
        ({"require": "implicit-play"}, 551),
        ({"session": "other;timeout=60"}, 454),
        ({"session": "ours;timeout=60"}, None),
    ],
)
def test_headers_that_no_session_understands_are_refused(headers: dict[str, str], status: int | None) -> None:
    """A CSeq that is no number, a Require, another session."""
    if status is None:
        check(request("OPTIONS", **headers), Stage.NONE, "ours")
        return
    with pytest.raises(RequestRefused) as refused:
        check(request("OPTIONS", **headers), Stage.NONE, "ours")
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("url", "camera", "track"),
    [
        ("rtsp://h/gate", "gate", None),
        ("RTSP://user:pw@[::1]:8554/gate/?x=1", "gate", None),
        ("rtsp://h/g%61te/trackID=1", "gate", 1),
        ("rtsp://h", "", None),
    ],
)
def test_address_names_a_camera_and_perhaps_a_track(url: str, camera: str, track: int | None) -> None:
    """Query, port and percent encoding do not matter."""
    assert read_address(url) == NamedCamera(camera, track)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("*", 400),
        ("http://h/gate", 400),
        ("rtsp://[/gate", 400),
        ("rtsp://h/gate/trackID=2", 404),
        (f"rtsp://h/{'x' * 300}", 404),
    ],
)
def test_other_address_is_refused(url: str, status: int) -> None:
    """With what is wrong with it."""
    with pytest.raises(RequestRefused) as refused:
        read_address(url)
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("header", "taken", "wanted"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=0-1", [], Channels(0)),
        ("RTP/AVP/TCP;unicast;interleaved=6-7", [0], Channels(6)),
        ("RTP/AVP/TCP", [], Channels(2)),
        ("RTP/AVP/TCP;interleaved=0-1", [0], Channels(2)),
        ("RTP/AVP/TCP;interleaved=1-2", [0], Channels(2)),
        ("RTP/AVP/TCP;interleaved=7-3", [], Channels(2)),
        ("RTP/AVP/TCP;interleaved=255-256", [], Channels(2)),
        ("RTP/AVP/TCP;interleaved=999", [2], Channels(4)),
        ("RTP/AVP;multicast,RTP/AVP;unicast;client_port=5000-5001", [], Ports(5000, 5001)),
        ("RTP/AVP/UDP;client_port=5000", [], Ports(5000, 5001)),
    ],
)
def test_transport_is_the_first_that_is_supported(header: str, taken: list[int], wanted: Channels | Ports) -> None:
    """Wrong and taken channels are replaced; the answer names those that are used."""
    assert read_transport(header, 1, taken) == wanted


@pytest.mark.parametrize(
    "header",
    ["", "RTP/SAVP;client_port=5000-5001", "RTP/AVP;multicast", "RTP/AVP;client_port=22-23", "RTP/AVP/TCP;mode=record",
     "RTP/AVP;client_port=65535", "RTP/AVP;client_port=x", "RTP/AVP;client_port=5000-5000", "," * 16 + "RTP/AVP/TCP"],
)  # fmt: skip
def test_other_transport_is_461(header: str) -> None:
    """Encrypted, multicast, privileged or impossible ports, recording, and what comes after sixteen others."""
    with pytest.raises(RequestRefused) as refused:
        read_transport(header, 0, [])
    assert refused.value.status == 461


def test_refusal_has_no_line_of_the_client() -> None:
    """An answer quotes a number, and nothing that could end its header."""
    bad = RtspRequest({"cseq": ("1\r\nX: y",)}, method="OPTIONS", url="*")
    text = refusal(bad, RequestRefused(400, "wrong"))
    assert b"X: y" not in text
    assert text.endswith(b"\r\n\r\nwrong\n")
