"""Stream addresses: validation, resolution and credentials. The `url` of a `Target` holds no secret.

Source: RFC 2326, section 3.2; RFC 3986.
"""

import re
from collections.abc import Callable
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import attrs

from supervisor.base.redact import HIDDEN
from supervisor.config.config import Source

from ...addresses import numeric_addresses
from .auth import Credentials

DEFAULT_PORT = {"rtsp": 554, "rtsps": 322}
MAX_ADDRESS = 4000

_KEPT = "!#$%&'()*+,/:;=?@[]~"
"""Characters that stay as they are in an address; all others are written as %XX."""
_SCHEME = re.compile(r"([a-z]{3,8}):/{1,2}", re.IGNORECASE)
_HOST = re.compile(
    r"[a-z0-9_-]++(?:\.[a-z0-9_-]++)++:[0-9]{1,5}|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9a-f:.%]*+\](?::[0-9]{1,5})?"
    r"|[0-9a-f]*+:[0-9a-f]*+:[0-9a-f:.]*+"
)
"""A host that is recognised without a scheme: with a port, or an IP address."""


def check(source: Source) -> str | None:
    """Return the error in an address, as text for people; None when it can be used."""
    scheme = ""
    try:
        parts = urlsplit(source.address)
        scheme = parts.scheme.lower()
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        # An @ after the host is the end of a password that contains a delimiter of the URL.
        usable = usable and "@" not in parts.path + parts.query + parts.fragment
    except ValueError:
        usable = False
    if not usable or any(character in source.address for character in "\r\n\0"):
        return (
            f"{_without_login(source.address)!r} is no RTSP address; it should look like rtsp://192.0.2.10:554/path, "
            "with user:password@ in front of the host if it wants them, and @ / # ? in a password written as "
            "%40 %2F %23 %3F"
        )
    if len(source.address) > MAX_ADDRESS:
        return f"an RTSP address of {len(source.address)} characters is too long"
    if source.transport == "multicast" and scheme == "rtsps":
        return "over multicast nothing would be encrypted; rtsps:// goes with any other `transport`"
    return None


def _without_login(address: str) -> str:
    """Return a malformed address without what may belong to a password: all from its first colon to its last @."""
    head, at, rest = address.rpartition("@")
    scheme, separator, login = head.partition("://")
    user, colon, _ = login.partition(":")
    return f"{scheme}://{user if colon else HIDDEN}:{HIDDEN}@{rest}" if at and separator else rest


def host_and_port(address: str) -> tuple[str, int]:
    """Return the host and the TCP port of `address`."""
    parts = urlsplit(address)
    return parts.hostname or "", parts.port or DEFAULT_PORT.get(parts.scheme.lower(), 554)


@attrs.frozen
class Target:
    """The location of a stream. `url` is used in requests: it has no user and no password."""

    host: str
    port: int
    tls: bool
    url: str
    credentials: Credentials | None = None


def parse_target(address: str, digest_only: bool = False) -> Target:
    """Parse an RTSP address; `digest_only` is for its credentials. Raises `ValueError` when it is not one."""
    parts = urlsplit(address)
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORT or not parts.hostname:
        raise ValueError("no RTSP address")
    host, port = host_and_port(address)
    known = None
    if parts.username is not None:
        known = Credentials(unquote(parts.username), unquote(parts.password or ""), digest_only)
    return Target(host, port, scheme == "rtsps", clean(address), known)


def redirected(target: Target, location: str, peer: str = "") -> Target:
    """Return the target of a redirect. Only the same host and port, at least as secure, gets our credentials.

    `peer` is the IP address at which `target` was reached, empty if unknown. Many cameras know themselves only by that
    address: the host is then the configured one, and only the url has the IP address. Raises `ValueError` when
    `location` is not an RTSP address.
    """
    there = parse_target(urljoin_rtsp(target.url, location))
    if any(address[0] == peer for *_, address in numeric_addresses(there.host)):
        there = attrs.evolve(there, host=target.host)
    is_same = is_same_host(there, target) and there.port == target.port and there.tls >= target.tls
    return attrs.evolve(there, credentials=target.credentials if is_same else None)


def is_same_host(one: Target, other: Target) -> bool:
    """Compare by name or IP address; nothing is resolved."""
    return one.host.lower() == other.host.lower()


