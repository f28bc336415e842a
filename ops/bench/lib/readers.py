"""Readers by RTSP and peers by WebRTC of the same camera, in turn from one daemon: what does each kind cost?"""

from collections.abc import Mapping
from statistics import median

import msgspec

from .pairs import LEVEL, interval
from .plan import Plan
from .processes import BenchError, open_part, python, receive
from .report import Report, Say
from .rtsp_receivers import ReadPlan, ReadResult
from .servers import free_ports, open_cameras, open_daemon
from .stream import DESCRIPTION, FPS, sample_file

COLUMNS = (
    "viewers", "CPU % of a core", "of WebRTC's", "95 % from", "to", "CPU µs/packet", "pictures/s, least",
    "lost packets", "MB a viewer", "receivers' CPU %",
)  # fmt: skip
KINDS: Mapping[str, tuple[str, int]] = {
    "RTSP, TCP": ("tcp", 0),
    "RTSP, UDP": ("udp", 0),
    "RTSP, TCP, 10 never read": ("tcp", 10),
}
"""The transport of each kind of readers, and how many of them stop to read."""
PEERS = "WebRTC"

Figures = dict[str, float]


async def measure(viewers: int, rounds: int, seconds: float, say: Say) -> Report:
    """Measure `viewers` of each kind, `rounds` times in turn. Raises `BenchError`."""
    found: dict[str, list[Figures]] = {}
    (port,) = free_ports(1)
    more = {"rtsp": {"listen": f"127.0.0.1:{port}"}}
    async with open_cameras(sample_file(), 1) as cameras, open_daemon(cameras, more=more) as server:
        (name,) = cameras
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}: {PEERS}")
            result = await receive(Plan(server.urls, server.pid, viewers=viewers, seconds=seconds))
            if len(result.viewers) < viewers:
                raise BenchError(f"{len(result.viewers)} of {viewers} peers joined: {result.refusal}")
            memory = (result.pss_mb - result.pss_before_mb) / viewers
            pictures = min(seen.pictures / result.seconds for seen in result.viewers)
            own = result.receivers_cpu_s / result.seconds
            found.setdefault(PEERS, []).append(
                _figures(result.cpu_s, result.seconds, result.packets, pictures, result.lost, memory, own)
            )
            for kind, (transport, stalled) in KINDS.items():
                say(f"round {number + 1} of {rounds}: {kind}")
                plan = ReadPlan(f"rtsp://127.0.0.1:{port}/{name}", transport, viewers, seconds, server.pid, stalled)
                found.setdefault(kind, []).append(_of_readers(await _read(plan), viewers))
    notes = [
        f"{DESCRIPTION}; {viewers} viewers of one camera at {FPS} pictures/s; windows of {seconds:g} s, in turn, "
        f"{rounds} rounds of one daemon.",
        "CPU is that of the daemon with all its children, the reading of the camera among it. Figures are medians.",
        "A ratio is the median of the rounds' ratios to WebRTC in the same round. Its interval is that of the Wilcoxon "
        f"signed-rank test at {LEVEL:.0%}; it needs 6 rounds.",
        "Of readers that never read, the row shows the pictures and the losses of the others.",
    ]
    return Report("Readers by RTSP beside peers by WebRTC", COLUMNS, [_row(kind, found) for kind in found], notes)


def _figures(
    cpu_s: float, seconds: float, packets: int, pictures: float, lost: int, memory: float, own: float
) -> Figures:
    cpu = cpu_s / seconds
    return {
        "cpu": cpu, "packet": cpu_s / max(1, packets) * 1e6, "pictures": pictures, "lost": lost, "memory": memory,
        "own": own,
    }  # fmt: skip


def _of_readers(result: ReadResult, viewers: int) -> Figures:
    return _figures(
        result.cpu_s,
        result.seconds,
        sum(result.packets),
        min(result.pictures) / result.seconds,
        sum(result.lost),
        (result.pss_mb - result.pss_before_mb) / viewers,
        result.receivers_cpu_s / result.seconds,
    )


async def _read(plan: ReadPlan) -> ReadResult:
    command = python("ops.bench.lib.rtsp_receivers")
    async with open_part("the readers", command, stdin=msgspec.json.encode(plan)) as part:
        output = await part.read_all()
    try:
        return msgspec.json.decode(output, type=ReadResult)
    except msgspec.DecodeError:
        raise BenchError(f"the readers say nothing: {part.errors.decode(errors='replace')}") from None


def _row(kind: str, found: Mapping[str, list[Figures]]) -> tuple[str | float | None, ...]:
    rounds = found[kind]
    ratios = [each["cpu"] / other["cpu"] for each, other in zip(rounds, found[PEERS], strict=True)]
    low, high = (interval(ratios) or (None, None)) if kind != PEERS else (None, None)
    shown = [None if each is None else f"{each:.2f}" for each in (median(ratios), low, high)]
    middle = {name: median(each[name] for each in rounds) for name in rounds[0]}
    return (
        kind, 100 * middle["cpu"], *shown, middle["packet"], middle["pictures"], max(each["lost"] for each in rounds),
        middle["memory"], 100 * middle["own"],
    )  # fmt: skip
