"""The client of a request: the address of the person or program behind it, also when a proxy forwards the request.

Rules of this file:
- A header names the client, and its scheme, only if the TCP peer is a trusted proxy (`web.trusted_proxies`).
- One family of headers is read (`web.forwarded`). The other family is always ignored.
- Addresses are read from right to left. Trusted addresses are skipped; the first other one is the client. Everything to
  the left of it is ignored: the sender of the request may have forged it.
- An unreadable address is refused with 400. No other address replaces it. The same holds for the scheme, which may
  have one value only: that of the connection between the client and the outermost proxy.
- A loopback address that a trusted proxy has, or names, is never the local user. It is written `127.0.0.1 (forwarded)`,
  which is not an address, so it cannot be taken for one of this machine.
- A request over the control socket has the client `local`.
- Time is linear in the length of the headers.
"""

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import attrs
from quart import has_websocket_context, request, websocket
from werkzeug.exceptions import BadRequest

from supervisor.domain.clients import LOCAL

from .control import is_control

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Headers = Iterable[tuple[bytes, bytes]]
_Hop = tuple[str, list[str]]
"""The address that a proxy names, and the schemes that are named with it."""

FAMILIES = {"x-forwarded": b"x-forwarded-for", "forwarded": b"forwarded"}
"""The settings of `web.forwarded`, each with the header that holds the addresses."""
FORWARDING = frozenset(
    (
        b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"client-ip", b"x-cluster-client-ip",
        b"cf-connecting-ip", b"fastly-client-ip", b"x-original-forwarded-for", b"x-original-host", b"x-original-url",
        b"x-scheme", b"x-url-scheme", b"front-end-https", b"x-envoy-external-address", b"forwarded-for",
    )
)  # fmt: skip
"""Headers that proxies add. Those that begin like `X-Forwarded-For` belong to them, too."""
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""The schemes that a proxy may name, each with its meaning: some proxies name that of a WebSocket."""
WEBSOCKETS = {"http": "ws", "https": "wss"}
MOST_HOPS = 16
"""Maximum number of consecutive trusted proxies; a longer chain is refused."""
SCOPE = "banken.client"
"""The key of the ASGI scope that holds the client, or the error why it is unknown."""

_NODE = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<four>[0-9.]{7,15}))(?::(?P<port>\d{1,5}))?", re.ASCII)
"""An address with an optional port (RFC 7239, section 6); an IPv6 address is enclosed in brackets."""
_PAIR = re.compile(
    r"[ \t]*+([!#$%&'*+.^_`|~0-9A-Za-z-]++)=(?:([!#$%&'*+.^_`|~0-9A-Za-z-]++)|\"((?:[^\"\\]|\\.)*+)\")[ \t]*+(;|,|$)",
    re.DOTALL,
)
"""One `name=value` of an element, and its delimiter (RFC 7239, section 4)."""


@attrs.frozen
class Proxies:
    """The proxies that may name the client, and the family of headers in which they do."""

    networks: tuple[Network, ...] = ()
    """`web.trusted_proxies`; none by default."""
    family: str = "x-forwarded"
    """`web.forwarded`: a key of `FAMILIES`."""

    def trusts(self, peer: str) -> bool:
        """Whether a TCP peer (an address as the socket names it) is a trusted proxy."""
        address = _plain(peer)
        return address is not None and self.trusts_address(address)

    def trusts_address(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


class ForwardedError(Exception):
    """The header of a trusted proxy does not name a client; the text gives the reason."""


def client_of(peer: str | None, headers: Headers, proxies: Proxies) -> str:
    """Return the client of a request: its address without the port, in its shortest form.

    The result is used for caps, journal, API and log.

    Args:
        peer: the address of the TCP peer; None if the transport has none.
        headers: all headers in their order, names in lower case.
        proxies: the setting.

    Raises `ForwardedError` if the header of a trusted proxy cannot be read.
    """
    return read_forwarded(peer, headers, proxies)[0]


def read_forwarded(peer: str | None, headers: Headers, proxies: Proxies) -> tuple[str, str]:
    """Return the client, as `client_of`, and the scheme that it uses: `http`, `https`, or empty if no proxy says so."""
    address = _plain(peer or "")
    if address is None:
        return peer or "unknown", ""
    if not proxies.trusts_address(address):
        return str(address), ""
    lines = _lines(headers, FAMILIES[proxies.family])
    if proxies.family == "x-forwarded":
        schemes = _lines(headers, b"x-forwarded-proto")
        hops: Iterator[_Hop] = ((text, schemes) for text in _listed(lines))
    else:
        schemes, hops = [], _forwarded(lines)
    for number, (text, schemes) in enumerate(hops):  # noqa: B007
        if number >= MOST_HOPS:
            raise ForwardedError(f"names more than {MOST_HOPS} proxies in a row")
        address = _forwarded_address(text)
        if not proxies.trusts_address(address):
            break
    return _passed_on(address), _scheme(schemes)


def _lines(headers: Headers, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in headers if name == wanted]


def _scheme(values: list[str]) -> str:
    """Raises `ForwardedError` for several values, and for one that is not a scheme."""
    if not values:
        return ""
    found = SCHEMES.get(values[0].lower()) if len(values) == 1 else None
    if found is None:
        raise ForwardedError(f"has no scheme of one client: {', '.join(values)[:60]!r}")
    return found


def _passed_on(address: Address) -> str:
    """Return the name of a client that is not the TCP peer; a loopback address is marked as forwarded."""
    return f"{address} (forwarded)" if address.is_loopback else str(address)


def identify(scope: Any, proxies: Proxies) -> str | ForwardedError:
    """Return the client of an ASGI scope, or the error why it is unknown.

    The scheme of the scope becomes the one that the client uses, if a trusted proxy names it.
    """
    if is_control(scope):
        return LOCAL
    peer = scope.get("client")
    try:
        found, scheme = read_forwarded(peer[0] if peer else None, scope["headers"], proxies)
    except ForwardedError as error:
        return ForwardedError(f"{proxies.family} {error}")
    if scheme:
        scope["scheme"] = scheme if scope["type"] == "http" else WEBSOCKETS[scheme]
    return found


def is_forwarded(scope: Any) -> bool:
    """Whether somebody stands between the client and us, or says so.

    A proxy that adds no header may still speak HTTP/1.0, as nginx does by default. Browsers and programs do not.
    """
    if scope["http_version"] == "1.0":
        return True
    return any(name in FORWARDING or name.startswith(b"x-forwarded") for name, _ in scope["headers"])


def client() -> str:
    """Return the client of the current request or WebSocket. Raises `BadRequest` if a proxy did not name it."""
    at_hand: Any = websocket if has_websocket_context() else request
    found = at_hand.scope[SCOPE]
    if isinstance(found, ForwardedError):
        raise BadRequest(f"the proxy does not name the client: {found}")
    return str(found)


def _listed(lines: list[str]) -> Iterator[str]:
    """Yield the elements of comma-separated lists, the last one first."""
    for line in reversed(lines):
        end = len(line)
        while end >= 0:
            comma = line.rfind(",", 0, end)
            yield line[comma + 1 : end].strip(" \t")
            end = comma if comma >= 0 else -1


def _forwarded(lines: list[str]) -> Iterator[_Hop]:
    """Yield the elements of `Forwarded`, the last one first. A line is valid as a whole or refused."""
    for line in reversed(lines):
        yield from reversed(_elements(line))


def _elements(line: str) -> list[_Hop]:
    """Parse one line. Raises `ForwardedError` for syntax that RFC 7239 does not allow."""
    found, names, at = list[_Hop](), dict[str, str](), 0
    while True:
        pair = _PAIR.match(line, at)
        if pair is None:
            raise ForwardedError(f"has no name=value at character {at + 1}")
        name, token, quoted, ending = pair.groups()
        if name.lower() in names:
            raise ForwardedError(f"has a second {name[:20]} in one element")
        names[name.lower()] = token if token is not None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
        if ending != ";":
            if "for" not in names:
                raise ForwardedError("has an element without for=")
            found.append((names["for"], [names["proto"]] if "proto" in names else []))
            names = {}
        if not ending:
            return found
        at = pair.end()


def _forwarded_address(text: str) -> Address:
    """Raises `ForwardedError` unless it is the address of one host: `unknown`, `_hidden`, names, zones, empty."""
    node = _NODE.fullmatch(text)
    bare = text if node is None else node["six"] or node["four"]
    address = _plain(bare) if "%" not in bare and (node is None or int(node["port"] or 0) < 65536) else None
    if node is not None and node["six"] and not isinstance(ip_address_or_none(bare), IPv6Address):
        address = None
    if address is None or address.is_unspecified or address.is_multicast:
        raise ForwardedError(f"has no address of a client: {text[:60]!r}")
    return address


def ip_address_or_none(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _plain(text: str) -> Address | None:
    """Parse an address; IPv4 inside IPv6 (`::ffff:192.0.2.1`) becomes IPv4. None for any other text."""
    address = ip_address_or_none(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
