"""Answers to SETUP, and those of HTTP to a tunnel."""

from ipaddress import ip_address
from typing import get_args

from actors.sources.rtsp.remote import find_remote
from actors.sources.rtsp.sdp import parse
from actors.sources.rtsp.transport_header import Transport, TransportHeader
from actors.sources.rtsp.tunnel import TunnelRefused, parse_answer

from .judge import Wrong

ENDS = (TunnelRefused,)
MEDIA = parse(
    b"v=0\r\nc=IN IP4 239.1.1.1/16\r\na=source-filter: incl IN IP4 239.1.1.1 192.0.2.7\r\nm=video 5000 RTP/AVP 96\r\n"
).media[0]
ANSWERS = (
    b'RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=0A0B0C0D;mode="PLAY"',
    b"RTP/AVP;unicast;destination=192.0.2.5;source=192.0.2.9;client_port=5000-5001;server_port=6000-6001",
    b"RTP/AVP;multicast;destination=239.2.2.2;port=7000-7001;ttl=16",
    b"RTP/AVP;multicast;destination=ff15::1;source=2001:db8::1;port=7001",
    b"HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\nRTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n",
    b'HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Digest realm="c", nonce="n"\nWWW-Authenticate: Basic\n\n',
)


def take_answer(data: bytes) -> None:
    """Check that no address but a group is joined, and no port but a valid one."""
    header = TransportHeader.parse(data.decode("utf-8", "replace"))
    for over in get_args(Transport):
        header.is_other_than(over)
        found = find_remote(header, over, MEDIA)
        if found is None:
            continue
        if any(ip_address(source).is_multicast for source in found.sources):
            raise Wrong("a group is named as a sender")
        if found.group and not (
            ip_address(found.group).is_multicast and all(0 < port < 65_536 for port in found.ports)
        ):
            raise Wrong(f"{found} cannot be joined")
    if any(not 0 <= channel < 100_001 for channel in header.channels or ()):
        raise Wrong("a channel of too many digits")
    answer = parse_answer(data)
    if answer is not None and not (0 <= answer.status < 1000 and data.endswith(answer.body)):
        raise Wrong("the answer is not that of the bytes")
