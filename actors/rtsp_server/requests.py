"""Reads the requests of a reader: address, transport, and whether the session allows them. Pure.

Rules of this file:
- Which method a session allows is one table.
- A refusal says why, in words, and closes nothing by itself.
- Readers choose channels and UDP ports; wrong or taken channels are replaced, and UDP ports may only be unprivileged.

Source: RFC 2326, sections 10 (methods), 12.39 (Transport) and A.1 (states).
"""

import re
from collections.abc import Collection, Mapping
from enum import Enum, auto
from urllib.parse import unquote, urlsplit

import attrs

from ..sources.rtsp.messages import RtspRequest, encode_response

SESSION_S = 60
"""Seconds without a sign of life after which a reader of datagrams is closed."""
MAX_NAME = 256
"""Characters of an address that are quoted."""
MOST_OFFERS = 16
"""Transports of one request that are looked at: players offer one to four."""
_LEAST_PORT = 1024

PHRASES = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    415: "Unsupported Media Type",
    451: "Parameter Not Understood",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    459: "Aggregate Operation Not Allowed",
    461: "Unsupported Transport",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    551: "Option not supported",
}


Headers = Mapping[str, str | tuple[str, ...]]
"""Of a response: a tuple has a value for each of several headers of that name."""


class Stage(Enum):
    """How far the session of a connection is."""

    NONE = auto()
    """Nothing is set up."""
    READY = auto()
    """At least one track is set up."""
    PLAYING = auto()


_N, _R, _P = Stage
ALLOWED: Mapping[str, Collection[Stage]] = {
    "OPTIONS": (_N, _R, _P),
    "DESCRIBE": (_N, _R),
    "SETUP": (_N, _R),
    "PLAY": (_R, _P),
    "TEARDOWN": (_N, _R, _P),
    "GET_PARAMETER": (_N, _R, _P),
    "SET_PARAMETER": (_N, _R, _P),
}
"""The stages in which each method is possible. PLAY of a session that plays changes nothing."""
REFUSED = ("ANNOUNCE", "RECORD", "PAUSE", "REDIRECT")
"""Methods of RTSP that no session allows: banken records no stream of others, and a live stream cannot pause."""
PUBLIC = ", ".join(ALLOWED)


@attrs.frozen
class RequestRefused(Exception):
    """The answer to a request that cannot be served."""

    status: int
    reason: str
    headers: Headers = attrs.field(factory=dict)

    def __str__(self) -> str:
        return self.reason


@attrs.frozen
class NamedCamera:
    """The camera, and perhaps the track, that a URL names."""

    camera: str
    track: int | None
    """None for the whole camera."""


def check(request: RtspRequest, stage: Stage, session: str) -> None:
    """Raise `RequestRefused` for a request that is not possible. `session`: that of the connection, or empty."""
    if not re.fullmatch(r"[0-9]{1,10}", request.header("cseq")):
        raise RequestRefused(400, "a request needs a CSeq, a number")
    if request.header("require") or request.header("proxy-require"):
        unsupported = {"Unsupported": request.header("require") or request.header("proxy-require")}
        raise RequestRefused(
            551, "no option of Require is supported", {} if "\n" in unsupported["Unsupported"] else unsupported
        )
    if request.method in REFUSED:
        raise RequestRefused(
            405, f"{request.method} is not possible: cameras are live, and can only be read", {"Allow": PUBLIC}
        )
    if request.method not in ALLOWED:
        raise RequestRefused(501, "this method is not known", {"Public": PUBLIC})
    named = request.header("session").partition(";")[0].strip()
    if named and named != session:
        raise RequestRefused(454, "there is no such session in this connection")
    if stage not in ALLOWED[request.method]:
        before = "nothing is set up yet" if stage is Stage.NONE else "it plays already"
        raise RequestRefused(455, f"{request.method} is not possible now: {before}")


