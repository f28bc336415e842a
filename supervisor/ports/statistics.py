"""Figures that the parts of the daemon report about themselves."""

from collections.abc import Mapping

import attrs


@attrs.frozen
class Latency:
    """How long something took, since the start: a histogram."""

    bounds_s: tuple[float, ...]
    """The upper bounds of the buckets, each with its bound; the last bucket has none."""
    counts: tuple[int, ...]
    """Those in each bucket: one more than `bounds_s`."""
    sum_s: float
    max_s: float

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def mean_s(self) -> float:
        return self.sum_s / self.count if self.count else 0.0


@attrs.frozen
class RenditionStatistics:
    """The measurements of a camera's rendition while its transcoder runs; rates over the last two seconds."""

    cpu: float
    """The share of one processor that the transcoder uses, over about a second: 0.25 is a quarter."""
    fps: float
    bitrate: int
    """Bits per second."""
    width: int | None
    """In pixels; None before its first picture."""
    height: int | None
    skipped: int
    """Access units of the camera that it left out in its life, because it was too slow."""


@attrs.frozen
class CameraStatistics:
    """The measurements of a camera's hub; rates over the last two seconds."""

    fps: float
    bitrate: int
    """Bits per second."""
    frames: int
    bytes: int
    skipped: int
    """Access units that viewers missed because they fell behind."""
    last_frame_age_s: float | None
    truncated_gops: int = 0
    """GOPs that were too long to be kept whole: their viewers waited for the next key frame."""
    lost_packets: int = 0
    """On the way from the camera, by their sequence numbers; 0 for a source that cannot tell, as the four below."""
    late_packets: int = 0
    """That came twice, or too late."""
    reordered_packets: int = 0
    """That came late, and were put back in their place."""
    malformed_packets: int = 0
    discarded_frames: int = 0
    """That were not whole, or depend on one that was not, and were not shown."""
    oddities: Mapping[str, int] = attrs.field(factory=dict)
    """How often each deviation from the standards occurred, by its name; those that never did are absent."""
    rendition: RenditionStatistics | None = None
    """None while nothing is transcoded."""
    transcoder_cpu_s: float = 0.0
    """CPU time that video transcoders have used for it."""
    latency: Latency | None = None
    """From the last packet of an access unit to its first packet to a viewer of WebRTC: of one access unit a second."""


@attrs.frozen
class PeerStatistics:
    """Packets sent to one viewer, and the reports of its receiver."""

    packets: int
    """Of video, repeats not counted."""
    bytes: int
    audio_packets: int
    repeated: int
    """Packets that were sent again because they were lost."""
    nacks: int
    plis: int
    """How often it asked for a key frame."""
    skipped: int
    """Access units that it missed, because it fell behind or its path is too narrow."""
    refused: int
    """Sends that its socket did not take."""
    loss: float
    """The share of packets that was lost, by its newest report: 0 to 1."""
    rtt_s: float | None
    remb: int | None
    """The receiver's estimate of the capacity of its path, in bits per second."""
    key_frames_only: bool
    """It gets key frames only: its path carries no more."""
    audio_bytes: int = 0


@attrs.frozen
class DetectorStatistics:
    """A detector of the configuration, with its figures since its start or the last change of its settings."""

    name: str
    kind: str
    """`command`, `url` or `shm`."""
    state: str
    """`starting`, `running`, `backoff` or `quarantined`."""
    reason: str
    """Why it does not run; empty while it does."""
    pictures: int
    """That it got."""
    detections: int
    """That were taken."""
    dropped: Mapping[str, int]
    """Lines, answers and pictures that were not used, by reason."""
    latency_s: float | None
    """From the last picture that led to a detection or an answer, to that."""


@attrs.frozen
class SocketStatistics:
    """WebSockets of the path that most are connected to, and how many each path may have."""

    open: int
    most: int


@attrs.frozen
class RoomStatistics:
    """Since the daemon's start, but for `sessions`."""

    sessions: int = 0
    """WebSockets that are open now."""
    requests: Mapping[str, int] = attrs.field(factory=dict)
    """Messages that were obeyed, by type."""
    errors: Mapping[str, int] = attrs.field(factory=dict)
    """Errors sent to clients, by code."""
    unread: int = 0
    """Clients that were ended because they did not read."""


@attrs.frozen
class DaemonStatistics:
    """A program of the section `daemons`."""

    name: str
    provides: str
    """The shared memory that it makes; empty: none."""
    is_there: bool
    """Whether that exists."""
    state: str
    """`running`, `backoff` or `quarantined`."""
    reason: str
    """Why it ended the last time, until it has run for 10 s."""
    starts: int
    """Since banken's start, or the last change of its settings."""


@attrs.frozen
class JournalStatistics:
    """Statistics since the start: `pending` events wait for the disk, with `commits` made and `lost` events dropped.

    `fault` is why it cannot write.
    """

    committed: int
    pending: int
    commits: int
    lost: int
    fault: str | None
    waited_s: float = 0.0
    """How long the oldest pending event has waited."""


@attrs.frozen
class ArchiveStatistics:
    """An archive of recordings, since the daemon's start."""

    fault: str
    """Why it takes nothing; empty while it works."""
    buffered: int
    """Bytes that were offered and that are not written yet."""
    written: int
    """Bytes of fragments that were written."""
    pool: float
    """The share of the common buffer for a slow disk that is in use: at 1, fragments are refused."""
    latency: Latency
    """Of fragments, from the recorder's offer until they are written."""
    disk_s: float
    """Time for which a call of the disk was waited for, in all."""
    waited_s: float
    """For how long the call that runs now has been waited for; 0: none runs."""
    compared: float | None = None
    """The share of its index that was compared with the files since the start; None: all of it."""
