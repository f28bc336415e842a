"""How clients are counted: an IPv4 client is one address, an IPv6 client has a whole /64 to itself."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

OWN_PREFIX = 64
"""The smallest network that an IPv6 customer is given (RFC 6177); all addresses in it are one client."""
NAT64 = IPv6Network("64:ff9b::/96")
"""The well-known prefix of RFC 6052."""
PREFIX = "client:"
"""A principal that begins with it is a client."""


@lru_cache(maxsize=4096)
def network_of(client: str) -> str:
    """Under which name a client is counted: its /64 for an IPv6 address, else its own name.

    All neighbours on a link share one /64 of link-local addresses, and all of IPv4 behind a NAT64 shares its prefix:
    the first are counted by their whole address, the others by the IPv4 address within it.

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
    """The client whose request it is; none for what no client asked for."""
    return principal.removeprefix(PREFIX) if principal.startswith(PREFIX) else None
