"""The host names that the server accepts. After DNS rebinding, a foreign page sends its own name in `Host`.

Rules of this file:
- The bytes of the `Host` header decide. A library may interpret them differently: Werkzeug treats a host with an
  unexpected character as missing.
- An unreadable host is refused with 400, a host that others may own with 421. A request without `Host` is served in
  HTTP/1.0 only, where it is optional; browsers always send it.
- The page that opens a WebSocket must have the host that it connects to, or a listed origin. An unreadable origin is
  foreign. Over TLS, that of the browser with us or with a trusted proxy, so is an origin of plain HTTP.
"""

import ipaddress
import re
from collections.abc import Collection, Iterable
from typing import Any

from werkzeug.exceptions import BadRequest, MisdirectedRequest

from .control import is_control

_NAME = r"[0-9A-Za-z_-]++(?:\.[0-9A-Za-z_-]++)*+\.?"
_HOST = re.compile(rf"(?:\[(?P<v6>[0-9A-Fa-f:.]++)\]|(?P<name>{_NAME}))(?::(?P<port>[0-9]{{0,5}}))?")
"""Only an IPv6 address is enclosed in brackets; a name has neither user, path nor zone."""
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#@]++)")
_PORTS = {"http": 80, "https": 443}
_LONGEST = 253
"""Maximum number of characters in a name (RFC 1035, section 2.3.4)."""
_LOCAL = (".local", ".localhost", ".lan", ".internal", ".home.arpa")
"""These suffixes cannot be registered in the public DNS (RFC 6761, 6762, 8375); neither can a name without a dot."""


def host_of(scope: Any) -> str | None:
    """Return the `Host` header of an ASGI scope as it was sent; None if it is missing in HTTP/1.0, which allows this.

    Raises `BadRequest` for a missing, empty or unreadable header, and for more than one.
    """
    sent: list[str] = [
        value.decode("latin-1").strip(" \t") for name, value in scope["headers"] if name.lower() == b"host"
    ]
    if not sent and scope["http_version"] == "1.0":
        return None
    if len(sent) != 1 or _parse(sent[0]) is None:
        raise BadRequest("the Host of the request is not one name or address that a host can have")
    return sent[0]


def require_ours(scope: Any, allow_origins: Collection[str]) -> None:
    """Raises `MisdirectedRequest` (421) for a `Host` that a stranger may own, and the errors of `host_of`.

    A request over the control socket may have any `Host`.
    """
    if is_control(scope):
        return
    host = host_of(scope)
    if host is not None and not is_ours(host, allow_origins):
        raise MisdirectedRequest(
            f"banken answers to addresses, to local names and to the hosts of web.allow_origins, not to {host[:100]}"
        )


def is_ours(host: str, allow_origins: Collection[str]) -> bool:
    parsed = _parse(host)
    if parsed is None:
        return False
    name = parsed[0]
    if not _is_address(name):
        listed = {origin.partition("://")[2].partition(":")[0].lower() for origin in allow_origins}
        return "." not in name or name.endswith(_LOCAL) or name in listed
    return True


def bare(host: str) -> str:
    """The name or address in a `Host`; empty if it is invalid."""
    parsed = _parse(host)
    return parsed[0] if parsed is not None else ""


def with_port(host: str) -> str:
    """Return a readable `host` with a port: 80, that of plain HTTP, if it names none."""
    parsed = _parse(host)
    assert parsed is not None
    name, port = parsed
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def may_connect(scope: Any, origins: Iterable[str], allow_origins: Collection[str]) -> bool:
    """Whether pages of all `origins` may open the WebSocket of `scope`; programs send no origin.

    No page can use the control socket. Raises the errors of `host_of`.
    """
    if is_control(scope):
        return True
    host, is_secure = host_of(scope), scope["scheme"] in ("https", "wss")
    return all(origin in allow_origins or _is_origin_of(origin, host, is_secure) for origin in origins)


def _is_origin_of(origin: str, host: str | None, is_secure: bool) -> bool:
    """Whether `origin` and `host` are equal. A proxy in front that we do not know of may terminate TLS."""
    match = _ORIGIN.fullmatch(origin)
    if match is None or host is None:
        return False
    if is_secure and match["scheme"] != "https":
        return False
    default = _PORTS[match["scheme"]]
    asked, ours = _parse(match["host"], default), _parse(host, default)
    return asked is not None and asked == ours


def _parse(host: str, default_port: int = 80) -> tuple[str, int] | None:
    """Return the name or address in lower case, without a trailing dot, and the port; None if `host` is invalid."""
    match = _HOST.fullmatch(host)
    if match is None:
        return None
    name, port = (match["v6"] or match["name"]).lower().removesuffix("."), int(match["port"] or default_port)
    if not 1 <= port <= 65535 or len(name) > _LONGEST or (match["v6"] and not _is_address(name)):
        return None
    return name, port


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
