"""The meaning of a camera's refusals for people, and whether they are temporary."""

import errno
import socket
from collections.abc import Iterable, Sequence

from supervisor.base.printable import brief
from supervisor.base.redact import redact_words
from supervisor.config.config import Timeouts
from supervisor.domain.values import Fault, Reason

from ...addresses import NameNotResolved
from ...media.media import ENCODE_VIDEO
from .auth import parse_challenges

NO_ANSWER = Reason("no-answer", "the camera gives no usable answer: it hangs, or does not speak RTSP", Fault.TEMPORARY)
ENDED = Reason("ended", "the camera ended the connection", Fault.TEMPORARY)
STREAM_ENDED = Reason("ended", "the camera ended the stream", Fault.TEMPORARY)
UNASKED_MESSAGES = Reason("bad-data", "the camera sends messages that nothing asked for, without end", Fault.TEMPORARY)
NO_TLS = Reason("no-answer", "the TLS handshake with the camera failed; perhaps it speaks rtsp://", Fault.TEMPORARY)
NO_SUCH_NAME = Reason("unreachable", "the name of this host is not valid", Fault.TEMPORARY)
OUT_OF_ORDER = Reason(
    "unsupported-codec",
    "the stream is H.265 with interleaved NAL units (sprop-max-don-diff), which cannot be read; turn this off there",
    Fault.FATAL,
)
NO_VIDEO = Reason("no-video", "the stream has no video", Fault.FATAL)
TOO_MANY_REDIRECTS = Reason("refused", "the camera redirects too often", Fault.TEMPORARY)
NO_MULTICAST_BY_TLS = Reason(
    "unsupported-transport",
    "the camera sends us to an rtsps:// address, which goes with any `transport:` but `multicast`",
    Fault.FATAL,
)
WRONG_KEYS = Reason("wrong-keys", "the camera's media is encrypted (SRTP), and its keys do not fit", Fault.TEMPORARY)
NO_KEYS_HELP = "without SRTP in the camera, rtsps:// encrypts the media as well"
INVALID_REDIRECT = Reason("refused", "the camera redirects to an invalid address", Fault.TEMPORARY)

NO_PASSWORD = Reason("no-password", "the camera requires a user and a password, and none is configured", Fault.FATAL)
ONLY_BASIC = Reason(
    "unsupported-auth",
    "the camera only accepts Basic, which sends the password readably; `auth: digest` forbids it",
    Fault.FATAL,
)
UNKNOWN_CHALLENGE = Reason(
    "unsupported-auth", "the camera requires an authentication that banken does not have", Fault.FATAL
)
FULL = Reason("full", "the camera serves as many connections as it can", Fault.TEMPORARY)

_CODECS = frozenset(
    """
    AV1 H261 H263 H263-1998 H263-2000 H264 H264-SVC H265 H266 HEVC JPEG JPEG2000 MJPEG MP2P MP2T MP4V-ES MPV RAW THEORA
    VC1 VC2 VND.ONVIF.METADATA VP8 VP9 X-H264
    AAC AC3 EAC3 AMR AMR-WB DVI4 EVS G711 G719 G722 G7221 G723 G726-16 G726-24 G726-32 G726-40 AAL2-G726-16 AAL2-G726-24
    AAL2-G726-32 AAL2-G726-40 G728 G729 G7291 GSM GSM-EFR ILBC L8 L16 L20 L24 LPC MP3 MP4A-LATM MPA MPA-ROBUST
    MPEG4-GENERIC OPUS PCM PCMA PCMA-WB PCMU PCMU-WB QCELP SPEEX VDVI VORBIS
    """.split()  # noqa: SIM905
)
"""Names of codecs that are shown (RFC 3551, section 6, and the RTP media types that cameras use), in upper case."""

_REFUSALS = {
    401: Reason("unauthorized", "the camera refuses the user or password", Fault.FATAL),
    403: Reason("forbidden", "the camera forbids this stream to this user", Fault.FATAL),
    404: Reason("not-found", "the camera has no stream under this path", Fault.FATAL),
    453: FULL,
    503: FULL,
}
_UNREACHABLE = {
    errno.ECONNREFUSED: "nothing answers there: connection refused",
    errno.ETIMEDOUT: "nothing answers there: no connection in time",
    errno.EHOSTUNREACH: "there is no way to this address",
    errno.ENETUNREACH: "there is no way to this address",
}


class Ended(Exception):
    """The connection has ended for an external reason. `status` is the camera's refusal, 0 for any other end."""

    def __init__(self, reason: Reason, status: int = 0) -> None:
        super().__init__(reason.text)
        self.reason, self.status = reason, status
        self.at = ""
        """The method of the request at which the camera has ended the connection, if it did."""


class Again(Exception):
    """The connection has failed, and has shown how the next one may succeed."""


class Moved(Exception):
    """The stream has another address. `peer` is the IP address of the camera that redirects, if known."""

    def __init__(self, location: str) -> None:
        super().__init__("the camera sends us to another address")
        self.location, self.peer = location, ""


