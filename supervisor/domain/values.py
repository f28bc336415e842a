"""Small frozen values that commands, events and state share, and the base of all stored values.

Rules for everything that is a `Value`:
- A field at its default is not written. So a stored value may gain a field with a default: its bytes, and the hash of
  a state that contains it, stay the same.
- Therefore a released default is part of the format and does not change.
- A value holds only values and scalars, and tuples and persistent maps of them. Nothing can refer back to it, so the
  garbage collector need not scan it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

from msgspec import Struct

from .ids import CameraId, DeviceId


class Value(Struct, frozen=True, omit_defaults=True, gc=False):
    """Base of all stored values: events, their parts, and the state."""

    renames: ClassVar[Mapping[str, str]] = {}
    """Names of fields in version 1 of an event, with their names since version 2."""


def renamed(**names: str) -> Mapping[str, str]:
    """The `renames` of an event: each old name with the new one."""
    return names


def plain(value: object) -> Any:
    """`value` as dicts, lists and scalars for a client, with all its fields, including those at their default.

    Fields with another name in 0.1.0 are there under both names, until 0.3.0.
    """
    if isinstance(value, Value):
        fields = {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        return fields | {old: fields[new] for old, new in value.renames.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


class Fault(StrEnum):
    """The kind of a fault, which decides the reaction."""

    TEMPORARY = "temporary"
    """The fault may pass: retry with backoff."""
    FATAL = "fatal"
    """The fault will not pass by itself: wait for changed settings, and probe slowly."""
    CRASH = "crash"
    """An unexpected exception, a bug in banken: restart within limits."""
    NONE = "none"
    """No fault: it was intended."""


class Reason(Value, frozen=True):
    """Why something ended or waits, for machines (`code`) and for people (`text`)."""

    code: str
    """For machines; stable."""
    text: str
    """For people; may change between releases."""
    fault: Fault = Fault.TEMPORARY
    """The kind of the fault, which decides the reaction."""


class SourceSummary(Value, frozen=True):
    """A source in the form that may be shown, without passwords.

    `revision` increases when a hidden part, such as a password, changes, so that the change is visible.
    """

    kind: str
    """A key of the table of source kinds: `rtsp`, `ffmpeg`, `file`, `test`."""
    url: str
    """The redacted address or arguments."""
    revision: int = 0
    """The number of changes of a hidden part in this run."""


class Mode(StrEnum):
    """When a camera's source is open."""

    ALWAYS = "always"
    ON_DEMAND = "on_demand"
    """While it is used, and for a short time afterwards."""
    PATROL = "patrol"
    """For one snapshot in each patrol cycle of its group, and as `ON_DEMAND`."""


class Transcode(StrEnum):
    """Whether the video of a camera is transcoded for its viewers."""

    AUTO = "auto"
    """Where a viewer cannot show what the camera sends."""
    NEVER = "never"
    ALWAYS = "always"
    """For every peer."""


class UseKind(StrEnum):
    """The purposes for which banken itself opens a camera briefly, the most important first."""

    MJPEG = "mjpeg"
    """Only in older journals: now the viewer of an MJPEG stream has a lease."""
    SNAPSHOT = "snapshot"
    PATROL = "patrol"


class LeaseKind(StrEnum):
    """The purpose of a lease."""

    VIEWER = "viewer"
    """A tile, or any player."""
    MODAL = "modal"
    """The large view of one person."""
    SUGGEST = "suggest"
    """A suggestion that all pages show. Only banken itself grants it."""


BY_HLS = "HLS"
"""The purpose of a lease whose holder gets live video by HLS."""


class PeerProtocol(StrEnum):
    """How the connection of a viewer gets its media."""

    WEBRTC = "webrtc"
    RTSP = "rtsp"


class RecordMode(StrEnum):
    """When a camera is recorded."""

    OFF = "off"
    ALWAYS = "always"
    EVENTS = "events"
    """From shortly before a detection until shortly after the last one, and while a person wants it."""
    DEMAND = "demand"
    """While a person wants it."""


