"""Scripted cameras in a separate process, so that cameras and test do not disturb each other.

With `stamps` each access unit carries its time of sending, in a user data SEI (H.264, D.1.7) in front of it.
"""

import json
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import trio

from .cameras import open_camera
from .habits import Behaviour

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def open_senders(behaviours: Sequence[Behaviour]) -> AsyncIterator[list[str]]:
    """A camera for each, as their URLs. They end with the block, and with this process."""
    process = subprocess.Popen(  # noqa: ASYNC220 - a test may block for the millisecond it takes
        [sys.executable, "-m", "tests.kit.senders"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        given = pickle.dumps(list(behaviours))
        process.stdin.write(len(given).to_bytes(4) + given)
        process.stdin.flush()
        line = await trio.to_thread.run_sync(process.stdout.readline)
        yield json.loads(line)
    finally:
        process.stdin.close()  # its sign to end
        process.kill()
        process.wait()
        process.stdout.close()


async def serve() -> None:
    """Open the cameras that standard input names, say where they are, and go on until it is closed."""
    size = int.from_bytes(sys.stdin.buffer.read(4))
    behaviours: list[Behaviour] = pickle.loads(sys.stdin.buffer.read(size))
    async with AsyncExitStack() as cameras:
        opened = [await cameras.enter_async_context(open_camera(each)) for each in behaviours]
        print(json.dumps([camera.url for camera in opened]), flush=True)
        await trio.lowlevel.wait_readable(sys.stdin)


if __name__ == "__main__":
    trio.run(serve)
