"""Measure ten thousand live leases: `.venv/bin/python ops/bench/leases.py [--leases 10000]`.

The real kernel and keeper run in this process, over a journal in memory. The times are those of a sweep that ends no
lease, of a renewal with the gateway's answer, and of the end of all leases that expire together. The last one comes
with the longest time for which another task has to wait meanwhile.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio
from msgspec.structs import replace
from rpds import HashTrieMap

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from ops.bench.lib.calibrate import stated  # noqa: E402
from supervisor.base.clock import TrioClock  # noqa: E402
from supervisor.domain import commands as c  # noqa: E402
from supervisor.domain.ids import LeaseId  # noqa: E402
from supervisor.domain.state import Lease  # noqa: E402
from supervisor.domain.values import LeaseKind, Limits  # noqa: E402
from supervisor.ports.viewing import Key, hash_secret  # noqa: E402
from supervisor.services.detections import Detections  # noqa: E402
from supervisor.services.gateway import Gateway  # noqa: E402
from supervisor.services.leases import Leases  # noqa: E402
from tests.kit.core import MemoryReader, open_core  # noqa: E402
from tests.kit.domain import GATE, settings  # noqa: E402
from tests.kit.site import FakeActors  # noqa: E402

SWEEPS, RENEWALS = 50, 20_000


class Shifted:
    """A clock that can be put forward, so that leases expire without waiting."""

    ahead_s = 0.0

    def wall_ns(self) -> int:
        return TrioClock().wall_ns()

    def mono_ns(self) -> int:
        return TrioClock().mono_ns() + int(self.ahead_s * 1e9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leases", type=int, default=10_000)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    result = trio.run(measure, options.leases)
    print(result)
    made = f"Made by `python ops/bench/leases.py --leases {options.leases}`."
    options.output.write_text(f"# Ten thousand leases\n\n{made}\n\n{result}")


async def measure(count: int) -> str:
    limits = Limits(leases=count + 1, leases_per_client=count, journaled_burst=count + 1)
    async with open_core(configuration=c.Configure("bench", (settings(GATE),), limits)) as core:
        clock = Shifted()
        core.kernel.clock = clock
        actors = FakeActors(core.kernel)
        gateway = Gateway(
            core.kernel,
            core.journal,
            core.feed,
            MemoryReader(core.disk),  # type: ignore[arg-type]
            actors,
            Leases(core.kernel),
            Detections(core.kernel),
        )
        keeper = gateway.leases
        keys = [Key(LeaseId(f"{number:016x}"), f"secret {number}") for number in range(count)]
        leases = {key.lease: lease_of(key, number) for number, key in enumerate(keys)}
        core.kernel.state = replace(core.kernel.state, leases=HashTrieMap(leases))
        keeper.look()
        more = c.GrantLease(LeaseId("more"), LeaseKind.VIEWER, GATE, "192.0.2.9", "owner", 30.0)
        grant_ms = timed(partial(keeper.grant, more))
        sweeps = [timed(keeper.look) for _ in range(SWEEPS)]
        renewals = []
        for number in range(RENEWALS):
            began = time.perf_counter()
            await gateway.renew(keys[number * 7919 % count], 0.0, "192.0.2.9")
            renewals.append((time.perf_counter() - began) * 1e3)
        clock.ahead_s = 60.0
        began, waits = time.perf_counter(), await expire(gateway)
        ended_s = time.perf_counter() - began
        assert not core.kernel.state.leases
    return table(count, sweeps, renewals, grant_ms, ended_s, waits)


def lease_of(key: Key, number: int) -> Lease:
    client, owner = f"client-{number % 500}", hash_secret(key.secret)
    return Lease(key.lease, LeaseKind.VIEWER, GATE, client, TrioClock().wall_ns(), owner, ttl_s=30.0)


def timed(act: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1e3


async def expire(gateway: Gateway) -> list[float]:
    """End all in one sweep. How long another task had to wait at each trio checkpoint, in milliseconds."""
    waits: list[float] = []
    async with trio.open_nursery() as nursery:

        async def wait_turns() -> None:
            while True:
                began = time.perf_counter()
                await trio.lowlevel.checkpoint()
                waits.append((time.perf_counter() - began) * 1e3)

        nursery.start_soon(wait_turns)
        await trio.lowlevel.checkpoint()
        await gateway.leases.sweep()
        nursery.cancel_scope.cancel()
    return waits


def table(
    count: int, sweeps: list[float], renewals: list[float], grant_ms: float, ended_s: float, waits: list[float]
) -> str:
    rows = [
        (f"sweep of {count} live leases, median (ms)", "", quantile(sweeps, 0.5)),
        ("the same, worst", "5", max(sweeps)),
        ("renewal, median (ms)", "", quantile(renewals, 0.5)),
        ("the same, p99", "2", quantile(renewals, 0.99)),
        ("one more lease is granted (ms)", "", grant_ms),
        ("all of them expire in one sweep (s)", "", ended_s),
        ("how long another task waits meanwhile, p99 (ms)", "", quantile(waits, 0.99)),
    ]
    lines = [f"| {what} | {asked} | {got:.3f} |" for what, asked, got in rows]
    head = ["| measurement | limit | result |", "|---|---|---|"]
    return "\n".join([stated(), "", *head, *lines, ""])


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


if __name__ == "__main__":
    main()
