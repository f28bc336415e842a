"""Everything at once: honest viewers and holders of leases notice no hostile client, of whatever kind.

`ops/attack.py --minutes 30` is the long figure, with the times; `--seed` repeats a run. Here only that is asserted
which does not depend on how fast the machine is.
"""

import random
from collections import Counter

import pytest
import trio

from supervisor.domain.values import Limits
from tests.kit.attacks import ATTACKS, leases
from tests.kit.attacks.run import Counts, Phase, Result, find_faults, find_slowness, run_attack
from tests.kit.attacks.target import Target
from tests.kit.domain import GATE
from tests.kit.processes import wait_until
from tests.kit.site import open_site

SEED, QUIET_S, LOUD_S = 13, 5.0, 25.0


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("attack")
    return trio.run(run_attack, folder, SEED, QUIET_S, LOUD_S, list(ATTACKS), lambda *_: None)


def test_honest_clients_notice_no_attack_and_nothing_is_left_of_it(result: Result) -> None:
    """Nothing acknowledged is lost, no picture is missed, each client's journal is bounded, all is closed again."""
    assert find_faults(result) == [], f"ops/attack.py --minutes 0.5 --seed {SEED}; {result.output[-2000:]}"


def test_every_attack_reached_the_daemon(result: Result) -> None:
    """An attack that did nothing would have proved nothing."""
    assert sorted(result.tallies) == sorted(ATTACKS)
    assert [name for name, tally in result.tallies.items() if not sum(tally.values())] == []
    assert result.granted >= 4


def test_honest_holders_are_not_refused_under_attack(result: Result) -> None:
    """Each has its address, and so a share of its own."""
    assert result.honest_refusals[429] == 0


async def test_flood_of_leases_is_refused_after_its_burst() -> None:
    """However slowly the attack gets on, it is refused in the end, and had no more than its burst before."""
    async with open_site(limits=Limits(journaled_burst=3, journaled_rate=1e-6)) as site, trio.open_nursery() as nursery:
        target = Target(site.port, 0, "127.0.0.2", (GATE,), "", (), random.Random(SEED))
        nursery.start_soon(leases.attack, target)
        await wait_until(lambda: target.tally["429"], 60, what="a refusal")
        nursery.cancel_scope.cancel()
    assert target.tally["201"] == 3


@pytest.mark.parametrize(
    ("lag", "late", "faults"),
    [([9.0, 10.0, 60.0], 0.0, 0), ([9.0, 11.0, 12.0], 0.0, 1), ([], 0.0, 1), ([9.0], 9.0, 0), ([11.0], 11.0, 2)],
)
def test_lag_and_intervals_under_attack_are_judged(lag: list[float], late: float, faults: int) -> None:
    """More than 10 ms of lag, intervals that change by more than a quarter, or nothing measured: each is a fault."""
    quiet, loud = Phase("quiet", 1, lag=[1.0]), Phase("loud", 1, lag=lag)
    quiet.viewers, loud.viewers = [{"corrected": [40.0] * 50}], [{"corrected": [40.0 + late] * 50}]
    counts = Counts(1, 1, 1, 1, 1.0, 1.0)
    result = Result([quiet, loud, quiet], counts, counts, {}, 0, [], Counter(), {}, [], 0, "")
    assert len(find_slowness(result)) == faults
