"""The security headers of every answer, including refusals of the HTTP server."""

from collections.abc import Iterable, Sequence

POLICY, FRAME = "Content-Security-Policy", "X-Frame-Options"
"""The second one says the same as `frame-ancestors` of the first, for old browsers."""
HEADERS = {
    FRAME: "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    POLICY: (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self' ws: wss:; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    ),
}
_PAIRS = tuple((name.lower().encode(), value.encode()) for name, value in HEADERS.items())


def with_security(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return `headers` with the missing ones of `HEADERS` added; a header that the route sets is kept unchanged.

    `X-Frame-Options` cannot name origins, so an answer with its own policy has none.
    """
    given = list(headers)
    names = {name.lower() for name, _ in given}
    if b"content-security-policy" in names:
        names.add(FRAME.lower().encode())
    return given + [pair for pair in _PAIRS if pair[0] not in names]


def policy_for(frame_ancestors: Sequence[str]) -> str:
    """The policy of answers that pages of these origins, and no others, may show in a frame."""
    return HEADERS[POLICY].replace("frame-ancestors 'self'", f"frame-ancestors {' '.join(frame_ancestors)}")
