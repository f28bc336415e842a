"""The parameter sets of a camera's connection, within limits."""

from collections import deque
from collections.abc import Iterable

from .bitstream import BitstreamError
from .h264 import H264
from .media import VideoCodec

MOST_SETS, MOST_OTHER_SETS = 4, 16
"""Different sequence parameter sets in one access unit, and different sets of each other type. Cameras send one."""
MOST_CHANGES = 4
"""Sequence parameter sets, or sizes of JPEGs, that replace others in one second. Cameras rarely change their size."""


class ParameterSets:
    """The newest sets of each type."""

    def __init__(self) -> None:
        self.codec = H264
        self.size = (0, 0)
        """Width and height in pixels, from the newest sequence parameter set."""
        self._sets: dict[int, tuple[bytes, ...]] = {}
        """Parameter sets by NAL unit type."""
        self._changes: deque[int] = deque()
        """Times of the newest replacements of sequence parameter sets and sizes; bounded by `MOST_CHANGES`."""

    def begin(self) -> None:
        """Begin a new connection, without sets."""
        self._sets = {}
        self._changes.clear()

    def is_complete(self, codec: VideoCodec) -> bool:
        """Return whether video of `codec` can be decoded with these sets."""
        return codec is self.codec and all(kind in self._sets for kind in codec.set_types)

    def all(self) -> list[bytes]:
        """Return the sets, in the order in which they precede a key frame."""
        return [unit for kind in self.codec.set_types for unit in self._sets[kind]]

    def newest_sps(self) -> bytes:
        """Return the newest sequence parameter set; empty without one."""
        return next(iter(self._sets.get(self.codec.sps_type, ())), b"")

    def update(self, sets: Iterable[bytes], codec: VideoCodec, now_ns: int) -> bool:
        """Take new sets, which replace all earlier ones of the same types. Returns whether the frame size may differ.

        Raises `BitstreamError` for an impossible frame size and for more sets than a camera sends in use:
        `MOST_SETS` and `MOST_OTHER_SETS` at once, `MOST_CHANGES` in a second.

        A codec without parameter sets has its size in each key frame, which is then all of `sets`. Its changes of size
        count for `MOST_CHANGES`.
        """
        if codec is not self.codec:
            self.codec, self._sets = codec, {}
            self.size = (0, 0)
        if not codec.set_types:
            before = self.size
            for picture in sets:
                self.size = codec.picture_size(picture)
            if before not in ((0, 0), self.size):
                self._count_change(now_ns)
            return before != self.size
        gathered: dict[int, dict[bytes, None]] = {}
        for unit in sets:
            kind = codec.nal_type(unit)
            if kind in codec.set_types:
                different = gathered.setdefault(kind, {})
                different[unit] = None
                most = MOST_SETS if kind == codec.sps_type else MOST_OTHER_SETS
                if len(different) > most:
                    raise BitstreamError(f"more than {most} different parameter sets of type {kind} at once")
        found = {kind: tuple(units) for kind, units in gathered.items()}
        sps = found.get(codec.sps_type)
        differs = sps is not None and sps != self._sets.get(codec.sps_type)
        if sps is not None and differs:
            if codec.sps_type in self._sets:
                self._count_change(now_ns)
            self.size = codec.picture_size(sps[0])
        self._sets |= found
        return differs

    def _count_change(self, now_ns: int) -> None:
        """Count one replacement. Raises `BitstreamError` above `MOST_CHANGES`."""
        while self._changes and self._changes[0] <= now_ns - 1_000_000_000:
            self._changes.popleft()
        self._changes.append(now_ns)
        if len(self._changes) > MOST_CHANGES:
            raise BitstreamError(f"more than {MOST_CHANGES} new sequence parameter sets or sizes in a second")