def refusal(status: int) -> Reason:
    """Return the meaning of a status outside 2xx."""
    if status in _REFUSALS:
        return _REFUSALS[status]
    if status < 500:
        return Reason("refused", f"the camera refuses the request with status {status}", Fault.TEMPORARY)
    return Reason("camera-error", f"the camera reports an internal error, status {status}", Fault.TEMPORARY)


def unauthorized(offered: Sequence[str], has_password: bool, was_sent: bool) -> Reason:
    """Return the meaning of status 401: a password that was not sent is not refused. `offered`: its challenges."""
    if not has_password:
        return NO_PASSWORD
    schemes = {challenge.scheme for challenge in parse_challenges(offered[:1])}
    if schemes and not was_sent:
        return ONLY_BASIC if "basic" in schemes else UNKNOWN_CHALLENGE
    return _REFUSALS[401]


def only_basic_at(port: int) -> Reason:
    """Return the reason for a tunnel at a port that the address does not name, and that only accepts Basic."""
    text = (
        f"the camera only accepts Basic at TCP port {port}, and only the port of its address gets a readable password: "
        f"if this is right, write port {port} in the address"
    )
    return Reason("unsupported-auth", text, Fault.FATAL)


def not_rtsp(error: ValueError) -> Reason:
    """Return the reason for an answer that cannot be read. `error` never quotes it."""
    return Reason("no-answer", f"the camera gives no usable answer: {error}", Fault.TEMPORARY)


def no_answer(limits: Timeouts) -> Reason:
    """Return the reason for an answer that did not come in time."""
    text = f"the camera gives no usable answer within {limits.named('answer')}"
    return Reason("no-answer", text, Fault.TEMPORARY)


def too_slow(limits: Timeouts) -> Reason:
    """Return the reason for a connection that was not accepted in time."""
    return Reason(
        "unreachable", f"nothing answers there: no connection within {limits.named('connect')}", Fault.TEMPORARY
    )


def no_tunnel(status: int) -> Reason:
    """Return why there is no tunnel through HTTP; `status` of the camera's answer other than 401, 0 without one."""
    if status == 0:
        return Reason("no-answer", "the camera gives no HTTP answer; try `transport: auto`", Fault.TEMPORARY)
    text = f"the camera opens no tunnel in HTTP: status {status}; try `transport: auto`"
    return Reason("unsupported-transport", text, Fault.FATAL)


def unreachable(error: OSError) -> Reason:
    """Return why there is no connection."""
    if isinstance(error, NameNotResolved):
        return Reason("name-timeout", "the name of this host is not resolved in time", Fault.TEMPORARY)
    if isinstance(error, socket.gaierror):
        return Reason("unreachable", "the name of this host is not known", Fault.TEMPORARY)
    text = _UNREACHABLE.get(error.errno or 0, f"there is no connection: {error.strerror or 'no reason was given'}")
    return Reason("unreachable", text, Fault.TEMPORARY)


def elsewhere(url: str, secrets: Iterable[str]) -> Reason:
    """Return the reason for a rejected redirect.

    A camera must not use the connections of another device, or get our password for another port.
    """
    there = brief(redact_words(url, secrets))
    text = (
        f"the camera sends us to {there}; only its own host and device are followed, and only its own port gets "
        "a password: if this is right, write it as the camera's address"
    )
    return Reason("redirected", text, Fault.FATAL)


def no_keys(why: str) -> Reason:
    """Return the reason for encrypted media whose keys are not known."""
    return Reason("encrypted", f"the camera's media is encrypted (SRTP), and {why}; {NO_KEYS_HELP}", Fault.FATAL)


def wrong_certificate(seen: str) -> Reason:
    """Return the reason for a certificate that is not the pinned one; `seen` is its SHA-256, empty without TLS."""
    if not seen:
        text = "the camera sends us to an address without TLS, and the configuration pins its certificate"
        return Reason("wrong-certificate", text, Fault.FATAL)
    text = f"the camera's certificate is not the pinned one; if its SHA-256 is right, write it as tls.pin: {seen}"
    return Reason("wrong-certificate", text, Fault.FATAL)


def named(encoding: str, number: int) -> str:
    """Return the name of a codec if it is known: a camera may write anything there, including the password.

    `number` is its payload type; -1 if that is missing.
    """
    if encoding.upper() in _CODECS:
        return encoding
    return "of an unknown codec" if number < 0 else f"of an unknown codec (payload type {number})"


def unsupported(encoding: str, number: int) -> Reason:
    """Return the reason for an unsupported video codec; `encoding` is the camera's own name for it."""
    return Reason(
        "unsupported-codec",
        f"the stream is {named(encoding, number)}, which cannot be passed on; choose H.264 in the camera's "
        f"settings, or let an ffmpeg: source encode it with {ENCODE_VIDEO}, or a go2rtc if the address has a password",
        Fault.FATAL,
    )
