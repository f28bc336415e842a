"""Footage: the recorded video of cameras, as the web asks for it, and the errors that it may get."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal, Protocol

import attrs

from ..base.times import iso
from ..domain.gaps import RecordingGap
from ..domain.ids import CameraId
from .viewing import Jpeg

ClipKind = Literal["mp4", "annexb"]
MOST_CLIP_S = 24 * 3600
"""Longest clip, in seconds."""


def clip_name(camera: str, from_ns: int, to_ns: int) -> str:
    """The name of a clip's file, without its suffix: `gate_20261201T140200Z_20261201T141000Z`."""
    begin, end = (iso(at_ns, timespec="seconds").replace("-", "").replace(":", "") for at_ns in (from_ns, to_ns))
    return f"{camera}_{begin}_{end}"


def gaps_text(found: Mapping[str, Sequence[RecordingGap]], from_ns: int, to_ns: int) -> str:
    """The gaps of cameras, for people."""
    lines = [f"Video from {iso(from_ns)} to {iso(to_ns)}. A clip goes on over a gap without it.", ""]
    for camera, gaps in found.items():
        if not gaps:
            lines.append(f"{camera}: no gaps")
        for gap in gaps:
            event = "" if gap.seq is None else f" (event {gap.seq} of the journal)"
            span = f"{iso(gap.began_ns)} to {iso(gap.ended_ns)}"
            lines.append(f"{camera}: no video from {span}: {gap.reason.text}{event}")
    return "\n".join(lines) + "\n"


@attrs.frozen
class FootageStretch:
    """A time of a camera without a gap."""

    recording: str
    began_ns: int
    ended_ns: int
    size: int
    """Bytes of the files that have something of it, as a whole."""


class ClipRefused(Exception):
    """A stretch that cannot be one clip. The text says why."""


class NoFootage(ClipRefused):
    """There is no video of the stretch."""


class TracksDiffer(ClipRefused):
    """No player plays the stretch in one track."""

    def __init__(self, text: str, at_ns: int) -> None:
        super().__init__(text)
        self.at_ns = at_ns
        """When the other tracks begin: two clips, up to there and from there on, can be taken."""


class ClipBytes(Protocol):
    """Bytes of a clip, whose files are open: retention may remove them meanwhile."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes in order. Raises `OSError` for a file that cannot be read. Cancellation: at any time."""
        ...

    def close(self) -> None:
        """Close the files. It can be called again."""
        ...


class ClipPort(Protocol):
    """A clip that can be read. It is not stored anywhere."""

    @property
    def size(self) -> int: ...

    @property
    def tag(self) -> str:
        """The same for the same bytes."""
        ...

    @property
    def codec(self) -> str:
        """`h264` or `h265`."""
        ...

    @property
    def duration_s(self) -> float: ...

    async def open(self, begin: int, end: int) -> ClipBytes:
        """Open the files that the bytes from `begin` up to `end` are made of.

        Raises `NoFootage` if one has been removed meanwhile, and `Rejected` (503) if too many are open.
        """
        ...


class FootagePort(Protocol):
    """The footage of all archives. Every method raises `Rejected` for an unknown camera, and for a disk that hangs."""

    async def stretches(self, camera: CameraId, from_ns: int, to_ns: int) -> Sequence[FootageStretch]:
        """The stretches of a time, the oldest first. Their ends may lie beyond it."""
        ...

    async def clip(
        self, camera: CameraId, from_ns: int, to_ns: int, kind: ClipKind, *, again: bool = False
    ) -> ClipPort:
        """Make a clip. `again`: one of these times that was made some minutes ago is good enough.

        Raises `ClipRefused`.
        """
        ...

    async def playlist(self, camera: CameraId, from_ns: int, to_ns: int) -> str:
        """The HLS playlist of a time, which names recording files as `DAY/NAME`. Raises `NoFootage`."""
        ...

    async def beginning(self, camera: CameraId, path: str) -> bytes:
        """The beginning of the recording file `DAY/NAME`, without which no segment plays. Raises `NoFootage`."""
        ...

    async def segment(self, camera: CameraId, path: str, offset: int, size: int, shift: int) -> bytes:
        """Fragments of a recording file, whose times are moved by `shift` in 1/90000 s. Raises `NoFootage`."""
        ...

    async def picture(self, camera: CameraId, at_ns: int) -> Jpeg:
        """The key frame at or before a time, without its age. Raises `NoFootage`."""
        ...
