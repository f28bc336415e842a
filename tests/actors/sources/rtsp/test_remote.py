"""The other end of the datagrams: senders, ports and multicast groups."""

import pytest

from actors.sources.rtsp.remote import Remote, find_remote, senders
from actors.sources.rtsp.sdp import Media, parse
from actors.sources.rtsp.transport_header import Transport, TransportHeader

MEDIA = parse(b"v=0\r\nm=video 0 RTP/AVP 96\r\n").media[0]
MULTICAST = parse(
    b"v=0\r\nc=IN IP4 239.1.1.1/16\r\na=source-filter: incl IN IP4 239.1.1.1 192.0.2.7\r\nm=video 5000 RTP/AVP 96\r\n"
).media[0]


@pytest.mark.parametrize(
    ("answer", "over", "media", "expected"),
    [
        ("RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001", "udp", MEDIA, Remote((6000, 6001))),
        ("RTP/AVP;unicast;server_port=6001", "udp", MEDIA, Remote((6001, 6002))),
        ('RTP/AVP;Server_Port = "6001-6009" ; x', "udp", MEDIA, Remote((6001, 6009))),
        ("RTP/AVP;unicast", "udp", MULTICAST, Remote((0, 0))),
        ("RTP/AVP;source=192.0.2.9;server_port=6-7", "udp", MEDIA, Remote((6, 7), ("192.0.2.9",))),
        ("RTP/AVP;source=camera.lan;server_port=6-7", "udp", MEDIA, Remote((6, 7))),
        ("RTP/AVP;source=239.0.0.1;server_port=6-7", "udp", MEDIA, Remote((6, 7))),
        ("RTP/AVP;multicast;destination=239.2.2.2;port=7000-7001;ttl=16", "multicast", MULTICAST,
         Remote((7000, 7001), ("192.0.2.7",), "239.2.2.2")),
        ("RTP/AVP;multicast;destination=ff15::1;source=2001:db8::1;port=7001", "multicast", MEDIA,
         Remote((7001, 7002), ("2001:db8::1",), "ff15::1")),
        ("RTP/AVP;multicast", "multicast", MULTICAST, Remote((5000, 5001), ("192.0.2.7",), "239.1.1.1")),
        ("RTP/AVP;multicast", "multicast", MEDIA, None),
        ("RTP/AVP;multicast;destination=192.0.2.1;port=7000-7001", "multicast", MULTICAST, None),
        ("RTP/AVP;multicast;destination=239.2.2.2;port=70000-70001", "multicast", MULTICAST, None),
    ],
)  # fmt: skip
def test_remote_end_is_read_from_the_answer_or_the_description(
    answer: str, over: Transport, media: Media, expected: Remote | None
) -> None:
    """Missing and odd ports, named senders, and groups by IPv4 and IPv6; nothing is looked up."""
    assert find_remote(TransportHeader.parse(answer), over, media) == expected


LOOPBACK, LINK_LOCAL, MAPPED = "127.0.0.2", "169.254.7.7", "::ffff:127.0.0.1"


@pytest.mark.parametrize(
    ("camera", "named", "is_allowed"),
    [
        ("192.0.2.1", "198.51.100.9", True),
        ("2001:db8::1", "2001:db8::2", True),
        *[("192.0.2.1", each, False) for each in (LOOPBACK, LINK_LOCAL, MAPPED, "::1", "0.0.0.0", "::", "239.0.0.1")],
        ("2001:db8::1", "fe80::1", False),
        ("127.0.0.1", LOOPBACK, True),
        ("127.0.0.1", LINK_LOCAL, False),
        ("::ffff:127.0.0.1", LOOPBACK, True),
        ("169.254.1.1", LINK_LOCAL, True),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_special_address_is_a_sender_only_for_a_camera_of_its_kind(camera: str, named: str, is_allowed: bool) -> None:
    """Else a camera could let the users of this machine, or the nearest hosts, send video in its name."""
    assert senders([named], camera) == ((named,) if is_allowed else ())
