"""Many cameras with few viewers: the cost of a camera that is only kept open."""

from collections.abc import Mapping

import attrs
import trio

from .meter import cpu_s, pss_mb
from .plan import Plan
from .processes import receive
from .report import Report, Say
from .servers import Open, open_cameras, open_daemon
from .stream import DESCRIPTION, sample_file

SETTLE_S = 5.0
VIEWERS = 10
COLUMNS = (
    "server", "source", "cameras", "viewers", "CPU % of a core", "% a camera", "PSS MB", "MB a camera",
    "cost to banken's",
)  # fmt: skip

Row = tuple[str | float | None, ...]


async def measure(others: Mapping[str, Open], cameras: int, seconds: float, say: Say) -> Report:
    """Measure banken without cameras, with `cameras` over RTSP, and with as many ffmpeg children; then the others.

    Raises `BenchError`.
    """
    rows: list[Row] = []
    async with open_cameras(sample_file(), cameras) as urls:
        say("banken, 0 cameras")
        async with open_daemon({}) as server:
            base = await _cost(server.pid, seconds)
        rows.append(_row("banken", "none", 0, base))
        sources: dict[str, Mapping[str, object]] = {
            "rtsp": urls,
            "ffmpeg": {name: {"ffmpeg": _ffmpeg(url)} for name, url in urls.items()},
        }
        ours = 0.0
        for source, chosen in sources.items():
            say(f"banken, {cameras} cameras, {source}")
            async with open_daemon(chosen) as server:
                cost = await _cost(server.pid, seconds)
                ours = ours or cost.cpu - base.cpu
                rows.append(_row("banken", source, cameras, cost, base, ours))
                say(f"banken, {cameras} cameras, {source}, {VIEWERS} viewers")
                result = await receive(Plan(server.urls, server.pid, viewers=VIEWERS, seconds=seconds))
                watched = _Cost(result.cpu_s / result.seconds * 100, result.pss_mb)
                rows.append(_row("banken", source, cameras, watched, viewers=len(result.viewers)))
    for name, open_server in others.items():
        costs = []
        for count in (0, cameras):
            say(f"{name}, {count} cameras")
            async with open_server(sample_file(), count, False) as server:
                costs.append(await _cost(server.pid, seconds))
        rows.append(_row(name, "none", 0, costs[0]))
        rows.append(_row(name, "rtsp", cameras, costs[1], costs[0], ours))
    notes = [
        f"{DESCRIPTION}; an RTSP server in another process; windows of {seconds:g} s.",
        "CPU and memory are those of the server with all its children; for one camera, the difference to the same "
        "server without cameras. The last column compares that difference with banken's own reading of RTSP.",
    ]
    return Report("Many cameras", COLUMNS, rows, notes)


@attrs.frozen
class _Cost:
    """CPU in percent of a core, and memory in MB."""

    cpu: float
    size_mb: float


def _row(
    name: str, source: str, cameras: int, cost: _Cost, base: _Cost | None = None, ours: float = 0.0, viewers: int = 0
) -> Row:
    if base is None:
        return (name, source, cameras, viewers, cost.cpu, None, cost.size_mb, None, None)
    cpu, size_mb = cost.cpu - base.cpu, cost.size_mb - base.size_mb
    ratio = f"{cpu / ours:.2f}" if ours else ""
    return (name, source, cameras, viewers, cost.cpu, cpu / cameras, cost.size_mb, size_mb / cameras, ratio)


def _ffmpeg(url: str) -> list[str]:
    return ["-rtsp_transport", "tcp", "-i", url, "-c", "copy"]


async def _cost(pid: int, seconds: float) -> _Cost:
    """Measure the CPU over `seconds` after the server has settled, and the memory afterwards."""
    await trio.sleep(SETTLE_S)
    before, began = cpu_s(pid), trio.current_time()
    await trio.sleep(seconds)
    return _Cost((cpu_s(pid) - before) / (trio.current_time() - began) * 100, pss_mb(pid))
