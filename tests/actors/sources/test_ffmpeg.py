"""`{ffmpeg: [...]}` with a real ffmpeg: a secret address reaches it, and does not appear in a process list."""

import os
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from actors.media.hub import Hub
from actors.sources import KINDS
from supervisor.config.config import Source
from tests.actors.process.test_child import tools
from tests.actors.sources.test_file import PROGRAMS, write_clip
from tests.kit.core import open_core
from tests.kit.domain import GATE
from tests.kit.media import follow
from tests.kit.patience import give_up_after
from tests.kit.processes import descendants

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("ffmpeg", PROGRAMS)
async def test_secret_address_is_asked_for_and_is_in_no_process_list(tmp_path: Path, ffmpeg: str) -> None:
    """Its video arrives as from any other address; a quote in the address is an ordinary character."""
    clip = write_clip(tmp_path / "clip.ts").read_bytes()
    asked: list[bytes] = []
    lines: list[str] = []

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            asked.append((await stream.receive_some(8192)).split()[1])
            lines.extend(" ".join(process.cmdline) for process in descendants(os.getpid()))
            await stream.send_all(HEAD + clip)

    async with open_core() as core, trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        source = Source("ffmpeg", "ffmpeg", ("-i", f"http://127.0.0.1:{port}/it's?loginpas=geheim", "-c", "copy"))
        hub = Hub(core.kernel.clock)
        child_tools = attrs.evolve(tools(core), ffmpeg=ffmpeg)
        nursery.start_soon(KINDS["ffmpeg"].run, GATE, source, hub, child_tools)
        with give_up_after(15):
            assert (await follow(hub, hub.subscribe()))[0].units
        nursery.cancel_scope.cancel()
    assert asked[0] == b"/it's?loginpas=geheim"
    assert any("ffmpeg" in line for line in lines)
    assert not any("geheim" in line for line in lines)
