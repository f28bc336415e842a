"""Counts torn frames of a program that writes shared memory at full speed."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from actors.media.bitstream import join_annexb
from actors.media.h264 import H264
from actors.media.hub import Hub
from actors.media.media import VideoCodec
from actors.sources import KINDS
from supervisor.config.config import Source

from .core import open_core
from .domain import GATE
from .patience import give_up_after
from .shared_memory import IDR, numbered, shared_ring
from .tools import make_tools

ROOT = Path(__file__).parents[2]
NAME = f"/banken-torn-{os.getpid()}"


class Checking(Hub):
    """Looks at the frames of the program `tests.kit.shared_memory`, each of which shows its number everywhere."""

    seen = torn = 0

    def publish(self, units: Iterable[bytes], pts: int, codec: VideoCodec = H264, dts: int | None = None) -> None:
        data = join_annexb(units)
        self.seen += 1
        self.torn += data != numbered(int(data[len(IDR) : len(IDR) + 16]))


@contextmanager
def full_speed(size: int) -> Iterator[None]:
    """A program that writes as fast as it can."""
    command = [sys.executable, "-m", "tests.kit.shared_memory", NAME, str(size)]
    with shared_ring(NAME, size), subprocess.Popen(command, cwd=ROOT) as writer:
        try:
            yield
        finally:
            writer.kill()


async def count_torn(size: int, frames: int, within_s: float) -> Checking:
    """Read `frames` frames of a ring of this size by the source. Returns the hub, which has counted."""
    with full_speed(size):
        async with open_core() as core, trio.open_nursery() as nursery:
            hub = Checking(core.kernel.clock)
            hub.begin()
            tools = make_tools(core.kernel, nursery)
            nursery.start_soon(KINDS["shm"].run, GATE, Source("shm", f"shm:{NAME}"), hub, tools)
            with give_up_after(within_s):
                while hub.seen < frames:  # noqa: ASYNC110 - hundreds a second
                    await trio.sleep(0.05)
            nursery.cancel_scope.cancel()
    return hub
