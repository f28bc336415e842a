"""The `Transport` header: ours, and the meaning of that of a camera."""

from typing import get_args

import pytest

from actors.sources.rtsp.transport_header import Transport, TransportHeader, write


@pytest.mark.parametrize(
    ("answer", "over", "expected"),
    [
        ("", "tcp", False),
        ("RTP/AVP/TCP;unicast;interleaved=0-1", "tcp", False),
        ("RTP/AVP;unicast;interleaved=0-1", "tcp", False),
        ("RTP/AVP/TCP;unicast", "tcp", False),
        ("RTP/AVP/TCP;UNICAST;INTERLEAVED=0-1", "http", False),
        ("RTP/AVP/TCP;unicast;client_port=0-0;interleaved=0-1", "tcp", False),
        ("RTP/AVP", "tcp", False),
        ("RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001", "tcp", True),
        ("RTP/AVP/UDP;unicast;server_port=6000-6001", "tcp", True),
        ("RTP/AVP;multicast;destination=239.1.1.1;port=5000-5001;ttl=1", "tcp", True),
        ("", "udp", False),
        ("RTP/AVP;unicast", "udp", False),
        ("RTP/AVP;unicast;destination=192.0.2.5;client_port=5000-5001;server_port=6000", "udp", False),
        ("RTP/AVP/TCP;unicast;interleaved=0-1", "udp", True),
        ("RTP/AVP/TCP;unicast;client_port=5000-5001", "udp", False),
        ("RTP/AVP;multicast;destination=239.1.1.1;port=5000-5001", "udp", True),
        ("RTP/AVP;multicast;destination=239.1.1.1;port=5000-5001", "multicast", False),
        ("RTP/AVP;destination=239.1.1.1;port=5000-5001", "multicast", False),
        ("RTP/AVP;unicast;client_port=5000-5001", "multicast", True),
        ("RTP/AVP/TCP;interleaved=0-1", "multicast", True),
    ],
)
def test_answer_with_another_transport_is_recognized(answer: str, over: Transport, expected: bool) -> None:
    """By the parameters that only the other one has; sloppy answers count as the requested one."""
    assert TransportHeader.parse(answer).is_other_than(over) is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("", TransportHeader()),
        ("rtp/savp;unicast", TransportHeader("RTP/SAVP", is_unicast=True)),
        ('RTP/AVP/TCP; Interleaved = "4" ;ssrc=0x1BADCAFE;ssrc=1', TransportHeader(
            "RTP/AVP/TCP", is_interleaved=True, channels=(4, 5), ssrc=0x1BADCAFE)),
        ("RTP/AVP,multicast;destination=239.1.1.1;port=5000-5009", TransportHeader(
            "RTP/AVP", is_multicast=True, group_ports=(5000, 5009), destination="239.1.1.1")),
        ("x;client_port=1-2;server_port=3;source=192.0.2.9", TransportHeader(
            "X", has_ports=True, client_ports=(1, 2), server_ports=(3, 4), source="192.0.2.9")),
        ("x;ssrc=unknown;port=999999", TransportHeader("X")),
    ],
)  # fmt: skip
def test_header_is_read_once_for_all_its_parts(answer: str, expected: TransportHeader) -> None:
    """In any case of letters, with blanks and quotes; what cannot be read is missing."""
    assert TransportHeader.parse(answer) == expected


def test_each_request_names_one_transport() -> None:
    """Some cameras refuse a header with several alternatives."""
    sent = {over: write(over, "RTP/AVP", 1, (5002, 5003)) for over in get_args(Transport)}
    assert sent == {
        "tcp": "RTP/AVP/TCP;unicast;interleaved=2-3",
        "http": "RTP/AVP/TCP;unicast;interleaved=2-3",
        "udp": "RTP/AVP;unicast;client_port=5002-5003",
        "multicast": "RTP/AVP;multicast",
    }
