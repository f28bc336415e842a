"""The interface through which the web uses a daemon, or a journal without one."""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import attrs

from ..domain import commands as c
from ..domain.availability import Availability
from ..domain.events import Recorded
from ..domain.ids import CameraId, DetectionId, LeaseId, PeerId
from ..domain.state import State
from .accounts import AccountsPort
from .archives import ArchiveRoom
from .decisions import Origin, Receipt
from .facts import CameraFacts
from .footage import FootagePort
from .hls import HlsRequest
from .login_provider import LoginProviderPort
from .past import Past
from .pins import PinsPort
from .questions import Query
from .setup import SetupPort
from .shares import SharesPort
from .snapshot import Snapshot
from .viewing import HeldLease, Jpeg, Key, Opened

Answer = TypeVar("Answer")


@attrs.frozen
class ReloadResult:
    """The outcome of a reload."""

    seq: int
    """Its last event."""
    cameras: int
    """In use after it."""
    refused: tuple[str, ...] = ()
    """The first complaints about a file that was not taken, as the journal has them."""
    more: int = 0
    """Complaints beside these."""
    warnings: tuple[str, ...] = ()
    """Of a file that was."""


@attrs.frozen
class DetectionResult:
    """The result of a detection."""

    detection: DetectionId
    suggested: bool
    why: str
    last: Recorded | None
    """The last event that it led to; None for a repeated one."""


class SessionPort(Protocol):
    """One client's WebSocket for rooms."""

    @property
    def unread(self) -> bool:
        """Whether the client did not read its messages. Then it has left its room, and gets no more."""
        ...

    def take(self, data: object) -> None:
        """Process one message of the client."""
        ...

    async def wait_messages(self) -> list[str]:
        """Wait for messages to the client, and return them in order; empty if `unread`."""
        ...

    async def wait_unread(self) -> None:
        """Wait until `unread`."""
        ...


class ReadPort(Protocol):
    """Everything that the web layer reads, of a daemon that runs (`Gateway`) or of a journal alone (`PastGateway`).

    Both answer every question, so a handler need not know which of them it asks.
    """

    @property
    def replay(self) -> int | None:
        """The moment that a journal without a daemon is opened at; none over a daemon."""
        ...

    @property
    def last_seq(self) -> int: ...

    @property
    def state(self) -> State:
        """As the last event left it. This costs nothing, however many cameras there are."""
        ...

    def has_camera(self, camera: CameraId) -> bool:
        """Whether the configuration has this camera."""
        ...

    def snapshot(self, *, cameras: bool = True, peers: bool = False) -> Snapshot:
        """One instant. `cameras` and `peers`: with what each has sent, and each viewer was sent.

        That takes a while where there are many.
        """
        ...

    async def availability(self, cameras: Collection[CameraId] | None = None) -> Availability:
        """How well these cameras did, or all, since this run of the daemon began, or in all of a journal without one.

        Raises `TooLong` for a journal that is too long to be added up while somebody waits, and `JournalError`.
        """
        ...

    async def read(self, query: Query, limit: int, *, newest: bool = False) -> list[Recorded]: ...

    async def first(self) -> Recorded | None: ...

    async def ask(self, question: Callable[[Past], Answer]) -> Answer:
        """Call `question` in the journal's thread, one at a time, and return its result. Raises its errors."""
        ...

    async def next_events(self, after: int) -> Sequence[Recorded]: ...

    def expiries(self) -> Mapping[LeaseId, int]: ...

    def about(self, camera: CameraId) -> CameraFacts | None:
        """The facts about a camera; None if it does not run, and in the past: the journal has none."""
        ...

    def thumbnail(self, detection: DetectionId) -> bytes | None: ...

    def has_thumbnail(self, detection: DetectionId) -> bool: ...

    def pictured(self, detection: DetectionId) -> CameraId | None:
        """The camera of a detection with a thumbnail."""
        ...


class GatewayPort(ReadPort, Protocol):
    """The operations of the web layer. `PastGateway` refuses those below with 409: the past cannot be changed."""

    @property
    def accounts(self) -> AccountsPort | None:
        """Users, sessions and tokens; None over a journal without a daemon, which its owner alone reads."""
        ...

    @property
    def setup(self) -> SetupPort | None:
        """The link for the first user; None over a journal without a daemon."""
        ...

    @property
    def shares(self) -> SharesPort | None:
        """Links with which others watch; None where there are no accounts."""
        ...

    @property
    def pins(self) -> PinsPort | None:
        """Stretches of time that are kept; None over a journal without a daemon."""
        ...

    def archive_rooms(self) -> Sequence[ArchiveRoom]:
        """The room of the archives, with the cameras of the scope."""
        ...

    @property
    def provider(self) -> LoginProviderPort | None:
        """The login provider; None without one."""
        ...

    async def submit(self, command: c.Command, origin: Origin) -> Receipt: ...

    def note_refused(self, principal: str, client: str, what: str, camera: CameraId | None = None) -> None:
        """Count a refusal for the audit: of the right `what`, or of a `camera`, whether or not it exists."""
        ...

    async def reload(self, client: str) -> ReloadResult: ...

    async def negotiate(self, camera: CameraId, offer: str, client: str, key: Key | None = None) -> Opened: ...

    async def grant(self, wish: c.GrantLease) -> HeldLease: ...

    async def renew(self, key: Key, idle_s: float, client: str) -> HeldLease: ...

    async def release(self, key: Key, client: str) -> None: ...

    async def revoke(self, lease: LeaseId, client: str) -> None: ...

    async def detect(self, seen: c.ReportDetection, jpeg: bytes) -> DetectionResult: ...

    async def add_candidates(self, peer: PeerId, owner: str, fragment: str) -> None:
        """`owner` is the hash of the peer's secret."""
        ...

    async def take_picture(
        self, camera: CameraId, client: str, max_age_s: float | None, *, open_it: bool = True
    ) -> Jpeg: ...

    def watch_pictures(self, camera: CameraId, client: str) -> AsyncGenerator[Jpeg, None]: ...

    async def hls(self, camera: CameraId, client: str, request: HlsRequest) -> bytes:
        """The answer to a viewer by HLS, who takes a lease with the first playlist. Raises `Rejected`."""
        ...

    async def footage(self) -> FootagePort:
        """The recorded video."""
        ...

    def open_session(self, client: str) -> AbstractContextManager[SessionPort]: ...
