"""The relying party of a request: the name to which passkeys are bound.

Rules of this file:
- A passkey is bound to the name of a host. It is that of the request's `Origin`, which is also its `Host`, or is listed
  in `web.allow_origins` if a proxy rewrites the `Host`.
- Only a page of banken itself may ask: a listed page of another site may not.
- Browsers give passkeys to names only, over https or at `localhost`. Elsewhere the answer says so.
"""

import re
from collections.abc import Collection
from ipaddress import ip_address

from quart import Request
from werkzeug.exceptions import Conflict

from supervisor.ports.passkeys import RelyingParty

from .cross_site import is_foreign
from .hosts import bare, may_connect

_ORIGIN = re.compile(r"(https?)://([^/?#@]+)")
BY_BROWSER = "passkeys are for the page of banken in a browser; programs use a token"
BY_NAME = "browsers give no passkey to an address: open banken by a name"
SECURELY = "browsers give passkeys over https only, or at localhost"


def relying_party_of(asked: Request, allow_origins: Collection[str]) -> RelyingParty:
    """The relying party of the page that asks. Raises `Conflict` for another client, and where none can work."""
    origins = asked.headers.getlist("Origin")
    found = _ORIGIN.fullmatch(origins[0]) if len(origins) == 1 else None
    if found is None or is_foreign(asked) or not may_connect(asked.scope, origins, allow_origins):
        raise Conflict(BY_BROWSER)
    name = bare(found[2])
    if not name or _is_address(name):
        raise Conflict(BY_NAME)
    if found[1] != "https" and name != "localhost" and not name.endswith(".localhost"):
        raise Conflict(SECURELY)
    return RelyingParty(name, origins[0])


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
