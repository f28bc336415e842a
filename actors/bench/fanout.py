"""One stream to many viewers: what a packet costs, and what a viewer, beside others who do the same."""

from collections.abc import Mapping
from statistics import median
from typing import Any

import attrs

from .plan import Plan, Result
from .processes import receive
from .report import Report, Say
from .servers import Open
from .stream import DESCRIPTION, sample_file

SATURATED = 0.9
"""Of a core: from here on the receivers may be what is measured."""
COLUMNS = (
    "server", "CPU µs/packet", "CPU % of a core", "% a viewer", "packets/s a viewer", "lost %", "pictures/s, least",
    "PSS MB", "MB a viewer", "loop lag p99 ms", "cost to banken's", "viewers", "receivers' CPU %",
)  # fmt: skip


@attrs.frozen
class Row:
    """One server in one round; of several rounds the medians."""

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
    servers: Mapping[str, Open], viewers: int, cameras: int, seconds: float, rounds: int, gro: bool, say: Say
) -> Report:
    """All servers in turns, `rounds` times. Raises `BenchError`."""
    file = sample_file()
    rows: dict[str, list[Row]] = {name: [] for name in servers}
    refusals: dict[str, str] = {}
    for turn in range(rounds):
        for name, open_server in servers.items():
            say(f"round {turn + 1} of {rounds}: {name}, {viewers} viewers")
            async with open_server(file, cameras, False) as server:
                plan = Plan(server.urls, server.pid, viewers=viewers, seconds=seconds, gro=gro)
                result = await receive(plan)
                rows[name].append(row(result, await server.loop_lag_s()))
                if result.refusal:
                    refusals[name] = f"{name}: {len(result.viewers)} of {viewers} viewers joined: {result.refusal}"
    return report({name: together(each) for name, each in rows.items()}, refusals, viewers, cameras, seconds, gro)


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
    """The median of each figure."""
    columns = {field.name: [getattr(each, field.name) for each in rows] for field in attrs.fields(Row)}
    figures: dict[str, Any] = {name: None if None in column else median(column) for name, column in columns.items()}
    return Row(**figures)


def report(
    rows: Mapping[str, Row], refusals: Mapping[str, str], viewers: int, cameras: int, seconds: float, gro: bool
) -> Report:
    ours = rows["banken"].packet_us
    cells = [
        (
            name, r.packet_us, r.cpu, r.viewer_cpu, r.packets, r.lost, r.pictures, r.pss_mb, r.viewer_mb, r.lag_ms,
            f"{r.packet_us / ours:.2f}" if ours else "", r.viewers, r.receivers_cpu,
        )
        for name, r in rows.items()
    ]  # fmt: skip
    notes = [
        f"{DESCRIPTION}; {viewers} viewers of {cameras} cameras, windows of {seconds:g} s, the servers in turns.",
        "A server's CPU and memory are those of its process with all children. They read their cameras by RTSP; aiortc "
        "reads the file itself, Janus is sent RTP.",
        f"UDP_GRO at the receivers: {'on' if gro else 'off, so that the kernel cuts long datagrams for the sender'}.",
        *refusals.values(),
    ]
    full = [name for name, each in rows.items() if each.receivers_cpu >= SATURATED * 100]
    if full:
        notes.append(f"The receivers were saturated with {', '.join(full)}: those figures are theirs as well.")
    return Report("One stream to many viewers", COLUMNS, cells, notes)
