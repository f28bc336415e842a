"""The names we answer to. A page whose own name was made to lead here (DNS rebinding) asks for us by that name."""

import ipaddress
import re
import socket
from collections.abc import Collection

from werkzeug.exceptions import MisdirectedRequest

_HOST = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<name>[^:]*))(?::\d*)?")


def require_ours(host: str, allow_origins: Collection[str]) -> None:
    """Raises `MisdirectedRequest` (421) for a `Host` that is no name of ours."""
    if not is_ours(host, allow_origins):
        raise MisdirectedRequest(
            f"banken is not called {host[:100]}; it answers to addresses, localhost, its machine's name and the hosts "
            "of web.allow_origins"
        )


def is_ours(host: str, allow_origins: Collection[str]) -> bool:
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = (match["v6"] or match["name"] or "").lower().rstrip(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        listed = {origin.partition("://")[2].partition(":")[0].lower() for origin in allow_origins}
        return name in {"localhost", socket.gethostname().lower(), *listed}
    return True
