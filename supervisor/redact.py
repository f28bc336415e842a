"""Secrets stop at the door: what may be remembered or shown of addresses, arguments and the words of children."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

HIDDEN = "***"

_USERINFO = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*:/{1,3})(?P<user>[^\s/@:?#'\"]*)"
    r"(?::[^\s'\"]*)?@",  # up to the last @: a password may hold one, and a slash; to hide too much harms less
    re.IGNORECASE,
)
_PARAMETER = re.compile(
    r"(?P<name>[?&;\s](?:\w*(?:pass|pwd|token|secret|auth|apikey|api_key|signature)\w*))=[^&;\s'\"]+", re.IGNORECASE
)
_HEADER = re.compile(r"(?P<name>\b(?:(?:proxy-)?authorization|cookie|x-api-key)\s*:)[^\r\n'\"]+", re.IGNORECASE)
_OPTION_NAME = (
    r"-{1,2}(?:\w*(?:passphrase|password|secret|token|api_?key|cryptokey|cryption_key)|cookies|srtp_\w+_params)"
)
_OPTION = re.compile(rf"(?P<name>(?<!\S){_OPTION_NAME})\s+[^\s'\"]+", re.IGNORECASE)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without passwords: those in URLs, headers, options and parameters, and all of `secrets`."""
    for secret in secrets:
        if len(secret) >= 3:
            text = text.replace(secret, HIDDEN)
    text = _USERINFO.sub(lambda m: f"{m['scheme']}{m['user']}:{HIDDEN}@" if m["user"] else m["scheme"], text)
    text = _HEADER.sub(lambda m: f"{m['name']} {HIDDEN}", text)
    text = _OPTION.sub(lambda m: f"{m['name']} {HIDDEN}", text)
    return _PARAMETER.sub(lambda m: f"{m['name']}={HIDDEN}", text)


def tell_secrets(arguments: Sequence[str], secrets: Iterable[str] = ()) -> bool:
    """Whether a program's arguments have a password among them, as far as it can be seen."""
    secrets = tuple(secrets)
    named = any(re.fullmatch(_OPTION_NAME, option, re.IGNORECASE) for option, _ in pairwise(arguments))
    return named or any(redact(argument, secrets) != argument for argument in arguments)
