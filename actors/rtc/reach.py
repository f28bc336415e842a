"""Which of a viewer's candidates are checked: those at which a viewer that asks from `client` can be.

A candidate makes us send datagrams to it. A viewer elsewhere has no use for this machine's own addresses, loopback,
link-local or broadcast addresses, or those at which clouds serve their metadata: who names one wants us to reach what
it cannot reach itself.

Source: RFC 8445, section 19.5; RFC 6890 (special addresses).
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from .offer import Candidate

_METADATA = {ipaddress.ip_address(a) for a in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254")}
_TRANSLATED = tuple(map(IPv6Network, ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")))
"""Forms of IPv6 that hold an address of IPv4. Viewers name that one itself."""


def is_ours(ip: str) -> bool:
    """Whether `ip`, written in numbers, is an address of this machine: a socket can be bound to no other."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((ip, 0))
    except OSError:
        return False
    return True


def reachable(
    candidates: Iterable[Candidate], client: str, is_own: Callable[[str], bool] = is_ours
) -> tuple[Candidate, ...]:
    """The candidates that are checked.

    Args:
        client: the address that the viewer's request came from; anything else counts as a viewer elsewhere.
        is_own: whether an address is one of this machine's.
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
    """Whether `ip` may be a viewer's. `link_local`: the viewer's request came from such an address."""
    if isinstance(ip, IPv6Address) and any(ip in network for network in _TRANSLATED):
        return False
    if ip.is_link_local:
        return link_local and ip not in _METADATA
    special = ip.is_loopback or ip.is_unspecified or ip.is_multicast or ip.is_reserved
    special = special or ip in _METADATA or (ip.version == 4 and int(ip) >> 24 == 0)
    return not special and not is_own(str(ip))


def _plain(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip
