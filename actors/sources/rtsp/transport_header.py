"""The `Transport` header of SETUP: ours is written here, and that of the camera is read here. Pure.

Source: RFC 2326, section 12.39.
"""

import re
from typing import Literal, Self

import attrs

Transport = Literal["tcp", "udp", "http", "multicast"]
"""How RTP arrives: in the RTSP connection, in datagrams, in an HTTP tunnel, or in datagrams to a multicast group."""
Pair = tuple[int, int]
"""The UDP ports, or the channels, of RTP and RTCP."""

_PARAMETER = re.compile(r"(?:^|[;,\s])([a-z_]+)\s*=\s*\"?([^\s;,\"]{1,64})")
_MULTICAST = re.compile(r"[;,]\s*multicast\b")
_PAIR = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?!\d)")
_SSRC = re.compile(r"(?:0x)?([0-9a-f]{1,8})(?!\w)")


@attrs.frozen
class TransportHeader:
    """The answer of a camera, as far as it can be read: a pair or a number that is missing is None, a text is empty."""

    profile: str = ""
    """Like `RTP/AVP/TCP`, in capitals."""
    is_multicast: bool = False
    is_unicast: bool = False
    is_interleaved: bool = False
    """Whether RTP is to come in the connection: by its profile, or by `interleaved`."""
    has_ports: bool = False
    """Whether it names UDP ports of either side."""
    channels: Pair | None = None
    client_ports: Pair | None = None
    server_ports: Pair | None = None
    group_ports: Pair | None = None
    """Those of a multicast group."""
    source: str = ""
    """The address of the sender, as the camera writes it."""
    destination: str = ""
    """The address of the receiver, or the multicast group, as the camera writes it."""
    ssrc: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the header of a camera. Sloppy ones are read as well; of a repeated parameter, the first counts."""
        text = text.lower()
        named: dict[str, str] = {}
        for name, value in _PARAMETER.findall(text):
            named.setdefault(name, value)
        return cls(
            profile=re.split(r"[;,\s]", text.strip(), maxsplit=1)[0].upper(),
            is_multicast=_MULTICAST.search(text) is not None,
            is_unicast="unicast" in text,
            is_interleaved="interleaved" in text or "/tcp" in text,
            has_ports="_port" in text,
            channels=_read_pair(named.get("interleaved", "")),
            client_ports=_read_pair(named.get("client_port", "")),
            server_ports=_read_pair(named.get("server_port", "")),
            group_ports=_read_pair(named.get("port", "")),
            source=named.get("source", ""),
            destination=named.get("destination", ""),
            ssrc=read_ssrc(named.get("ssrc", "")),
        )

    def is_other_than(self, transport: Transport) -> bool:
        """Whether the camera means another transport than the requested one; not because it is written sloppily."""
        if transport == "multicast":
            return not self.is_multicast and (self.is_interleaved or self.has_ports or self.is_unicast)
        if transport == "udp":
            return self.is_multicast or (self.is_interleaved and not self.has_ports)
        return not self.is_interleaved and (self.is_multicast or self.has_ports)


def write(transport: Transport, profile: str, track: int, ports: Pair | None) -> str:
    """Return the header for the track of this number; `ports` are ours for `udp`."""
    if transport == "multicast":
        return f"{profile};multicast"
    if transport == "udp":
        assert ports is not None
        return "{};unicast;client_port={}-{}".format(profile, *ports)
    return f"{profile}/TCP;unicast;interleaved={2 * track}-{2 * track + 1}"


def read_ssrc(text: str) -> int | None:
    """Return a number of up to eight hexadecimal digits; None for another text."""
    found = _SSRC.match(text.lower())
    return int(found[1], 16) if found else None


def _read_pair(text: str) -> Pair | None:
    found = _PAIR.match(text)
    return (int(found[1]), int(found[2] or int(found[1]) + 1)) if found else None
