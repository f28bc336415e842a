"""The bases of events and commands. An event class declares, in one place, all that the project knows about it.

Rules of this file:
- A released event keeps its name and the meaning of its fields. A new structure is a new `version`.
- A new field with a default needs no new version: the default is not written, and a missing field is read as the
  default.
- `stream` is the entity to which the event belongs. Bodies hold facts, never secrets or media.
- Times are nanoseconds since the epoch (`_ns`), durations are seconds (`_s`).
- Sentences, severities, life cycles, filters, timeline marks and `ops/docs/events.md` are made from the declarations.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

from msgspec import Struct

from .ids import SYSTEM, CameraId, NodeId, RunId
from .rights import Right
from .values import Value


class Severity(StrEnum):
    """The severity of an event, from the lowest to the highest."""

    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"


OUTSIDE = "outside"
"""Among the causes of an event: it may have none, because it follows from an external input or a timer."""
ANY = "any"
"""Among the causes of an event: it may follow from an event of any type."""
FIRST = "durable first"
"""The event is durable before its effect or its answer."""
SOON = "soon"
"""The event reports a fact, and is durable with the next commit."""

LOSSES = ("CameraWaiting", "CameraFailed", "CameraCrashed", "CameraQuarantined")
"""The events that end a camera's connection without a request."""
OPENS_SOURCE = (
    "ConfigurationApplied",
    "CameraAdded",
    "CameraChanged",
    "LeaseGranted",
    "PeerOpened",
    "UseBegan",
    *LOSSES,
    "CameraRetried",
    "CameraIdle",
    "PrivacyEnded",
    "RecordingRequested",
)
"""The events after which a camera's source is opened or waits for a slot: it is needed, or its wait is over."""
CLOSES_SOURCE = (
    "CameraChanged",
    "CameraRemoved",
    "RunStopping",
    "PeerClosed",
    "LeaseEnded",
    "UseEnded",
    "CameraRetried",
    "PrivacyBegan",
    "RecordingRequestEnded",
)
"""The events for which a camera's source is closed on purpose; after a requested attempt, that request."""


REVOKES = (
    "UserAdded",
    "UserChanged",
    "UserRemoved",
    "PasswordSet",
    "PasskeyRemoved",
    "SessionEnded",
    "TokenEnded",
    "ShareEnded",
    "VisitEnded",
    "TrustEnded",
    "IdentityUnlinked",
    "PrivacyBegan",
)
"""The events that take rights away, with which viewers end."""


class Event(Value, frozen=True):
    """Base of all events: facts of the journal, named in the past tense, one frozen value each.

    A concrete event sets the class attributes without a default, `severity`, `emitters` and `when`, and defines
    `sentence`. Its docstring and those of its fields are its description in `ops/docs/events.md`.
    """

    version: ClassVar[int] = 1
    severity: ClassVar[Severity]
    emitters: ClassVar[tuple[str, ...]]
    """The names of the commands whose decisions emit it."""
    causes: ClassVar[tuple[str, ...]] = (OUTSIDE,)
    """The names of the events that it may follow from, except the first event of `StartRun`; or `OUTSIDE`, `ANY`."""
    cause_note: ClassVar[str] = ""
    """Which of the causes it names in which case."""
    when: ClassVar[str]
    """The condition under which it is emitted."""
    stored: ClassVar[str] = SOON
    """When it is durable."""
    action: ClassVar[str] = ""
    """The action of an operator, for a warning or an error."""
    begins: ClassVar[StrEnum | None] = None
    """The phase of the entity that it creates."""
    steps: ClassVar[Mapping[Any, Any]] = {}
    """The life cycle: each phase in which it may happen, with the phase after it."""
    ends_stream: ClassVar[bool] = False
    """Whether it is the last event of its stream, whose version is then removed from the state."""

    @property
    def stream(self) -> str:
        """The stream of the journal that this event belongs to."""
        return SYSTEM

    def sentence(self) -> str:
        """The event in one sentence for people, without its time."""
        raise NotImplementedError

    def timeline_mark(self) -> str:
        """The kind of its mark in a timeline; empty for none."""
        return ""


class Command(Struct, frozen=True):
    """Base of all commands: requests, and reports of actors. `decide` turns them into events.

    At each start, making a msgspec class takes a thirtieth of the time of an attrs class.
    """

    sender: ClassVar[str]
    """The parts of the daemon that send it."""
    right: ClassVar[Right | None] = None
    """The right that its principal needs; None for a report of the daemon itself."""
    right_of_owner: ClassVar[Right | None] = None
    """The right that is enough with `owner`, the secret of the lease or peer that it concerns. None: the same."""

    right_of_user: ClassVar[Right | None] = None
    """The right that is enough for its `user`, in one of the own sessions. None: the same."""

    def needs(self) -> Right | None:
        """The right that this command needs."""
        is_owner = self.right_of_owner is not None and getattr(self, "owner", None) is not None
        return self.right_of_owner if is_owner else self.right

    def on(self, state: Any) -> CameraId | None:
        """The camera that must be in the scope of its principal: its own `camera`, or that of its lease or peer.

        None if it concerns no camera, or if there is no such lease or peer.
        """
        camera: CameraId | None = getattr(self, "camera", None)
        if camera is not None:
            return camera
        known = state.leases.get(getattr(self, "lease", None)) or state.peers.get(getattr(self, "peer", None))
        return None if known is None else known.camera


class Recorded(Value, frozen=True):
    """An event with its place in the journal. Records are stored, published and folded."""

    seq: int
    """Sequence number, without gaps, from 1."""
    wall_ns: int
    mono_ns: int
    node: NodeId
    run: RunId
    stream: str
    stream_version: int
    event: Event
    cause: int | None
    """Sequence number of the event that this one follows from; None for external inputs and timers."""
    correlation: str
    """Shared by all events that follow from one request or one fault."""
    principal: str
    """The originator: `system`, `actor`, `patrol`, `client:ADDRESS`, or `local` (by the control socket)."""

    @property
    def type(self) -> str:
        return type(self.event).__name__
