"""Secrets stop at the door: what may be remembered or shown of addresses, arguments and the words of children."""

import re
from collections.abc import Iterable

HIDDEN = "***"

_USERINFO = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*:/{1,3})(?P<user>[^\s/@:?#'\"]*)"
    r"(?::[^\s'\"]*)?@",  # up to the last @: a password may hold one, and a slash; to hide too much harms less
    re.IGNORECASE,
)
_PARAMETER = re.compile(
    r"(?P<name>[?&;\s](?:\w*(?:pass|pwd|token|secret|auth|apikey|api_key|signature)\w*))=[^&;\s'\"]+", re.IGNORECASE
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without passwords: those in URLs, in parameters that sound like one, and all of `secrets`."""
    for secret in secrets:
        if len(secret) >= 3:
            text = text.replace(secret, HIDDEN)
    text = _USERINFO.sub(lambda m: f"{m['scheme']}{m['user']}:{HIDDEN}@" if m["user"] else m["scheme"], text)
    return _PARAMETER.sub(lambda m: f"{m['name']}={HIDDEN}", text)
