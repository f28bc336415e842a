"""Facts about a camera: announced by itself, and measured in its current connection, or in the last one.

Rules of this file:
- A text that a camera wrote is one line of at most `MAX_TEXT` characters, without secrets and control characters.
- An unknown text is empty, and an unknown number is null.
"""

from msgspec import Struct

MAX_TEXT = 120


class MetOddity(Struct, frozen=True, kw_only=True):
    """A deviation from the standards that a camera has shown since banken opened it first."""

    code: str
    """Its name, as in [cameras.md](cameras.md#oddities)."""
    does: str
    """The deviation."""
    handled: str
    """How banken handles it."""
    count: int
    """How often it occurred."""


class CameraFacts(Struct, frozen=True, kw_only=True):
    """A camera as it announced itself, and as its current or last connection was measured.

    The fields of the stream, from `codec` to `audio_use`, are empty from the next attempt on until its media arrive.
    """

    server: str = ""
    """The software of the camera, from the `Server` header of its answers."""
    title: str = ""
    """The name of the session (SDP, `s=`)."""
    information: str = ""
    """The description of the session (SDP, `i=`)."""
    tool: str = ""
    """The program that wrote the description (SDP, `a=tool`)."""
    transport: str = ""
    """How the media arrive: `RTP over TCP`, `RTP over UDP`, `ffmpeg`, `shared memory`."""
    tls: str = ""
    """The version of TLS, its cipher, and whether the certificate is the pinned one; empty without TLS."""
    certificate: str = ""
    """The SHA-256 of the camera's certificate, which `tls.pin` can name; empty without TLS."""
    encryption: str = ""
    """`SRTP` if the media themselves are encrypted, else empty."""
    codec: str = ""
    """`h264`, `h265`, `mjpeg` or `mpeg4`; empty before the first key frame."""
    profile: str = ""
    """The profile of the codec, like `High`."""
    level: str = ""
    """The level of the codec, like `4.1`."""
    width: int | None = None
    """In pixels."""
    height: int | None = None
    """In pixels."""
    fps: float = 0.0
    """Frames per second over the last 2 s."""
    bitrate: int = 0
    """Bits per second over the last 2 s."""
    gop_frames: int | None = None
    """Frames of the last whole GOP."""
    gop_s: float | None = None
    """Seconds between its key frame and the next one."""
    b_frames: bool = False
    """Whether it sends B-frames."""
    audio: str = ""
    """The codec of its audio, if it can be passed on."""
    audio_rate: int | None = None
    """Samples per second."""
    audio_channels: int | None = None
    audio_use: str = ""
    """Whether viewers get the audio unchanged, transcoded or not at all, with the reason."""
    round_trip_s: float | None = None
    """Seconds from the last RTSP request to its answer."""
    slowest_s: float | None = None
    """Seconds of the slowest answer."""
    slowest: str = ""
    """The method of the request that was answered slowest, like `SETUP`."""
    loss: float | None = None
    """The share of video packets that never arrived: 0 to 1."""
    jitter_s: float | None = None
    """Jitter of the video packets in seconds (RFC 3550, A.8)."""
    clock_skew_s: float | None = None
    """Seconds by which the camera's clock is ahead of this machine, by its last sender report (RTCP)."""
    oddities: tuple[MetOddity, ...] = ()
    """Deviations from the standards, the most frequent first."""
