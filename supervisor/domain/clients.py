"""Counts clients by network: an IPv4 client is one address, an IPv6 client is a whole /64."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from .rights import PEOPLE, PROXY

OWN_PREFIX = 64
"""The smallest network that an IPv6 customer gets (RFC 6177). All addresses in it are one client."""
NAT64 = IPv6Network("64:ff9b::/96")
"""The well-known prefix of RFC 6052."""
PREFIX = "client:"
"""Prefix of a principal that is a client."""
LOCAL = "local"
"""The client and the principal of requests over the control socket: the owner of the machine."""


@lru_cache(maxsize=4096)
def network_of(client: str) -> str:
    """The name under which a client is counted: its /64 for an IPv6 address, otherwise `client` itself.

    All neighbours on a link share one /64 of link-local addresses, so these are counted by their whole address. All
    IPv4 clients behind a NAT64 share its prefix, so these are counted by the IPv4 address within it.

    Args:
        client: an address as `web/client.py` makes it, or any other name.
    """
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if not isinstance(address, IPv6Address) or address.is_loopback or address.is_link_local:
        return client
    if address in NAT64:
        return str(IPv4Address(int(address) & 0xFFFFFFFF))
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), OWN_PREFIX), strict=False))


def client_in(principal: str) -> str | None:
    """The name under which a principal is charged: its address, or its name; None for the daemon's own parts."""
    if principal.startswith(PROXY):
        return principal.removeprefix(PROXY).rpartition("/")[0]
    if principal.startswith(PEOPLE):
        return principal.partition("/")[0]
    return principal.removeprefix(PREFIX) if principal.startswith(PREFIX) or principal == LOCAL else None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server at `host`. Of names, only `localhost` counts."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
