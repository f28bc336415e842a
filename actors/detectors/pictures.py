"""The newest pictures of cameras for one detector: when a camera's turn comes, and as JPEG of a bounded size.

Rules of this file:
- No camera is opened. A picture is a key frame that has come anyway: of an open camera, or of a patrol cycle.
- Nothing is queued. Each request gets the newest key frame, of the camera that has waited longest.
- A picture above `MOST_JPEG` is made smaller, or skipped.
"""

import math
from collections.abc import Mapping
from typing import Protocol
from weakref import ref

import attrs
import trio

from supervisor.base.times import iso
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import CameraId
from supervisor.ports.viewing import Jpeg

from ..camera.camera import CameraActor
from ..media.bitstream import BitstreamError
from ..media.decoder.client import Decodes
from ..media.decoder.queue import Undecodable
from ..media.hub import Still
from ..media.jpeg import picture_size
from ..tools import Tools
from .lines import LARGE, UNDECODED
from .tally import DetectorTally

LOOK_S = 0.2
"""How often the cameras are looked at while none has a new picture. A look takes some microseconds for each camera."""
FRESH_S = 10.0
"""An older key frame is not a present picture: detections older than this are not suggested."""
MOST_JPEG = 1024 * 1024
TRIES = 3
"""Sizes that are tried for a picture that is too large."""
THUMBNAIL_S = 0.25
"""Time limit for a thumbnail, so that a detection does not wait for a busy decoder."""
MOST_THUMBNAIL = 128 * 1024


class PictureMaker(Protocol):
    """Makes the JPEG of a key frame; each is decoded once, however many ask."""

    async def jpeg_of(self, camera: CameraActor, still: Still) -> Jpeg:
        """Return the JPEG. Raises `Rejected`."""
        ...


@attrs.define(eq=False)
class DetectorPicture:
    """A picture that a detector gets."""

    camera: CameraId
    still: Still
    at: str
    """When it was taken, as the detector reads it."""
    jpeg: bytes
    width: int
    height: int
    thumbnail: bytes | None = None
    """Made when it is first needed."""


class Pictures:
    """Gives the pictures of all cameras of one detector."""

    def __init__(
        self,
        wanted: tuple[CameraId, ...],
        interval_s: float,
        cameras: Mapping[CameraId, CameraActor],
        snapshots: PictureMaker,
        decoder: Decodes,
        tally: DetectorTally,
        tools: Tools,
    ) -> None:
        """`wanted`: the names of the cameras; empty: all. `interval_s`: between two pictures of a camera."""
        self._wanted, self._interval_s, self._cameras = wanted, interval_s, cameras
        self._snapshots, self._decoder, self._tally, self._tools = snapshots, decoder, tally, tools
        self._taken: dict[CameraId, tuple[float, ref[Still]]] = {}
        """When the last picture of each camera was taken, and from which key frame, which this does not keep."""
        self._newest: DetectorPicture | None = None

    def watches(self, camera: str) -> bool:
        """Whether the detector may report a detection at `camera`."""
        return camera in self._tools.kernel.state.cameras and (not self._wanted or camera in self._wanted)

    async def next(self) -> DetectorPicture:
        """Wait for the next picture. Cancellation: at any time."""
        while True:
            found = self._due(trio.current_time())
            if found is None:
                await trio.sleep(LOOK_S)
                continue
            name, still = found
            self._taken[name] = (trio.current_time(), ref(still))
            picture = await self._made(self._cameras[name], still)
            if picture is not None:
                return picture

    def newest(self, camera: CameraId) -> DetectorPicture | None:
        """Return the newest key frame of `camera`, without its JPEG, for a thumbnail; None if it is not fresh."""
        still = self._cameras[camera].hub.still if camera in self._cameras else None
        if still is None or still.mono_ns < self._oldest_ns():
            self._newest = None
        elif self._newest is None or self._newest.still is not still:
            self._newest = DetectorPicture(camera, still, iso(still.wall_ns), b"", 0, 0)
        return self._newest

    async def thumbnail(self, picture: DetectorPicture) -> bytes:
        """Return a small JPEG of `picture`; empty if none can be made in time."""
        if picture.thumbnail is None:
            made = b""
            with trio.move_on_after(THUMBNAIL_S):
                try:
                    made = await self._decoder.thumbnail(picture.camera, picture.still)
                except Undecodable:
                    made = b""
            picture.thumbnail = made or (picture.jpeg if len(picture.jpeg) <= MOST_THUMBNAIL else b"")
        return picture.thumbnail

    def _due(self, now: float) -> tuple[CameraId, Still] | None:
        """Return the camera with a new key frame that has waited longest."""
        for gone in self._taken.keys() - self._cameras.keys():
            del self._taken[gone]
        oldest_ns = self._oldest_ns()
        due: list[tuple[float, CameraId, Still]] = []
        for name in self._wanted or self._cameras:
            if name not in self._cameras:
                continue
            still = self._cameras[name].hub.still
            at, before = self._taken.get(name, (-math.inf, None))
            if still is None or still.mono_ns < oldest_ns or now < at + self._interval_s:
                continue
            if before is None or before() is not still:
                due.append((at, name, still))
        return min(due, key=lambda each: each[:2])[1:] if due else None

    def _oldest_ns(self) -> int:
        return self._tools.kernel.clock.mono_ns() - int(FRESH_S * 1e9)

    async def _made(self, camera: CameraActor, still: Still) -> DetectorPicture | None:
        try:
            jpeg = (await self._snapshots.jpeg_of(camera, still)).data
            size = picture_size(jpeg)
            for _ in range(TRIES):
                if len(jpeg) <= MOST_JPEG:
                    return DetectorPicture(camera.name, still, iso(still.wall_ns), jpeg, *size)
                size = _smaller(size, len(jpeg))
                jpeg = await self._decoder.scaled(camera.name, still, size)
        except (Rejected, Undecodable, BitstreamError):
            self._tally.drop(UNDECODED)
            return None
        if len(jpeg) <= MOST_JPEG:
            return DetectorPicture(camera.name, still, iso(still.wall_ns), jpeg, *size)
        self._tally.drop(LARGE)
        return None


def _smaller(size: tuple[int, int], length: int) -> tuple[int, int]:
    """Return the size at which a JPEG of `length` bytes probably fits, in even numbers."""
    share = (0.8 * MOST_JPEG / length) ** 0.5
    width, height = (max(16, int(side * share) // 2 * 2) for side in size)
    return width, height