def clean(url: str) -> str:
    """Return an address without user and password, in characters that are valid in a request line.

    Raises `ValueError` when it is too long.
    """
    if len(url) > MAX_ADDRESS:
        raise ValueError("an RTSP address that is too long")
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
    return quote(bare, safe=_KEPT)


def resolve(base: str, control: str) -> str:
    """Return the address of one medium or of the whole presentation: absolute, or below `base`.

    Cameras expect `control` to be appended as text, even behind a query: all read RFC 2326, C.1.1 in this way. Raises
    `ValueError` for an invalid address.
    """
    if control in ("", "*"):
        return clean(base)
    if control.startswith("?"):
        return clean(f"{base}{control}")
    if _is_absolute(control, base):
        return clean(repair(control, base))
    if control.startswith("/"):
        return clean(urljoin_rtsp(base, control))
    return clean(f"{base}{control}" if base.endswith("/") else f"{base}/{control}")


def repair(base: str, asked: str) -> str:
    """Return the absolute address that a camera means by its `Content-Base`; `asked` is the address of the request.

    A usable one stays as it is. Cameras repeat the scheme or leave it out, write a path, `*` or nothing. Raises
    `ValueError` for some invalid addresses.
    """
    text = base.strip(" \t<>\"'")
    scheme, named, at = asked.partition("://")[0], "", 0
    while found := _SCHEME.match(text, at):
        named, at = found[1].lower(), found.end()
    text = text[at:]
    if text in ("", "*"):
        return asked
    if text.startswith("/") and not text.startswith("//"):
        return urljoin_rtsp(asked, text)
    if named or text.startswith("//") or _is_host(text, asked):
        return f"{named if named in DEFAULT_PORT else scheme}://{text.lstrip('/')}"
    return f"{asked}{text}" if text.startswith("?") else urljoin_rtsp(asked, f"./{text}")


def candidates(base: str, asked: str, presentation: str, control: str) -> list[tuple[str, str]]:
    """Return the addresses under which a medium may be found, the likely one first, each with that of the whole.

    `presentation` and `control` are the control addresses of the description. A camera that does not know one address
    is asked for the next: below `asked` instead of `base`, or at its host.
    """
    found: dict[str, str] = {}
    for below in (base, asked):
        for whole in (_valid(resolve, below, presentation), _valid(clean, below)):
            if whole and (url := _valid(resolve, whole, control)):
                found.setdefault(url, whole)
    for url, whole in list(found.items()):
        found.setdefault(_valid(at_host, url, asked) or url, _valid(at_host, whole, asked) or whole)
    if control.startswith("/") and (url := _valid(clean, asked.rstrip("/") + control)):
        found.setdefault(url, asked)
    return list(found.items()) or [(asked, asked)]


def _valid(make: Callable[..., str], *given: str) -> str | None:
    try:
        return make(*given)
    except ValueError:
        return None


def _is_absolute(control: str, base: str) -> bool:
    return _SCHEME.match(control) is not None or _is_host(control, base)


def _is_host(text: str, asked: str) -> bool:
    """Whether `text` begins with a host, and not with the name of a folder."""
    first, known = _authority(text), _authority(asked.partition("://")[2])
    return bool(first) and (_host(first) == _host(known) or _HOST.fullmatch(first) is not None)


def _authority(text: str) -> str:
    return re.split("[/?]", text, maxsplit=1)[0].rpartition("@")[2].lower()


def _host(authority: str) -> str:
    """Return the host without its port and its brackets."""
    host, _, port = authority.rpartition(":")
    return (host if host and port.isdigit() and (":" not in host or host.endswith("]")) else authority).strip("[]")


def at_host(address: str, asked: str) -> str:
    """Return `address` with the scheme, host and port of `asked`. Raises `ValueError` for an invalid address."""
    scheme, host = urlsplit(asked)[:2]
    return urlunsplit(urlsplit(address)._replace(scheme=scheme, netloc=host))


def urljoin_rtsp(base: str, relative: str) -> str:
    """`urljoin` that supports rtsps besides rtsp."""
    if base.lower().startswith("rtsps://"):
        joined = urljoin("rtsp" + base[5:], relative)
        return joined if "://" in relative.split("?")[0] else "rtsps" + joined[4:]
    return urljoin(base, relative)
