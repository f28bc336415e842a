"""The interfaces between services and actors."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol, TypeVar

from ..domain import commands as c
from ..domain.events import Recorded
from ..domain.ids import CameraId, PeerId
from .archives import ArchivesPort
from .decisions import ACTOR, Origin
from .facts import CameraFacts
from .footage import FootagePort
from .gateway import DetectionResult
from .hls import HlsRequest
from .statistics import ArchiveStatistics, CameraStatistics, DaemonStatistics, DetectorStatistics, PeerStatistics
from .viewing import Jpeg, ParsedOffer

AnOffer = TypeVar("AnOffer", bound=ParsedOffer)


class ActorsPort(ArchivesPort, Protocol[AnOffer]):
    """The operations of the actors that services use. They alone look into an offer that they have read."""

    def read_offer(self, text: str) -> AnOffer:
        """An SDP offer as the actors understand it. Raises `OfferError` for what none of them could answer."""
        ...

    async def open_peer(self, camera: CameraId, peer: PeerId, offer: AnOffer) -> str:
        """Start the peer's actor and return its SDP answer. Raises `Rejected` when the camera is not running."""
        ...

    async def add_candidates(self, peer: PeerId, fragment: str) -> None:
        """Give a peer more of the viewer's candidates (RFC 8840). Raises `Rejected` when it is gone."""
        ...

    async def take_picture(
        self, camera: CameraId, client: str, max_age_s: float | None, *, open_it: bool = True
    ) -> Jpeg:
        """The camera's picture; one that rests is opened for it, if it may be. Raises `Rejected` within `PICTURE_S`."""
        ...

    def watch_pictures(self, camera: CameraId, client: str) -> AsyncGenerator[Jpeg, None]:
        """The camera's pictures, one after the other, until the caller closes it. Raises `Rejected`."""
        ...

    async def hls(self, camera: CameraId, client: str, request: HlsRequest) -> bytes:
        """The answer to a viewer by HLS, who takes a lease with the first playlist. Raises `Rejected`."""
        ...

    async def footage(self) -> FootagePort:
        """The recorded video."""
        ...

    def statistics(self) -> Mapping[CameraId, CameraStatistics]: ...

    def about(self, camera: CameraId) -> CameraFacts | None:
        """The facts about a camera; None if it does not run."""
        ...

    def detector_statistics(self) -> Sequence[DetectorStatistics]:
        """Of the detectors of the configuration, in its order."""
        ...

    def daemon_statistics(self) -> tuple[DaemonStatistics, ...]:
        """The programs of the section `daemons`."""
        ...

    def archive_statistics(self) -> Mapping[str, ArchiveStatistics]:
        """By the name of the archive; empty before the first camera is recorded."""
        ...

    def peer_statistics(self) -> Mapping[PeerId, PeerStatistics]:
        """Of the viewers that are connected."""
        ...


class LeasesPort(Protocol):
    """The service that grants leases, as actors use it."""

    def grant(self, command: c.GrantLease | c.OpenPeer) -> Recorded:
        """Grant a lease, or open a peer under one. Returns the last event. Raises `Rejected`."""
        ...


class DetectionsPort(Protocol):
    """The service that decides about detections, as actors use it."""

    def report(self, seen: c.ReportDetection, jpeg: bytes = b"", origin: Origin | None = ACTOR) -> DetectionResult:
        """Decide about a detection. Without `origin` it follows from the carried cause. Raises `Rejected`."""
        ...
