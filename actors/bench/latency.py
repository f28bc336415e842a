"""How long a viewer waits: for the first picture, and for each one after it."""

from collections.abc import Mapping, Sequence

from .meter import percentile
from .plan import Plan, Result
from .processes import open_receivers, receive
from .report import Report, Say
from .servers import Open, Server
from .stream import DESCRIPTION, sample_file

FOR_EVER_S = 600.0
COLUMNS = ("server", "what", "other viewers", "of", "p50 ms", "p95 ms", "p99 ms", "most ms")
FIRST, DELAY = "from the offer to a whole key frame", "from the camera to the viewer's socket"
KEY_FIRST, KEY_LAST = "the same, first slice of a key frame", "the same, last packet of a key frame"

Row = tuple[str | float | None, ...]


async def measure(servers: Mapping[str, Open], viewers: int, joins: int, seconds: float, say: Say) -> Report:
    """Each server, with nobody else watching and with so many. Raises `BenchError`."""
    rows: list[Row] = []
    notes = [
        f"{DESCRIPTION}. Servers read it from a camera's RTSP server in another process; Janus is sent RTP.",
        "From the camera to the socket: between the moment that the camera wrote into the picture, before it sent the "
        "first packet, and the moment when the viewer's kernel had the packet with it.",
    ]
    for name, open_server in servers.items():
        async with open_server(sample_file(), 1, True) as server:
            say(f"{name}: {joins} viewers, one after the other")
            alone = await receive(Plan(server.urls, server.pid, joins=joins))
            rows.append(_row(name, FIRST, 0, alone.joins_ms))
            say(f"{name}: one viewer, {seconds:g} s")
            one = await receive(Plan(server.urls, server.pid, viewers=1, seconds=seconds, stamps=True))
            rows.append(_row(name, DELAY, 0, one.delays_ms))
            rows.append(_row(name, KEY_FIRST, 0, one.key_first_ms))
            rows.append(_row(name, KEY_LAST, 0, one.key_last_ms))
            say(f"{name}: {viewers} viewers, {seconds:g} s")
            watched = await receive(Plan(server.urls, server.pid, viewers=viewers, seconds=seconds, stamps=True))
            say(f"{name}: {joins} viewers, one after the other, beside {viewers}")
            beside = await _join_beside(server, viewers, joins)
            rows.append(_row(name, FIRST, viewers, beside.joins_ms))
            rows.append(_row(name, DELAY, viewers - 1, watched.delays_ms))
            refusals = {result.refusal for result in (alone, one, watched, beside) if result.refusal}
            notes += [f"{name}: {refusal}" for refusal in sorted(refusals)]
    return Report("How long a viewer waits", COLUMNS, rows, notes)


async def _join_beside(server: Server, viewers: int, joins: int) -> Result:
    async with open_receivers(Plan(server.urls, server.pid, viewers=viewers, seconds=FOR_EVER_S)):
        return await receive(Plan(server.urls, server.pid, joins=joins))


def _row(name: str, what: str, others: int, taken: Sequence[float]) -> Row:
    if not taken:
        return (name, what, others, 0, None, None, None, None)
    return (name, what, others, len(taken), *(percentile(taken, share) for share in (0.5, 0.95, 0.99, 1.0)))
