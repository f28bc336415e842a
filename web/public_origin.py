"""The origin of a request as its browser writes it, for addresses that another server sends the browser back to.

Rules of this file:
- The host is one that `hosts.require_ours` has let in. Nothing that a client may choose freely is read, so no header
  names the scheme: a proxy with TLS is listed in `web.allow_origins`, as its browsers reach it.
- Plain HTTP is an origin on loopback only: a code from a login provider must not cross a network readably.
"""

from collections.abc import Collection

from quart import Request

from supervisor.domain.clients import is_loopback

from .access import is_secure
from .hosts import bare, host_of


def public_origin(asked: Request, allow_origins: Collection[str]) -> str | None:
    """Like `https://cams.example`; None if browsers reach us only by plain HTTP over a network."""
    host = (host_of(asked.scope) or "").lower()
    if not host:
        return None
    if is_secure(asked) or f"https://{host}" in allow_origins:
        return f"https://{host}"
    return f"http://{host}" if is_loopback(bare(host)) else None
