"""The names we answer to. A page whose own name was made to lead here (DNS rebinding) asks for us by that name."""

import ipaddress
import re
from collections.abc import Collection

from werkzeug.exceptions import MisdirectedRequest

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]*+)\]|(?P<name>[0-9A-Za-z._-]*+))(?::\d*+)?")
"""An IPv6 address stands in brackets, and nothing else does; a name has neither user, path nor zone."""
_LOCAL = (".local", ".localhost", ".lan", ".internal", ".home.arpa")
"""Nobody can have such a name in the public DNS (RFC 6761, 6762, 8375), nor one without a dot."""


def require_ours(host: str, allow_origins: Collection[str]) -> None:
    """Raises `MisdirectedRequest` (421) for a `Host` that a stranger may have."""
    if not is_ours(host, allow_origins):
        raise MisdirectedRequest(
            f"banken answers to addresses, to local names and to the hosts of web.allow_origins, not to {host[:100]}"
        )


def is_ours(host: str, allow_origins: Collection[str]) -> bool:
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    if match["v6"] is not None:
        return _is_address(match["v6"])
    name = match["name"].lower().removesuffix(".")
    if not _is_address(name):
        listed = {origin.partition("://")[2].partition(":")[0].lower() for origin in allow_origins}
        return "." not in name or name.endswith(_LOCAL) or name in listed
    return True


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