def read_address(url: str) -> NamedCamera:
    """Return what the URL names. Raises `RequestRefused` for an unreadable one. The query is ignored."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise RequestRefused(400, "the address cannot be read; it must be like rtsp://HOST:PORT/CAMERA") from None
    if parts.scheme.lower() not in ("rtsp", "rtspu"):
        raise RequestRefused(400, "the address must be like rtsp://HOST:PORT/CAMERA")
    path = unquote(parts.path, errors="replace").strip("/")
    if len(path) > MAX_NAME:
        raise RequestRefused(404, "there is no camera of such a long name")
    camera, _, control = path.partition("/")
    if not control:
        return NamedCamera(camera, None)
    if found := re.fullmatch(r"trackID=([01])", control):
        return NamedCamera(camera, int(found[1]))
    raise RequestRefused(404, "below a camera there is only trackID=0, its video, and trackID=1, its audio")


@attrs.frozen
class Channels:
    """RTP and RTCP as interleaved frames in the connection."""

    rtp: int

    @property
    def header(self) -> str:
        return f"RTP/AVP/TCP;unicast;interleaved={self.rtp}-{self.rtp + 1}"


@attrs.frozen
class Ports:
    """RTP and RTCP as datagrams to these UDP ports of the reader."""

    rtp: int
    rtcp: int


def read_transport(header: str, track: int, taken: Collection[int]) -> Channels | Ports:
    """Return the first supported transport. `taken`: channels of other tracks. Raises `RequestRefused`."""
    for offer in header.split(",", MOST_OFFERS)[:MOST_OFFERS]:
        profile, *parameters = (part.strip() for part in offer.split(";"))
        values = {name.lower(): value.strip('" ') for name, _, value in (part.partition("=") for part in parameters)}
        if "multicast" in values or values.get("mode", "play").lower() not in ("play", ""):
            continue
        if profile.upper() == "RTP/AVP/TCP":
            return Channels(_free_channel(values.get("interleaved", ""), track, taken))
        if profile.upper() in ("RTP/AVP", "RTP/AVP/UDP") and "client_port" in values:
            return _ports(values["client_port"])
    reason = "supported are RTP/AVP/TCP;unicast;interleaved=A-B and RTP/AVP;unicast;client_port=A-B"
    raise RequestRefused(461, reason)


def _free_channel(wanted: str, track: int, taken: Collection[int]) -> int:
    """Return the wanted pair of channels if it is one and free, otherwise another."""
    found = re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", wanted)
    used = {each for channel in taken for each in (channel, channel + 1)}
    if found:
        first, second = int(found[1]), int(found[2] or int(found[1]) + 1)
        if first <= 254 and second == first + 1 and used.isdisjoint((first, second)):
            return first
    return next(channel for channel in range(2 * track, 256, 2) if used.isdisjoint((channel, channel + 1)))


def _ports(wanted: str) -> Ports:
    found = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", wanted)
    if found:
        ports = Ports(int(found[1]), int(found[2] or int(found[1]) + 1))
        if all(_LEAST_PORT <= port <= 65_535 for port in (ports.rtp, ports.rtcp)) and ports.rtp != ports.rtcp:
            return ports
    raise RequestRefused(461, f"client_port must name two UDP ports from {_LEAST_PORT} on")


def reply(
    request: RtspRequest | None,
    status: int,
    headers: Headers | None = None,
    body: bytes = b"",
    kind: str = "",
) -> bytes:
    """Return a response. `kind` is the media type of `body`."""
    cseq = request.header("cseq") if request is not None else ""
    fields: dict[str, str | tuple[str, ...]] = {"CSeq": cseq} if re.fullmatch(r"[0-9]{1,10}", cseq) else {}
    fields |= {"Server": "banken", **(headers or {})}
    if body:
        fields |= {"Content-Type": kind, "Content-Length": str(len(body))}
    return encode_response(f"{status} {PHRASES[status]}", fields) + body


def refusal(request: RtspRequest | None, refused: RequestRefused) -> bytes:
    """Return the response to a request that is refused: the reason is its body."""
    body = f"{refused.reason}\n".encode(errors="replace")
    return reply(request, refused.status, refused.headers, body, "text/plain; charset=utf-8")
