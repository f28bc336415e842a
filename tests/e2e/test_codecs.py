"""H.265 from a real ffmpeg through a real daemon, to a viewer that takes H.264 only."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from supervisor.domain import events as e
from tests.actors.sources.test_file import BUNDLED, write_clip
from tests.e2e.test_sources import write_video
from tests.kit.daemon import Daemon, launch_daemon, write_config
from tests.kit.processes import wait_until
from tests.kit.viewer import open_viewer


@asynccontextmanager
async def newest_ffmpeg(folder: Path, cameras: dict[str, Any]) -> AsyncIterator[Daemon]:
    """A daemon that has banken's own ffmpeg on its PATH: Debian's puts no H.265 into FLV."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "ffmpeg").symlink_to(BUNDLED)
    write_config(folder, cameras)
    async with launch_daemon(folder, {"PATH": f"{programs}:{os.environ['PATH']}"}) as daemon:
        await daemon.wait_ready()
        yield daemon


async def test_who_takes_no_h265_gets_the_substream_or_is_told(tmp_path: Path) -> None:
    """Also of a camera that rests and never sent anything: then it is told with its first picture."""
    main = f"file://{write_clip(tmp_path / 'main.mkv', 'libx265')}"
    sub = f"file://{write_video(tmp_path / 'sub.mp4', 'libx264', {'bf': '0'})}"
    cameras = {
        "main": {"source": main, "substream": "sub"},
        "sub": {"source": sub, "mode": "on_demand"},
        "lone": {"source": main, "mode": "on_demand"},
    }
    async with newest_ffmpeg(tmp_path, cameras) as daemon:
        assert (await daemon.wait_camera("main", "live"))["codec"] == "h265"
        async with open_viewer() as viewer:
            answer = await daemon.offer("main", viewer.offer)
            assert answer.headers["Content-Location"] == "/whep/sub"
            await viewer.accept(answer.text)
            await viewer.wait_frames(5)
            assert viewer.sizes == {(128, 96)}

        async with open_viewer() as viewer:
            await viewer.accept((await daemon.offer("lone", viewer.offer)).text)

            def closed() -> list[str]:
                return [row.event.reason.code for row in daemon.journal()
                        if isinstance(row.event, e.PeerClosed) and row.event.camera == "lone"]  # fmt: skip

            await wait_until(closed, 20, what="the end of the viewer")
            assert closed() == ["unsupported-codec"]
            refused = await daemon.offer("lone", viewer.offer)
        assert (refused.status, refused.json["codec"]) == (406, "h265")
