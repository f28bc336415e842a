"""What a camera's refusals mean to people, and whether they pass by themselves."""

import errno
import socket
from collections.abc import Iterable

from supervisor.domain.values import Fault, Reason
from supervisor.printable import brief
from supervisor.redact import redact_words

from ...addresses import NameNotResolved

CARRIED = "H.264 and H.265"
"""The video codecs that are passed on."""

NO_ANSWER = Reason("no-answer", "the camera gives no usable answer: it hangs, or does not speak RTSP", Fault.TEMPORARY)
ENDED = Reason("ended", "the camera ended the connection", Fault.TEMPORARY)
LET_GO = Reason("ended", "the camera ended the stream", Fault.TEMPORARY)
BABBLES = Reason("bad-data", "the camera sends messages that nothing asked for, without end", Fault.TEMPORARY)
NO_TLS = Reason("no-answer", "the camera does not answer as TLS wants it; perhaps it speaks rtsp://", Fault.TEMPORARY)
TOO_SLOW = Reason("unreachable", "nothing answers there: no connection in time", Fault.TEMPORARY)
NO_VIDEO = Reason("no-video", "the stream has no video", Fault.FATAL)
WANDERS = Reason("refused", "the camera sends us from address to address", Fault.TEMPORARY)
NO_UDP_BY_TLS = Reason(
    "unsupported-transport", "the camera sends us to an rtsps:// address, which has no transport: udp", Fault.FATAL
)
NOWHERE = Reason("refused", "the camera sends us to an address that is none", Fault.TEMPORARY)

NO_PASSWORD = Reason("unauthorized", "the camera wants a user and a password, and none is configured", Fault.FATAL)

_CODECS = frozenset(
    """
    AV1 H261 H263 H263-1998 H263-2000 H264 H264-SVC H265 H266 HEVC JPEG JPEG2000 MJPEG MP2P MP2T MP4V-ES MPV RAW THEORA
    VC1 VC2 VND.ONVIF.METADATA VP8 VP9 X-H264
    AAC AC3 EAC3 AMR AMR-WB DVI4 EVS G711 G719 G722 G7221 G723 G726-16 G726-24 G726-32 G726-40 AAL2-G726-16 AAL2-G726-24
    AAL2-G726-32 AAL2-G726-40 G728 G729 G7291 GSM GSM-EFR ILBC L8 L16 L20 L24 LPC MP3 MP4A-LATM MPA MPA-ROBUST
    MPEG4-GENERIC OPUS PCM PCMA PCMA-WB PCMU PCMU-WB QCELP SPEEX VDVI VORBIS
    """.split()  # noqa: SIM905
)
"""Names of codecs that are shown (RFC 3551, section 6, and the media types of RTP that cameras use), in upper case."""

_REFUSALS = {
    401: Reason("unauthorized", "the camera refuses the user or password", Fault.FATAL),
    403: Reason("forbidden", "the camera forbids this stream to this user", Fault.FATAL),
    404: Reason("not-found", "the camera has no stream under this path", Fault.FATAL),
    453: Reason("full", "the camera serves as many connections as it can", Fault.TEMPORARY),
    503: Reason("full", "the camera serves as many connections as it can", Fault.TEMPORARY),
}
_UNREACHABLE = {
    errno.ECONNREFUSED: "nothing answers there: connection refused",
    errno.ETIMEDOUT: "nothing answers there: no connection in time",
    errno.EHOSTUNREACH: "there is no way to this address",
    errno.ENETUNREACH: "there is no way to this address",
}


class Ended(Exception):
    """The connection is over, for a reason that is the world's."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


class Moved(Exception):
    """The stream is somewhere else. `peer`: the number at which the one was reached that says so, if it is known."""

    def __init__(self, location: str) -> None:
        super().__init__("the camera sends us to another address")
        self.location, self.peer = location, ""


def refusal(status: int, transport: str) -> Reason:
    """What a status that is no success means; `transport` is how the stream was asked for."""
    if status in _REFUSALS:
        return _REFUSALS[status]
    if status == 461:
        return Reason("unsupported-transport", f"the camera does not send over {transport.upper()}", Fault.FATAL)
    if status < 500:
        return Reason("refused", f"the camera refuses the request with status {status}", Fault.TEMPORARY)
    return Reason("camera-error", f"the camera has a fault of its own, status {status}", Fault.TEMPORARY)


def unreachable(error: OSError) -> Reason:
    """Why there is no connection."""
    if isinstance(error, NameNotResolved):
        return Reason("name-timeout", "the name of this host is not resolved in time", Fault.TEMPORARY)
    if isinstance(error, socket.gaierror):
        return Reason("unreachable", "the name of this host is not known", Fault.TEMPORARY)
    text = _UNREACHABLE.get(error.errno or 0, f"there is no connection: {error.strerror or 'no reason was given'}")
    return Reason("unreachable", text, Fault.TEMPORARY)


def elsewhere(url: str, secrets: Iterable[str]) -> Reason:
    """A redirect that is not followed: a camera may not spend the connections of another device, or our password."""
    there = brief(redact_words(url, secrets))
    text = (
        f"the camera sends us to {there}; only its own host and device are followed, and only its own port gets "
        "a password: if this is right, write it as the camera's address"
    )
    return Reason("redirected", text, Fault.FATAL)


def named(encoding: str) -> str:
    """The name of a codec, if it is a known one: a camera may write anything there, also the password."""
    return encoding if encoding.upper() in _CODECS else "of a kind that nobody knows"


def unsupported(encoding: str) -> Reason:
    """`encoding` as the camera writes it in its description."""
    return Reason(
        "unsupported-codec", f"the stream is {named(encoding)}, which cannot be passed on; {CARRIED} can", Fault.FATAL
    )
