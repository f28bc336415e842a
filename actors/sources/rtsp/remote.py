"""The other end of the datagrams of one track: their senders and ports, or their multicast group. Pure.

Rules of this file:
- An address that is not numeric is not looked up: it is left out.
- A camera cannot name the users of this machine, or the nearest hosts, as senders unless it is one of them.

Source: RFC 2326, section 12.39 (Transport); RFC 4570 (source filters).
"""

from collections.abc import Collection
from ipaddress import IPv6Address, ip_address

import attrs

from .sdp import Media
from .transport_header import Pair, Transport, TransportHeader


@attrs.frozen
class Remote:
    """Where the datagrams of one track come from."""

    ports: Pair
    """The camera's UDP ports, 0 if unknown; for multicast the ports of the group."""
    sources: tuple[str, ...] = ()
    """IP addresses of the senders, as far as they are named."""
    group: str = ""
    """The IP address of the multicast group; empty without one."""


def find_remote(answer: TransportHeader, transport: Transport, media: Media) -> Remote | None:
    """Return where the datagrams of a track come from, by the answer or else the description.

    None without a usable multicast group.
    """
    if transport != "multicast":
        return Remote(answer.server_ports or (0, 0), tuple(filter(_is_unicast, [answer.source])))
    sources = tuple(filter(_is_unicast, [answer.source] if answer.source else media.sources))
    group = answer.destination or media.address
    ports = answer.group_ports or answer.client_ports or (media.port, media.port + 1)
    usable = _is_multicast(group) and all(0 < port < 65_536 for port in ports)
    return Remote(ports, sources, group) if usable else None


def senders(sources: Collection[str], camera: str) -> tuple[str, ...]:
    """Return those of `sources` that a camera at the address `camera` may name as senders of its datagrams.

    Left out are loopback, link-local, multicast and unspecified addresses, unless the camera has one of the same kind.
    """
    allowed = _kinds(camera)
    return tuple(source for source in sources if _kinds(source) <= allowed)


def _is_multicast(address: str) -> bool:
    try:
        return ip_address(address).is_multicast
    except ValueError:
        return False


def _is_unicast(address: str) -> bool:
    try:
        return not ip_address(address).is_multicast
    except ValueError:
        return False


def _kinds(address: str) -> set[str]:
    ip = ip_address(address)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    kinds = ("is_loopback", "is_link_local", "is_multicast", "is_unspecified")
    return {kind for kind in kinds if getattr(ip, kind)}
