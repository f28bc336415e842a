"""Many cameras, hardly anybody watching: what a camera costs that is only kept."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio

from .meter import cpu_s, pss_mb
from .plan import Plan
from .processes import receive
from .report import Report, Say
from .servers import Server, open_cameras, open_daemon
from .stream import DESCRIPTION, sample_file

SETTLE_S = 5.0
VIEWERS = 10
COLUMNS = ("source", "cameras", "viewers", "CPU % of a core", "% a camera", "PSS MB", "MB a camera")


async def measure(cameras: int, seconds: float, say: Say) -> Report:
    """A daemon without cameras, with so many by RTSP, and with as many by ffmpeg children. Raises `BenchError`."""
    async with open_cameras(sample_file(), cameras) as urls:
        sources: dict[str, Mapping[str, object]] = {
            "none": {},
            "rtsp": urls,
            "ffmpeg": {name: {"ffmpeg": _ffmpeg(url)} for name, url in urls.items()},
        }
        rows: list[tuple[str | float | None, ...]] = []
        base_cpu = base_mb = 0.0
        for name, chosen in sources.items():
            say(f"{len(chosen)} cameras, {name}")
            async with _settled(chosen) as server:
                cpu, size_mb = await _cost(server.pid, seconds)
                if not chosen:
                    base_cpu, base_mb = cpu, size_mb
                    rows.append((name, 0, 0, cpu, None, size_mb, None))
                    continue
                each = ((cpu - base_cpu) / cameras, (size_mb - base_mb) / cameras)
                rows.append((name, cameras, 0, cpu, each[0], size_mb, each[1]))
                say(f"{len(chosen)} cameras, {name}, {VIEWERS} viewers")
                result = await receive(Plan(server.urls, server.pid, viewers=VIEWERS, seconds=seconds))
                watched = result.cpu_s / result.seconds * 100
                rows.append((name, cameras, len(result.viewers), watched, None, result.pss_mb, None))
    notes = [
        f"{DESCRIPTION}; an RTSP server in another process; windows of {seconds:g} s.",
        "CPU and memory of the daemon with all its children; of a camera the difference to the daemon without any.",
    ]
    return Report("Many cameras", COLUMNS, rows, notes)


def _ffmpeg(url: str) -> list[str]:
    return ["-rtsp_transport", "tcp", "-i", url, "-c", "copy"]


@asynccontextmanager
async def _settled(cameras: Mapping[str, object]) -> AsyncIterator[Server]:
    async with open_daemon(cameras) as server:
        await trio.sleep(SETTLE_S)
        yield server


async def _cost(pid: int, seconds: float) -> tuple[float, float]:
    """CPU in percent of a core, and MB afterwards."""
    before, began = cpu_s(pid), trio.current_time()
    await trio.sleep(seconds)
    return (cpu_s(pid) - before) / (trio.current_time() - began) * 100, pss_mb(pid)
