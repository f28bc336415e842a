"""Video to many viewers: the cost of a packet and of a viewer, compared with other servers."""

from collections.abc import Mapping, Sequence
from itertools import product
from statistics import median
from typing import Any

import attrs

from .plan import Plan, Result
from .processes import receive
from .report import Report, Say
from .servers import Open
from .stream import DESCRIPTION, sample_file

SATURATED = 0.9
"""Fraction of a core: above it, the receivers may limit the result."""
COLUMNS = (
    "shape", "server", "CPU µs/packet", "CPU % of a core", "% a viewer", "packets/s a viewer", "lost %",
    "pictures/s, least", "PSS MB", "MB a viewer", "loop lag p99 ms", "cost to banken's", "viewers", "receivers' CPU %",
)  # fmt: skip


@attrs.frozen
class Shape:
    """So many cameras, and so many viewers of each."""

    cameras: int
    each: int

    @property
    def viewers(self) -> int:
        """The viewers of all cameras together."""
        return self.cameras * self.each

    def __str__(self) -> str:
        return f"{self.cameras}x{self.each}"


@attrs.frozen
class Row:
    """The figures of one server in one round, or the medians of several rounds."""

    packet_us: float
    cpu: float
    viewer_cpu: float
    packets: float
    lost: float
    pictures: float
    pss_mb: float
    viewer_mb: float
    lag_ms: float | None
    viewers: float
    receivers_cpu: float


async def measure(
    servers: Mapping[str, Open], shapes: Sequence[Shape], seconds: float, rounds: int, gro: bool, say: Say
) -> Report:
    """Measure all servers in turn with each shape, `rounds` times. Raises `BenchError`."""
    file = sample_file()
    rows: dict[tuple[Shape, str], list[Row]] = {}
    refusals: dict[tuple[Shape, str], str] = {}
    for turn in range(rounds):
        for shape, (name, open_server) in product(shapes, servers.items()):
            say(f"round {turn + 1} of {rounds}: {name}, {shape}")
            async with open_server(file, shape.cameras, False) as server:
                plan = Plan(server.urls, server.pid, viewers=shape.viewers, seconds=seconds, gro=gro)
                result = await receive(plan)
                rows.setdefault((shape, name), []).append(row(result, await server.loop_lag_s()))
                if result.refusal:
                    joined = f"{len(result.viewers)} of {shape.viewers} viewers joined"
                    refusals[shape, name] = f"{name}, {shape}: {joined}: {result.refusal}"
    return report({key: together(each) for key, each in rows.items()}, [*refusals.values()], seconds, gro)


def row(result: Result, lag_s: float | None) -> Row:
    count, seconds = max(1, len(result.viewers)), result.seconds
    sent = max(1, sum(viewer.sent for viewer in result.viewers))
    return Row(
        packet_us=result.cpu_s / max(1, result.packets) * 1e6,
        cpu=result.cpu_s / seconds * 100,
        viewer_cpu=result.cpu_s / seconds / count * 100,
        packets=result.packets / seconds / count,
        lost=result.lost / sent * 100,
        pictures=min((viewer.pictures / seconds for viewer in result.viewers), default=0.0),
        pss_mb=result.pss_mb,
        viewer_mb=(result.pss_mb - result.pss_before_mb) / count,
        lag_ms=None if lag_s is None else lag_s * 1000,
        viewers=len(result.viewers),
        receivers_cpu=result.receivers_cpu_s / seconds * 100,
    )


def together(rows: list[Row]) -> Row:
    """Return the median of each figure."""
    columns = {field.name: [getattr(each, field.name) for each in rows] for field in attrs.fields(Row)}
    figures: dict[str, Any] = {name: None if None in column else median(column) for name, column in columns.items()}
    return Row(**figures)


def report(rows: Mapping[tuple[Shape, str], Row], refusals: Sequence[str], seconds: float, gro: bool) -> Report:
    cells = []
    for (shape, name), r in rows.items():
        ours = rows[shape, "banken"].packet_us
        cells.append((
            str(shape), name, r.packet_us, r.cpu, r.viewer_cpu, r.packets, r.lost, r.pictures, r.pss_mb, r.viewer_mb,
            r.lag_ms, f"{r.packet_us / ours:.2f}" if ours else "", r.viewers, r.receivers_cpu,
        ))  # fmt: skip
    notes = [
        f"{DESCRIPTION}; windows of {seconds:g} s, one server after the other. Shape: cameras x viewers of each.",
        "A server's CPU and memory are those of its process with all children. They read their cameras by RTSP; aiortc "
        "reads the file itself, and Janus receives RTP.",
        f"UDP_GRO at the receivers: {'on' if gro else 'off, so that the kernel splits long datagrams for the sender'}.",
        *refusals,
    ]
    full = [f"{name}, {shape}" for (shape, name), each in rows.items() if each.receivers_cpu >= SATURATED * 100]
    if full:
        notes.append(f"The receivers were saturated with {'; '.join(full)}: those figures depend on them, too.")
    return Report("Video to many viewers", COLUMNS, cells, notes)
