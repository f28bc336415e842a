"""One instant of the daemon, as the web shows it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import attrs

from ..domain.health import Health, health
from ..domain.ids import CameraId, PeerId
from ..domain.monitors import Reading
from ..domain.state import State
from .statistics import (
    ArchiveStatistics,
    CameraStatistics,
    DaemonStatistics,
    DetectorStatistics,
    JournalStatistics,
    PeerStatistics,
    RoomStatistics,
)


@attrs.frozen
class Snapshot:
    """One instant of the daemon."""

    now_ns: int
    state: State
    cameras: Mapping[CameraId, CameraStatistics]
    """Empty where nobody asked for it."""
    peers: Mapping[PeerId, PeerStatistics]
    """Empty where nobody asked for it."""
    journal: JournalStatistics
    health: Health
    detectors: Sequence[DetectorStatistics] = ()
    """Of the configuration; empty without a daemon."""
    daemons: tuple[DaemonStatistics, ...] = ()
    """The programs of the section `daemons`; empty without a daemon."""
    readings: Mapping[str, Reading] = MappingProxyType({})
    """The newest readings of the monitors; empty without a daemon."""
    rooms: RoomStatistics = attrs.field(factory=RoomStatistics)
    archives: Mapping[str, ArchiveStatistics] = MappingProxyType({})
    """By the name of the archive; empty without a camera that is recorded."""
    gaps: Mapping[CameraId, Mapping[str, float]] = MappingProxyType({})
    """Seconds of the gaps in recordings that have ended, by reason code, since the start of the daemon."""
    pid: int | None = None
    """The daemon's; None in the past."""


def past_snapshot(now_ns: int, state: State) -> Snapshot:
    """A snapshot of the past. It has no statistics of cameras and peers: the journal does not contain them."""
    return Snapshot(now_ns, state, {}, {}, JournalStatistics(state.seq, 0, 0, 0, None), health(state, None))
