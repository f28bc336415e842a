"""The security headers of every answer, including refusals of the HTTP server."""

from collections.abc import Iterable

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self' ws: wss:; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    ),
}
_PAIRS = tuple((name.lower().encode(), value.encode()) for name, value in HEADERS.items())


def with_security(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return `headers` with the missing ones of `HEADERS` added; a header that the route sets is kept unchanged."""
    given = list(headers)
    names = {name.lower() for name, _ in given}
    return given + [pair for pair in _PAIRS if pair[0] not in names]
