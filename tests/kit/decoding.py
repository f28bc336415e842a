"""A decoder that decodes nothing: for tests that need snapshots, but not their content."""

import attrs
import trio

from actors.media.decoder.wire import GREY_BYTES, Looked
from actors.media.hub import Still
from supervisor.domain.ids import CameraId

TAKES_S = 0.05


@attrs.define
class FakeDecoder:
    """No thread, no process: the autojump clock would not wait for them."""

    made: int = 0

    async def jpeg(self, camera: CameraId, still: Still) -> bytes:
        await trio.sleep(TAKES_S)
        self.made += 1
        return b"JPEG of %d bytes" % len(still.data)

    async def thumbnail(self, camera: CameraId, still: Still) -> bytes:
        return await self.jpeg(camera, still)

    async def scaled(self, camera: CameraId, still: Still, size: tuple[int, int]) -> bytes:
        return await self.jpeg(camera, still)

    async def look(self, camera: CameraId, still: Still, before: bytes) -> Looked:
        await trio.sleep(TAKES_S)
        return Looked(0.0, (0.0, 0.0, 0.0, 0.0), bytes(GREY_BYTES))
