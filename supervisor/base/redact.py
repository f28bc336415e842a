"""Hides secrets in addresses, arguments and the output of child processes before they are stored or shown.

Rules of this file:
- The time is linear in the length of the text: each pattern begins at a boundary, and no run of characters is read
  twice.
- Hiding too much does less harm than hiding too little, but the texts of our reasons stay readable.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from urllib.parse import quote, unquote

HIDDEN = "***"
LEAST = 3
"""Minimum length of a secret that is hidden everywhere. A shorter one would hide half of every text."""

_BETWEEN_WORDS = re.compile(r"([\s'\"]+)")
_SCHEME = re.compile(r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,31}:/{1,3}(?P<user>[^\s/@:?#'\"]*)(?=[:@])", re.IGNORECASE)
_PARAMETER = re.compile(r"(?<![\w.%-])(?P<name>[\w.%-]+)=(?P<value>[^&;\s'\"]+)")
_FIELD = re.compile(r"(?P<head>\"(?P<name>[\w.-]+)\"\s*:\s*)\"[^\"\r\n]*\"")
_HEADER = re.compile(r"(?<![\w-])(?P<name>[\w-]+)\s*:")
_LINE = re.compile(r"[^\r\n'\"]*")
_SECRET_HEADER = re.compile(r"(?:proxy-)?authorization|(?:set-)?cookie|(?:x-)?api-key", re.IGNORECASE)
_OWN_HEADER = re.compile(r"auth|token|key|secret|session|pass|pwd|psw|login|pin\b|credential|ticket|jwt", re.IGNORECASE)
_LOGIN = re.compile(r"\b(?P<scheme>basic|bearer)\s+(?P<value>[\w.~+/-]+=*)", re.IGNORECASE)
_OPTION_NAME = (
    r"-{1,2}(?:\w*(?:passphrase|password|secret|token|api_?key|cryptokey|cryption_key)|cookies|srtp_\w+_params)"
)
_OPTION = re.compile(rf"(?P<name>(?<!\S){_OPTION_NAME})\s+[^\s'\"]+", re.IGNORECASE)
_OWN_NAME = re.compile(r"[\w.-]{2,64}[=:]")

_PARTS = re.compile(
    r"pass|pwd|psw|token|secret|auth(?!or(?!i))|api_?key|signature|credential|session|loginpas|stok|ticket|jwt|crypt"
)
"""Parts of the names of secret parameters: Hikvision `auth`, Reolink `token`, Foscam `pwd` and `usrPwd`, VStarcam
`loginpas`, Dahua `authbasic`, TP-Link `stok`, `jsessionid` of Java servers."""
_NAMES = frozenset({"sid", "sig", "sign", "pw", "pin", "otp", "k", "key"})
"""Words of a name, separated by characters other than letters: `CAMERA_PIN`, `KEY_1`."""
_NO_LETTERS = re.compile(r"[^a-z]+")
_REFUSED = re.compile(r"pass|pwd|token|secret|auth|api_?key|signature")
_LEAST_BEARER = 16

Rule = Callable[[str], str]


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without passwords: those in URLs, headers, options and parameters, and all of `secrets`.

    A secret of the form `name=` or `name:` also hides what follows that name. Linear in the length of `text`.
    """
    text = hide(text, secrets)
    for rule in _RULES:
        text = rule(text)
    return text


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` without these `secrets`. The longest is hidden first, because one may be part of another."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= LEAST:
            if _OWN_NAME.fullmatch(secret):
                text = re.sub(rf"(?<![\w.-]){re.escape(secret)}\s*[^&;\s'\"]+", f"{secret}{HIDDEN}", text)
            else:
                text = text.replace(secret, HIDDEN)
    return text


def forms_of(secrets: Iterable[str]) -> tuple[str, ...]:
    """`secrets` in each form in which others may write them: unchanged, unquoted, and quoted once and twice."""
    plain = dict.fromkeys(form for secret in secrets for form in (secret, unquote(secret)))
    once = {quote(secret, safe=""): None for secret in plain}
    return tuple(plain | once | {quote(secret, safe=""): None for secret in once})


def redact_words(text: str, secrets: Iterable[str]) -> str:
    """As `redact`, for text whose author may know these `secrets` and may write them in upper or lower case."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= LEAST:
            text = re.sub(re.escape(secret), HIDDEN, text, flags=re.IGNORECASE)
    return redact(text, secrets)


def tell_secrets(arguments: Sequence[str], secrets: Iterable[str] = ()) -> bool:
    """Whether a program's arguments contain a password, as far as this can be detected.

    Narrower than `redact`: an argument that an earlier release accepted is now hidden, not rejected.
    """
    secrets = [secret for secret in secrets if len(secret) >= LEAST]
    if any(re.fullmatch(_OPTION_NAME, option, re.IGNORECASE) for option, _ in pairwise(arguments)):
        return True
    return any(_tells(argument) or any(secret in argument for secret in secrets) for argument in arguments)


def _tells(argument: str) -> bool:
    if _userinfo(argument) != argument or _options(argument) != argument:
        return True
    if any(_SECRET_HEADER.fullmatch(match["name"]) for match in _HEADER.finditer(argument)):
        return True
    return any(
        argument[max(0, match.start() - 1) : match.start()].strip("?&; \t\r\n") == ""
        and match.start() > 0
        and _REFUSED.search(match["name"].lower())
        for match in _PARAMETER.finditer(argument)
    )


def _userinfo(text: str) -> str:
    """Hide the login in an address, up to the last @ of the word: a password may contain an @ and a slash."""
    return "".join(map(_word, _BETWEEN_WORDS.split(text))) if "@" in text else text


def _word(word: str) -> str:
    last = word.rfind("@")
    match = _SCHEME.search(word, 0, last + 1)
    if match is None:
        return word
    head = word[: match.end()]
    return f"{head}:{HIDDEN}{word[last:]}" if match["user"] else f"{head}{word[last + 1 :]}"


def _headers(text: str) -> str:
    """Hide the rest of the line after the name of a header that holds a login, a cookie or a key."""
    parts, position = [], 0
    while (match := _next_header(text, position)) is not None:
        rest = _LINE.match(text, match.end())
        end = rest.end() if rest is not None else match.end()
        parts += [text[position : match.start()], match["name"], ":"]
        if text[match.end() : end].strip():
            parts.append(f" {HIDDEN}")
        position = end
    return "".join([*parts, text[position:]])


def _next_header(text: str, position: int) -> re.Match[str] | None:
    named = _HEADER.finditer(text, position)
    return next((match for match in named if _is_secret_header(match["name"])), None)


def _is_secret_header(name: str) -> bool:
    own = name[:2].lower() == "x-" and _OWN_HEADER.search(name)
    return bool(own or _SECRET_HEADER.fullmatch(name))


def _options(text: str) -> str:
    return _OPTION.sub(lambda match: f"{match['name']} {HIDDEN}", text)


def _parameters(text: str) -> str:
    return _PARAMETER.sub(lambda m: f"{m['name']}={HIDDEN if is_secret(m['name']) else _hide_joined(m['value'])}", text)


def _hide_joined(value: str) -> str:
    """Hide all behind a secret parameter within a value, as in `user=me_password=pa55_channel=1` of XM cameras."""
    pieces = value.split("=")
    secret = next((index for index, piece in enumerate(pieces[:-1]) if is_secret(piece)), None)
    return value if secret is None else "=".join([*pieces[: secret + 1], HIDDEN])


def _fields(text: str) -> str:
    return _FIELD.sub(lambda m: f'{m["head"]}"{HIDDEN}"' if is_secret(m["name"]) else m[0], text)


def _logins(text: str) -> str:
    return _LOGIN.sub(lambda m: f"{m['scheme']} {HIDDEN}" if _is_login(m["scheme"], m["value"]) else m[0], text)


_RULES: tuple[Rule, ...] = (_userinfo, _headers, _logins, _options, _parameters, _fields)


def is_secret(name: str) -> bool:
    """Whether the value of a parameter, a JSON field or an environment variable of this name is hidden."""
    name = unquote(name).lower()
    words = _NO_LETTERS.split(name)
    return not _NAMES.isdisjoint(words) or name.endswith("key") or _PARTS.search(name) is not None


def _is_login(scheme: str, value: str) -> bool:
    """Whether this is `Basic` with the base64 of a user and a password, or `Bearer` with a token, not plain prose."""
    if scheme.lower() == "bearer":
        return len(value) >= _LEAST_BEARER
    try:
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
