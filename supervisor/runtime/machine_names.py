"""The names and addresses by which browsers reach this machine, for its certificate.

The kernel is asked by its files in `/proc`: a name server may not answer.
"""

import re
import socket
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from urllib.parse import urlsplit

import attrs

Address = IPv4Address | IPv6Address

UNIQUE_LOCAL = IPv6Network("fc00::/7")
PRIVATE: tuple[IPv4Network | IPv6Network, ...] = (
    *map(IPv4Network, ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12")),
    IPv4Network("192.168.0.0/16"), IPv6Network("::1/128"), UNIQUE_LOCAL, IPv6Network("fe80::/10"),
)  # fmt: skip
"""Networks whose addresses nobody owns on the Internet (RFC 1918, 3927, 4193, 6598)."""
LOCAL = ("local", "lan", "internal", "home.arpa")
"""Domains that a router or the machine itself gives to its name, and that nobody owns (RFC 6762, 8375)."""
MOST_BYTES = 1024 * 1024
"""Bytes that are read of a table of the kernel; that of a router may be larger."""
MOST_NAMES = 64
"""Names and addresses in a certificate. A machine with containers has an address for each of their networks."""

_FAR = ("192.0.2.1", 9)
"""An address that no machine has (RFC 5737)."""
_LOCAL_ROUTE = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")


@attrs.frozen
class Names:
    """Host names in lower case, and addresses."""

    hosts: frozenset[str] = frozenset()
    addresses: frozenset[Address] = frozenset()

    def __or__(self, other: "Names") -> "Names":
        return Names(self.hosts | other.hosts, self.addresses | other.addresses)

    def __sub__(self, other: "Names") -> "Names":
        return Names(self.hosts - other.hosts, self.addresses - other.addresses)

    def __bool__(self) -> bool:
        return bool(self.hosts or self.addresses)

    def __str__(self) -> str:
        return ", ".join((*sorted(self.hosts), *sorted(map(str, self.addresses))))


def names_of(texts: Iterable[str]) -> Names:
    """Return those of `texts` that a certificate can have. Addresses that mean every address are left out."""
    hosts, addresses = set[str](), set[Address]()
    for text in texts:
        try:
            address = ip_address(text)
        except ValueError:
            name = text.lower().removesuffix(".")
            if _HOST.fullmatch(name) and not re.fullmatch(r"[0-9.]+", name):
                hosts.add(name)
        else:
            if not address.is_unspecified:
                addresses.add(address)
    return Names(frozenset(hosts), frozenset(addresses))


def configured_names(host: str, origins: Collection[str]) -> Names:
    """Return the names in a configuration: the host of `web.listen`, and those of `web.allow_origins`."""
    return names_of((host, *map(_host_in, origins)))


def machine_names(proc: Path = Path("/proc/net"), host: str | None = None) -> Names:
    """Return the names and addresses of this machine. Reads files, which takes less than a millisecond.

    IPv6 addresses that are not private are left out: many change each day. `host` replaces the name of the machine.
    """
    name = socket.gethostname() if host is None else host
    short = name.partition(".")[0]
    texts = ["localhost", "127.0.0.1", "::1", name, short, *(f"{short}.{domain}" for domain in LOCAL)]
    texts += _LOCAL_ROUTE.findall(_read(proc / "fib_trie"))
    for line in _read(proc / "if_inet6").splitlines():
        address = IPv6Address(int(line.split()[0], 16))
        if address in UNIQUE_LOCAL:
            texts.append(str(address))
    return names_of(list(dict.fromkeys(texts))[:MOST_NAMES])


def own_address() -> str:
    """Return the address of this machine towards the Internet, or else its name. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_FAR)
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def _host_in(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _read(path: Path) -> str:
    """The text of a table of the kernel; empty if it is missing."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES).decode("ascii", "replace")
    except OSError:
        return ""
