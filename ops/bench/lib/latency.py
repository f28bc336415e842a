"""Latency for a viewer: of the first frame, and of each access unit after it."""

from collections.abc import Mapping, Sequence

from .meter import percentile
from .plan import Plan, Result
from .processes import open_receivers, receive
from .report import Report, Say
from .servers import Open, Server
from .stream import DESCRIPTION, sample_file

FOR_EVER_S = 600.0
COLUMNS = ("server", "what", "other viewers", "of", "p50 ms", "p95 ms", "p99 ms", "most ms")
JOIN = "from the offer to a whole key frame"
AGE = "from the camera to the viewer's socket"
FIRST, LAST = f"{AGE}, first packet with a slice", f"{AGE}, last packet"

Row = tuple[str | float | None, ...]


async def measure(servers: Mapping[str, Open], viewers: int, joins: int, seconds: float, say: Say) -> Report:
    """Measure each server, without other viewers and with `viewers` of them. Raises `BenchError`."""
    rows: list[Row] = []
    notes = [
        f"{DESCRIPTION}. Servers read it from a camera's RTSP server in another process; Janus receives RTP.",
        "From the camera to the socket: the camera writes the time into the slice of an access unit before it sends "
        "the first packet. The delay ends when the viewer's kernel has that slice's first packet, or the last packet.",
    ]
    for name, open_server in servers.items():
        async with open_server(sample_file(), 1, True) as server:
            say(f"{name}: {joins} viewers, one after the other")
            alone = await receive(Plan(server.urls, server.pid, joins=joins))
            rows.append(_row(name, JOIN, 0, alone.joins_ms))
            say(f"{name}: one viewer, {seconds:g} s")
            one = await receive(Plan(server.urls, server.pid, viewers=1, seconds=seconds, stamps=True))
            rows += _ages(name, 0, one)
            say(f"{name}: {viewers} viewers, {seconds:g} s")
            watched = await receive(Plan(server.urls, server.pid, viewers=viewers, seconds=seconds, stamps=True))
            say(f"{name}: {joins} viewers, one after the other, beside {viewers}")
            beside = await _join_beside(server, viewers, joins)
            rows.append(_row(name, JOIN, viewers, beside.joins_ms))
            rows += _ages(name, viewers - 1, watched)
            refusals = {result.refusal for result in (alone, one, watched, beside) if result.refusal}
            notes += [f"{name}: {refusal}" for refusal in sorted(refusals)]
    return Report("How long a viewer waits", COLUMNS, rows, notes)


async def _join_beside(server: Server, viewers: int, joins: int) -> Result:
    async with open_receivers(Plan(server.urls, server.pid, viewers=viewers, seconds=FOR_EVER_S)):
        return await receive(Plan(server.urls, server.pid, joins=joins))


def _ages(name: str, others: int, result: Result) -> list[Row]:
    return [
        _row(name, FIRST, others, result.first_ms),
        _row(name, LAST, others, result.last_ms),
        _row(name, "the same of a key frame, first packet with a slice", others, result.key_first_ms),
        _row(name, "the same of a key frame, last packet", others, result.key_last_ms),
    ]


def _row(name: str, what: str, others: int, taken: Sequence[float]) -> Row:
    if not taken:
        return (name, what, others, 0, None, None, None, None)
    return (name, what, others, len(taken), *(percentile(taken, share) for share in (0.5, 0.95, 0.99, 1.0)))
