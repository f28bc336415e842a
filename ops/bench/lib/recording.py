"""The cost of recording: servers that record, and the same servers that do not, at the same time.

Both read the same cameras, so whatever else runs on the machine meets both. A pair begins with new processes.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

import attrs
import trio

from .meter import cpu_s, pss_mb
from .report import Report, Say
from .servers import At, Open, Server, mediamtx_at, open_cameras, open_daemon
from .stream import DESCRIPTION, sample_file

SETTLE_S = 5.0
OTHERS: tuple[dict[str, At], dict[str, At]] = (
    {"mediamtx": mediamtx_at},
    {"mediamtx": partial(mediamtx_at, record=True)},
)
"""The other servers that record: without, and with it."""
COLUMNS = (
    "server", "cameras", "CPU % of a core: off", "recording", "% a camera", "from", "to", "MB a camera", "MB once",
    "cost to mediamtx's",
)  # fmt: skip


@attrs.frozen
class Cost:
    """CPU in percent of a core, and memory in MB."""

    cpu: float
    size_mb: float


Costs = Mapping[tuple[bool, int], Cost]
"""By whether it records, and by the number of cameras."""


@attrs.frozen
class Difference:
    """The cost of recording, found in one pair."""

    off: float
    on: float
    """CPU in percent of a core, of all cameras."""
    cpu: float
    """For one camera."""
    size_mb: float
    """For one camera."""
    once_mb: float


def difference(costs: Costs, cameras: int) -> Difference:
    """One camera shows what is spent once; the others show what each of them costs."""
    off, on = costs[False, cameras], costs[True, cameras]
    one = costs[True, 1].size_mb - costs[False, 1].size_mb
    each = (on.size_mb - off.size_mb - one) / (cameras - 1)
    return Difference(off.cpu, on.cpu, (on.cpu - off.cpu) / cameras, each, one - each)


async def measure(
    others: Mapping[str, tuple[Open, Open]], cameras: int, pairs: int, seconds: float, say: Say
) -> Report:
    """Measure `pairs` pairs of each server. Raises `BenchError`.

    `others`: for each, how to open it without recording, and with it.
    """
    servers: dict[str, tuple[Open, Open]] = {"banken": (partial(_open, False), partial(_open, True)), **others}
    found: dict[str, list[Difference]] = {name: [] for name in servers}
    for number in range(pairs):
        say(f"pair {number + 1} of {pairs}")
        costs = await _pair(servers, cameras, seconds)
        for name, each in costs.items():
            found[name].append(difference(each, cameras))
            say(f"{name}: {found[name][-1].cpu:.3f} % a camera")
    notes = [
        f"{DESCRIPTION}; RTSP servers in other processes; all servers run at the same time, {pairs} times for "
        f"{seconds:g} s, with new processes each time.",
        "The cost is the difference between the server that records and the same server that does not; medians. The "
        "last column compares it with mediamtx's of the same time.",
        "Memory (PSS): what each camera adds to the difference that one camera makes. The rest of that difference "
        "is spent once: modules, and the thread of the archive.",
    ]
    rows = [_row(name, cameras, each, found.get("mediamtx")) for name, each in found.items()]
    return Report("The cost of recording", COLUMNS, rows, notes)


def _row(
    name: str, cameras: int, found: Sequence[Difference], others: Sequence[Difference] | None
) -> tuple[str | float | None, ...]:
    cpus = sorted(each.cpu for each in found)
    ratio = ""
    if others is not None:
        ratio = f"{median(ours.cpu / theirs.cpu for ours, theirs in zip(found, others, strict=True)):.2f}"
    return (
        name, cameras, median(each.off for each in found), median(each.on for each in found), f"{median(cpus):.3f}",
        f"{cpus[0]:.3f}", f"{cpus[-1]:.3f}", f"{median(each.size_mb for each in found):.2f}",
        f"{median(each.once_mb for each in found):.1f}", ratio,
    )  # fmt: skip


async def _pair(servers: Mapping[str, tuple[Open, Open]], cameras: int, seconds: float) -> dict[str, Costs]:
    """Run each server with and without recording, with one camera and with `cameras`, all at the same time."""
    async with AsyncExitStack() as stack:
        running: dict[tuple[str, bool, int], Server] = {}
        for (name, pair), records, count in product(servers.items(), (False, True), (1, cameras)):
            opened = pair[records](sample_file(), count, False)
            running[name, records, count] = await stack.enter_async_context(opened)
        await trio.sleep(SETTLE_S)
        before, began = {key: cpu_s(server.pid) for key, server in running.items()}, trio.current_time()
        await trio.sleep(seconds)
        passed = trio.current_time() - began
        spent = {key: (cpu_s(server.pid) - before[key]) / passed * 100 for key, server in running.items()}
        sizes = {key: pss_mb(server.pid) for key, server in running.items()}
    return {
        name: {(records, count): Cost(spent[of, records, count], sizes[of, records, count])
               for of, records, count in running if of == name}
        for name in servers
    }  # fmt: skip


@asynccontextmanager
async def _open(records: bool, file: Path, cameras: int, stamps: bool) -> AsyncIterator[Server]:
    """Start banken, which reads its cameras over RTSP, and may record them."""
    async with open_cameras(file, cameras, stamps) as urls:
        mode = "always" if records else "off"
        chosen = {name: {"source": url, "record": mode} for name, url in urls.items()}
        more = {"record": {"reserve": "64MiB"}}
        async with open_daemon(chosen, more=more) as server:
            yield server
