"""How a key frame is looked at for motion: rarely, small, in one thread for all cameras. Pure but for the decoding."""

from functools import partial

import attrs
import av
import trio

from supervisor.threads import run_in_thread

from .hub import Still
from .jpeg import Undecodable, decode, encode

SIZE = (64, 36)
THUMBNAIL = (320, 180)
DIFFERENT = 24
"""Of 255: less is noise of the sensor, or a cloud."""
SHARE_OF_FULL_SCORE = 0.04
"""So much of the picture has changed for a score of 1; somebody who walks by takes about as much."""
SCENE = 0.6
"""More than this has changed at once: a light was switched, or the camera turned. No motion in the picture."""


@attrs.frozen
class Look:
    """A key frame as `SIZE` grey pixels, and in full where a thumbnail is to be made of it."""

    grey: bytes
    picture: av.VideoFrame | None = None


class Eyes:
    """Looks at pictures beside the loop, one at a time for all cameras. Made once."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(1)

    async def look(self, still: Still) -> Look:
        """Raises `Undecodable`. Cancellation: waits for the picture that is being decoded."""
        return await run_in_thread(partial(look, still.codec.name, still.data), limiter=self._limiter)

    async def draw(self, seen: Look) -> bytes:
        """A thumbnail, as JPEG. Cancellation: as `look`."""
        assert seen.picture is not None
        return await run_in_thread(partial(encode, seen.picture, THUMBNAIL), limiter=self._limiter)


def look(codec: str, key_frame: bytes) -> Look:
    """Blocking, for as long as `jpeg_of`. Raises `Undecodable`."""
    picture = decode(codec, key_frame)
    try:
        plane = picture.reformat(width=SIZE[0], height=SIZE[1], format="gray").planes[0]
    except av.error.FFmpegError as error:
        raise Undecodable(f"the picture cannot be made small: {error.strerror}") from None
    rows, step = bytes(plane), plane.line_size
    return Look(b"".join(rows[y * step : y * step + SIZE[0]] for y in range(SIZE[1])), picture)


def changed(before: bytes, after: bytes) -> tuple[float, tuple[float, float, float, float]]:
    """Which share of the pixels is another, and the box around them, as shares of the picture."""
    width, height = SIZE
    moved = [at for at in range(width * height) if abs(before[at] - after[at]) >= DIFFERENT]
    if not moved:
        return 0.0, (0.0, 0.0, 0.0, 0.0)
    columns, lines = [at % width for at in moved], [at // width for at in moved]
    left, top = min(columns), min(lines)
    box = (left / width, top / height, (max(columns) + 1 - left) / width, (max(lines) + 1 - top) / height)
    return len(moved) / (width * height), box


def score(share: float) -> float:
    """How sure it is that something moved: 0 to 1."""
    return 0.0 if share > SCENE else round(min(1.0, share / SHARE_OF_FULL_SCORE), 3)
