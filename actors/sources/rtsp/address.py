"""Addresses of streams: whether one is usable, where it leads, and who we are there. No secret is in a `Target`'s url.

Source: RFC 2326, section 3.2; RFC 3986.
"""

from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import attrs

from supervisor.config import Source

from ...addresses import numeric_addresses
from .auth import Credentials

DEFAULT_PORT = {"rtsp": 554, "rtsps": 322}
MAX_ADDRESS = 4000

_KEPT = "!#$%&'()*+,/:;=?@[]~"
"""What may stand in an address as it is; everything else is written as %XX."""


def check(source: Source) -> str | None:
    """What is wrong with an address, for people; none when it can be used."""
    scheme = ""
    try:
        parts = urlsplit(source.address)
        scheme = parts.scheme.lower()
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        # An @ behind the host is the end of a password that was cut short by a character of its own.
        usable = usable and "@" not in parts.path + parts.query + parts.fragment
    except ValueError:
        usable = False
    if not usable or any(character in source.address for character in "\r\n\0"):
        return (
            f"{source.address!r} is no RTSP address; it should look like rtsp://192.0.2.10:554/path, with "
            "user:password@ in front of the host if it wants them, and @ / # ? in a password written as %40 %2F %23 %3F"
        )
    if len(source.address) > MAX_ADDRESS:
        return f"an RTSP address of {len(source.address)} characters is too long"
    if source.transport == "udp" and scheme == "rtsps":
        return "over UDP nothing would be encrypted; rtsps:// goes with `transport: tcp`"
    return None


def host_and_port(address: str) -> tuple[str, int]:
    """Where to knock for `address`."""
    parts = urlsplit(address)
    return parts.hostname or "", parts.port or DEFAULT_PORT.get(parts.scheme.lower(), 554)


@attrs.frozen
class Target:
    """Where a stream is. `url` is what stands in requests: no user, no password."""

    host: str
    port: int
    tls: bool
    url: str
    credentials: Credentials | None = None


def parse_target(address: str) -> Target:
    """Raises `ValueError` for what is no RTSP address."""
    parts = urlsplit(address)
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORT or not parts.hostname:
        raise ValueError("no RTSP address")
    host, port = host_and_port(address)
    known = None
    if parts.username is not None:
        known = Credentials(unquote(parts.username), unquote(parts.password or ""))
    return Target(host, port, scheme == "rtsps", clean(address), known)


def redirected(target: Target, location: str, peer: str = "") -> Target:
    """Where a camera sends us. Only the same host and port, as safely reached, has our credentials.

    `peer` is the number at which `target` was reached, empty where it is unknown. Many a camera knows itself by that
    alone: its host is then the one that we know it by, and only the url has the number.
    Raises `ValueError` for what is no RTSP address.
    """
    there = parse_target(urljoin_rtsp(target.url, location))
    if any(address[0] == peer for *_, address in numeric_addresses(there.host)):
        there = attrs.evolve(there, host=target.host)
    is_same = is_same_host(there, target) and there.port == target.port and there.tls >= target.tls
    return attrs.evolve(there, credentials=target.credentials if is_same else None)


def is_same_host(one: Target, other: Target) -> bool:
    """By the name or number; nothing is resolved."""
    return one.host.lower() == other.host.lower()


def clean(url: str) -> str:
    """An address without user and password, in characters that a request line can hold.

    Raises `ValueError` for one that is too long.
    """
    if len(url) > MAX_ADDRESS:
        raise ValueError("an RTSP address that is too long")
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
    return quote(bare, safe=_KEPT)


def resolve(base: str, control: str) -> str:
    """The address of a medium, or of all together: absolute, or below `base`. Raises `ValueError` for what is none.

    Cameras expect it simply appended, even behind a query (RFC 2326, C.1.1, read as all of them do).
    """
    if control in ("", "*"):
        return clean(base)
    if "://" in control.split("?")[0]:
        return clean(control)
    if control.startswith("/"):
        return clean(urljoin_rtsp(base, control))
    return clean(f"{base}{control}" if base.endswith("/") else f"{base}/{control}")


def urljoin_rtsp(base: str, relative: str) -> str:
    """`urljoin`, which knows rtsp but not rtsps."""
    if base.lower().startswith("rtsps://"):
        joined = urljoin("rtsp" + base[5:], relative)
        return joined if "://" in relative.split("?")[0] else "rtsps" + joined[4:]
    return urljoin(base, relative)