class CameraSettings(Value, frozen=True):
    """The configuration of one camera, as far as it may be stored."""

    camera: CameraId
    """Its name in the configuration."""
    source: SourceSummary
    """The input that it is read from."""
    device: DeviceId | None = None
    """The device whose connections it shares; None for a source without a device."""
    mode: Mode = Mode.ALWAYS
    """`always`, `on_demand` or `patrol`."""
    group: str = ""
    """The patrol group. Cameras of a group are visited one after the other."""
    substream: CameraId | None = None
    """The camera whose stream goes to viewers that do not support this one's codec. Usually of the same device."""
    transcode: Transcode = Transcode.AUTO
    """`auto`, `never` or `always`: when peers get its rendition."""
    privacy: tuple[str, ...] = ()
    """The times of the week in which it is private."""
    record: RecordMode = RecordMode.OFF
    """`off`, `always`, `events` or `demand`: when it is recorded."""

    @property
    def is_always_open(self) -> bool:
        """Whether it is open without a viewer."""
        return self.mode is Mode.ALWAYS or self.record in (RecordMode.ALWAYS, RecordMode.EVENTS)


class DeviceSettings(Value, frozen=True):
    """The configured connection limit of a device."""

    device: DeviceId
    """A name from the configuration."""
    max_connections: int
    """The number of connections that it serves."""


class Patrol(Value, frozen=True):
    """The timing of patrol cycles."""

    every_s: float = 60.0
    """From the beginning of one cycle to that of the next. Cycles never overlap; a late cycle is skipped."""
    patience_s: float = 20.0
    """Longest wait for the snapshot of one camera."""


class Policy(Value, frozen=True):
    """The rules by which detections are suggested to all pages."""

    labels: tuple[str, ...] = ()
    """The suggested labels, the most important first. If empty, all labels are equally important."""
    score: float = 0.5
    """Minimum score for a suggestion."""
    quiet_s: float = 60.0
    """Minimum time between two suggestions of the same camera."""
    shown_s: float = 20.0
    """How long a suggestion lasts after the last detection of its camera."""
    motion: bool = False
    """Whether banken itself detects motion, in the key frames of open cameras."""
    at_once: int = 1
    """The most suggestions at a time."""


class Limits(Value, frozen=True):
    """Limits of peers and leases, and time limits for silent ones."""

    peers: int = 64
    """Peers in all."""
    peers_per_camera: int = 32
    """Peers of one camera."""
    peers_per_client: int = 8
    """Peers of one client, by address."""
    disconnected_after_s: float = 20.0
    """A peer that is silent for this time is closed."""
    linger_s: float = 10.0
    """How long an on-demand camera stays open after its last viewer."""
    leases: int = 256
    """Leases that need renewal, in all."""
    leases_per_client: int = 32
    """Leases that need renewal, of one client, by address."""
    lease_ttl_s: float = 30.0
    """How long a lease lasts without a renewal, unless its holder asks for another time."""
    modal_s: float = 43200.0
    """How long a modal lease may last in total, even if it is renewed."""
    idle_s: float = 300.0
    """A modal lease ends after this time without user input on its page."""
    journaled_burst: int = 40
    """Journaled requests that one client may make at once."""
    journaled_rate: float = 2.0
    """Journaled requests a second that one client may make after the burst."""
    transcoders: int = 0
    """Cameras whose video is transcoded at a time; 0: as many as there are processors."""


class RefusedClient(Value, frozen=True):
    """The number of rejected requests of one client."""

    client: str
    """An address, or its /64 for IPv6."""
    requests: int
    """The number of its rejected requests."""


CODEC_NAMES = {
    "h264": "H.264",
    "h265": "H.265",
    "mpeg4": "MPEG-4",
    "aac": "AAC",
    "latm": "AAC (LATM)",
    "opus": "Opus",
    "pcmu": "G.711 µ-law",
    "pcma": "G.711 A-law",
    "g722": "G.722",
    "g723": "G.723",
    "g726": "G.726",
    "aal2-g726": "G.726 (AAL2)",
    "mpa": "MPEG audio",
    "speex": "Speex",
    "pcm": "PCM",
}
"""The usual spelling of codecs; that of others is in capitals. `web/dashboard/format.js` has the same table."""


def name_of(codec: str) -> str:
    """The usual spelling of a codec: `h265` is H.265, and `mpeg4` is MPEG-4 part 2."""
    return CODEC_NAMES.get(codec, codec.upper())


class Picture(Value, frozen=True):
    """The format of a live camera's stream."""

    codec: str
    """`h264`, `h265`, `mjpeg` or `mpeg4`."""
    width: int
    """In pixels, after cropping."""
    height: int
    """In pixels, after cropping."""
    audio: str = ""
    """Codec of the audio; empty if the viewers get no audio."""
    mute: str = ""
    """Why there is no audio, if an explanation is needed."""
    b_frames: bool = False
    """Whether the stream has B-frames, which browsers show jerkily."""
