"""Two versions of banken measured in turn, as pairs: how much more does the second cost?

Cameras, viewers and the meter are those of this checkout for both versions; only the daemon is of the version. The
journal is measured by each version's own bench, because it calls the version's own functions.

A pair is measured within seconds, so that a change of the machine's speed meets both; its order alternates.
"""

import math
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import accumulate
from pathlib import Path
from statistics import median

import msgspec
import trio

from supervisor.domain.words import plural

from .meter import cpu_s
from .plan import Plan
from .processes import BenchError, open_part, receive
from .report import Report, Say
from .servers import LIMITS, open_cameras, open_daemon
from .stream import DESCRIPTION, sample_file

LEVEL = 0.95
SETTLE_S = 2.0
EACH = 4
"""Viewers of each camera, where they are spread over all."""
COLUMNS = ("measurement", "old", "new", "new / old", "95 % from", "to", "pairs")
OLD_LIMITS = ("peers", "peers_per_camera", "peers_per_client")
"""Limits that the configuration of every version has."""
COSTS, EVENTS = Path(__file__).with_name("journal_costs.py"), 20_000

Figures = dict[str, float]
"""Costs of one run by name: more is worse."""
Measure = Callable[[Path], Awaitable[Figures]]
"""Measures the version in this folder once."""


async def measure(
    old: Path, new: Path, pairs: int, cameras: int, viewers: int, seconds: float, only: Sequence[str], say: Say
) -> Report:
    """Measure `pairs` pairs of each bench in `only`. Raises `BenchError`."""
    found: dict[str, list[tuple[float, float]]] = {}
    versions = {"old": old, "new": new}
    async with AsyncExitStack() as stack:
        urls = await stack.enter_async_context(open_cameras(sample_file(), cameras))
        first = dict(list(urls.items())[:1])
        benches: dict[str, Measure] = {
            "fan-out": partial(_fanout, first, viewers, seconds),
            "spread": partial(_fanout, urls, cameras * EACH, seconds),
            "ingest": partial(_ingest, urls, seconds),
            "journal": _journal,
        }
        for number in range(pairs):
            for name in only:
                say(f"pair {number + 1} of {pairs}: {name}")
                order = ("old", "new") if number % 2 == 0 else ("new", "old")
                costs = {which: await benches[name](versions[which]) for which in order}
                for what, cost in costs["new"].items():
                    found.setdefault(what, []).append((costs["old"][what], cost))
    notes = [
        f"{DESCRIPTION}; RTSP cameras in another process; ingest is without viewers; windows of {seconds:g} s.",
        "A ratio above 1 means that the new version costs more. The ratio is the median of the pairs' ratios. The "
        f"interval is that of the Wilcoxon signed-rank test of their logarithms, exact, at {LEVEL:.0%}: it needs no "
        "normal distribution, and 6 pairs.",
    ]
    return Report("Two versions in pairs", COLUMNS, [_row(what, each) for what, each in found.items()], notes)


def _row(what: str, pairs: Sequence[tuple[float, float]]) -> tuple[str | float | None, ...]:
    if any(old <= 0 for old, _ in pairs):
        raise BenchError(f"{what}: the old version used no measurable time; take a longer window (--seconds)")
    ratios = [new / old for old, new in pairs]
    low, high = interval(ratios) or (None, None)
    old, new = (median(side) for side in zip(*pairs, strict=True))
    shown = [None if each is None else f"{each:.3f}" for each in (median(ratios), low, high)]
    return (what, old, new, *shown, len(pairs))


def interval(ratios: Sequence[float]) -> tuple[float, float] | None:
    """Return the interval of the median ratio at `LEVEL`; None when there are too few pairs for one.

    Walsh averages of the logarithms, cut by the exact distribution of Wilcoxon's signed-rank statistic (Hollander and
    Wolfe, Nonparametric Statistical Methods, section 3.3). Assumes that the logarithms are symmetric about the median.
    """
    logs = sorted(map(math.log, ratios))
    cut = _outside(len(logs))
    if cut == 0:
        return None
    averages = sorted((a + b) / 2 for i, a in enumerate(logs) for b in logs[i:])
    return math.exp(averages[cut - 1]), math.exp(averages[-cut])


def _outside(count: int) -> int:
    """Return the rank, from 1, of the Walsh average that is the lower end; 0 if none keeps the level."""
    ways = [1]
    for rank in range(1, count + 1):
        longer = [*ways, *[0] * rank]
        ways = [a + b for a, b in zip(longer, [0] * rank + ways, strict=True)]
    tail = (1 - LEVEL) / 2 * 2**count
    return sum(1 for below in accumulate(ways) if below <= tail)


async def _fanout(cameras: Mapping[str, str], viewers: int, seconds: float, code: Path) -> Figures:
    async with open_daemon(cameras, code, _limits(code)) as server:
        result = await receive(Plan(server.urls, server.pid, viewers=viewers, seconds=seconds))
    if len(result.viewers) < viewers:
        raise BenchError(f"{code}: {len(result.viewers)} of {viewers} viewers joined: {result.refusal}")
    return {f"fan-out to {viewers} viewers of {len(cameras)}, CPU µs/packet": result.cpu_s / result.packets * 1e6}


async def _ingest(cameras: Mapping[str, str], seconds: float, code: Path) -> Figures:
    async with open_daemon(cameras, code, _limits(code)) as server:
        await trio.sleep(SETTLE_S)
        before, began = cpu_s(server.pid), trio.current_time()
        await trio.sleep(seconds)
        spent = (cpu_s(server.pid) - before) / (trio.current_time() - began)
    return {f"ingest of {plural(len(cameras), 'camera')}, CPU % of a core": spent * 100}


async def _journal(code: Path) -> Figures:
    here = (code / "ops" / "bench" / "lib" / "journal.py").exists()
    module = "ops.bench.lib.journal" if here else "supervisor.bench_journal"
    with tempfile.TemporaryDirectory(prefix="banken-bench-") as folder:
        command = [sys.executable, "-P", str(COSTS), module, f"{folder}/journal", str(EVENTS)]
        async with open_part("the journal's bench", command, code=code) as part:
            output = await part.read_all()
    try:
        append_us, fold_us = msgspec.json.decode(output, type=tuple[float, float])
    except msgspec.DecodeError:
        raise BenchError(f"the journal's bench of {code}: {part.errors.decode(errors='replace')}") from None
    return {"journal, µs an acknowledged append": append_us, "journal, CPU µs a fold": fold_us}


def _limits(code: Path) -> Mapping[str, int]:
    """Return the limits of the benches that this version knows; an unknown setting is an error."""
    text = "".join(path.read_text() for path in (code / "supervisor").rglob("*.py"))
    return {name: value for name, value in LIMITS.items() if name in OLD_LIMITS or f'{name}"' in text}
