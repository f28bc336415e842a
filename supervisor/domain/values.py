"""Small frozen values that commands, events and state share, and what all stored values have in common.

Rules for everything that is a `Value`:
- A field at its default is not written. So a stored value may gain a field that has a default: its bytes, and the hash
  of a state that has it, stay what they were.
- The other side of it: a default that was ever released is part of the format and does not change.
- It holds values and scalars, tuples and persistent maps of them: nothing that could refer back to it, so that the
  garbage collector need not look.
"""

from enum import StrEnum
from typing import Any

from msgspec import Struct

from .ids import CameraId, DeviceId


class Value(Struct, frozen=True, omit_defaults=True, gc=False):
    """Base of all that is stored: events, what they hold, and the state."""


def plain(value: object) -> Any:
    """`value` as dicts, lists and scalars with all its fields, as a client wants to see it: at their default or not."""
    if isinstance(value, Value):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


class Fault(StrEnum):
    """What kind of trouble a reason names, and so what happens next."""

    TEMPORARY = "temporary"
    """It may pass: try again, with backoff."""
    FATAL = "fatal"
    """It will not pass by itself: wait for changed settings, probe slowly."""
    CRASH = "crash"
    """An exception that nobody expected: ours to mend, restarted within limits."""
    NONE = "none"
    """No trouble: somebody wanted it so."""


class Reason(Value, frozen=True):
    """Why something ended or waits, for machines (`code`) and for people (`text`)."""

    code: str
    text: str
    fault: Fault = Fault.TEMPORARY


class SourceSummary(Value, frozen=True):
    """A source as it may be shown: never a password in it.

    `revision` grows when something changed that may not be shown (a password), so that the change is still one.
    """

    kind: str
    """A key of the table of source kinds: `rtsp`, `ffmpeg`, `file`, `test`."""
    url: str
    """The redacted address or arguments."""
    revision: int = 0


class Mode(StrEnum):
    """When a camera's source is open."""

    ALWAYS = "always"
    ON_DEMAND = "on_demand"
    """While somebody uses it, and a little longer."""
    PATROL = "patrol"
    """For one picture in each cycle of its group; and as on demand."""


class UseKind(StrEnum):
    """What a camera is opened for by banken itself, for a moment; the most important first."""

    MJPEG = "mjpeg"
    """In older journals: who watches pictures has a lease."""
    SNAPSHOT = "snapshot"
    PATROL = "patrol"


class LeaseKind(StrEnum):
    """What somebody is lent a camera for."""

    VIEWER = "viewer"
    """One tile, or any player."""
    MODAL = "modal"
    """One person's large view."""
    SUGGEST = "suggest"
    """The one suggestion that all pages show; only banken itself grants it."""


class CameraSettings(Value, frozen=True):
    """What the configuration says of one camera, as far as it may be remembered."""

    camera: CameraId
    source: SourceSummary
    device: DeviceId | None = None
    """Whose connections it takes part in; none for a source that is no device."""
    mode: Mode = Mode.ALWAYS
    group: str = ""
    """Cameras of one group are patrolled one after the other."""
    substream: CameraId | None = None
    """The camera whose stream is sent to those who do not take this one's codec: of the same device, as a rule."""


class DeviceSettings(Value, frozen=True):
    device: DeviceId
    max_connections: int


class Patrol(Value, frozen=True):
    """How the cameras in patrol mode are visited."""

    every_s: float = 60.0
    """From the beginning of one cycle to that of the next; one that is late skips, it never overlaps."""
    patience_s: float = 20.0
    """For one camera's picture."""


class Policy(Value, frozen=True):
    """Which detections are suggested to all pages."""

    labels: tuple[str, ...] = ()
    """The most important first; without any, every label is as important as another."""
    score: float = 0.5
    """Detections of less are not suggested."""
    quiet_s: float = 60.0
    """A camera is not suggested again for so long after it was."""
    shown_s: float = 20.0
    """How long a suggestion lasts."""
    motion: bool = False
    """Whether banken itself looks for motion, in the key frames of cameras that are open."""


class Limits(Value, frozen=True):
    """Caps on viewers and on leases, and the patience with silent ones."""

    peers: int = 64
    peers_per_camera: int = 32
    peers_per_client: int = 8
    disconnected_after_s: float = 20.0
    linger_s: float = 10.0
    """How long a camera on demand stays open after its last viewer."""
    leases: int = 256
    leases_per_client: int = 32
    lease_ttl_s: float = 30.0
    """How long a lease lives without a renewal, where its holder does not say."""
    modal_s: float = 43200.0
    """How long a modal lease may last, however often it is renewed."""
    idle_s: float = 300.0
    """A modal lease at whose page nobody has touched anything for so long is ended."""
    journaled_burst: int = 40
    """Requests of one client that the journal keeps something of: so many at once,"""
    journaled_rate: float = 2.0
    """and so many a second after that."""


class RefusedClient(Value, frozen=True):
    """How many requests of one client were refused."""

    client: str
    """An address; for IPv6 its /64."""
    requests: int


def name_of(codec: str) -> str:
    """A video codec as people write it: `h265` is H.265."""
    return codec.upper().replace("H26", "H.26")


class Picture(Value, frozen=True):
    """What a live camera sends."""

    codec: str
    width: int
    """In pixels, after cropping."""
    height: int
    audio: str = ""
    """Codec of the sound that goes with it; empty when there is none for the viewers."""
    mute: str = ""
    """Why there is none, where that needs saying."""
