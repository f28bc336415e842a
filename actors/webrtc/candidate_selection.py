"""Selects the candidates to check: addresses that a viewer with the address `client` can have.

banken sends datagrams to each candidate. A remote viewer has no use for this machine's own addresses, for loopback,
link-local or broadcast addresses, or for the metadata services of clouds. A viewer that names one wants banken to reach
an address that it cannot reach itself.

Source: RFC 8445, section 19.5; RFC 6890 (special addresses).
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from .offer import Candidate

_METADATA = {ipaddress.ip_address(a) for a in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254")}
_TRANSLATED = tuple(map(IPv6Network, ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")))
"""Forms of IPv6 that contain an IPv4 address. Viewers name the IPv4 address itself."""


def is_ours(ip: str) -> bool:
    """Return whether `ip`, a numeric address, belongs to this machine: a socket can be bound to no other."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((ip, 0))
    except OSError:
        return False
    return True


def reachable(
    candidates: Iterable[Candidate], client: str, is_own: Callable[[str], bool] = is_ours
) -> tuple[Candidate, ...]:
    """Return the candidates to check.

    Args:
        client: the source address of the viewer's request; any other text counts as a remote viewer.
        is_own: returns whether an address belongs to this machine.
    """
    try:
        viewer = _plain(ipaddress.ip_address(client))
    except ValueError:
        link_local = False
    else:
        link_local = viewer.is_link_local
        if viewer.is_loopback or (not viewer.is_unspecified and is_own(str(viewer))):
            return tuple(candidates)
    return tuple(c for c in candidates if _is_elsewhere(ipaddress.ip_address(c.ip), is_own, link_local))


def _is_elsewhere(ip: IPv4Address | IPv6Address, is_own: Callable[[str], bool], link_local: bool) -> bool:
    """Return whether `ip` may be a viewer's. `link_local`: the viewer's request came from a link-local address."""
    if isinstance(ip, IPv6Address) and any(ip in network for network in _TRANSLATED):
        return False
    if ip.is_link_local:
        return link_local and ip not in _METADATA
    special = ip.is_loopback or ip.is_unspecified or ip.is_multicast or ip.is_reserved
    special = special or ip in _METADATA or (ip.version == 4 and int(ip) >> 24 == 0)
    return not special and not is_own(str(ip))


def _plain(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip
