"""All attacks at once: honest viewers and lease holders are not affected by any kind of hostile client.

`ops/attack.py --minutes 30` is the long measurement, with the times; `--seed` repeats a run. The assertions here do not
depend on the speed of the machine.
"""

import random
from collections import Counter
from pathlib import Path

import pytest
import trio

from supervisor.domain.values import Limits
from tests.kit.attacks import ATTACKS, leases
from tests.kit.attacks.run import Counts, Phase, Result, find_faults, find_slowness, run_attack
from tests.kit.attacks.target import Target
from tests.kit.attacks.tls import TLS_ATTACKS
from tests.kit.domain import GATE
from tests.kit.processes import wait_until
from tests.kit.site import open_site

pytestmark = pytest.mark.paired

SEED, QUIET_S, LOUD_S = 13, 5.0, 25.0


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("attack")
    return trio.run(run_attack, folder, SEED, QUIET_S, LOUD_S, list(ATTACKS), lambda *_: None)


def test_honest_clients_notice_no_attack_and_nothing_is_left_of_it(result: Result) -> None:
    """No acknowledged event is lost, no access unit is missed, the journal per client is bounded, and all is closed."""
    assert find_faults(result) == [], f"ops/attack.py --minutes 0.5 --seed {SEED}; {result.output[-2000:]}"


def test_every_attack_reached_the_daemon(result: Result) -> None:
    """Each attack was active; otherwise the test would prove nothing."""
    assert sorted(result.tallies) == sorted(ATTACKS)
    assert [name for name, tally in result.tallies.items() if not sum(tally.values())] == []
    assert result.granted >= 4


def test_honest_holders_are_not_refused_under_attack(result: Result) -> None:
    """Each client has its own address, and so its own share."""
    assert result.honest_refusals[429] == 0


def test_attacks_on_tls_harm_no_honest_client(tmp_path: Path) -> None:
    """Slow and half handshakes, floods of them, renegotiation, garbage, plain HTTP, 500 silent connections."""
    result = trio.run(run_attack, tmp_path, SEED, QUIET_S, LOUD_S, list(TLS_ATTACKS), lambda *_: None)
    assert find_faults(result) == [], f"ops/attack.py --tls --minutes 0.5 --seed {SEED}; {result.output[-2000:]}"
    assert [name for name, tally in result.tallies.items() if not sum(tally.values())] == []
    assert sorted(result.tallies) == sorted(TLS_ATTACKS)
    assert result.tallies["tls-renegotiation"]["refused"] > 0
    assert result.tallies["tls-renegotiation"].get("done", 0) == 0


async def test_flood_of_leases_is_refused_after_its_burst() -> None:
    """However slow the attack is, it is refused in the end, and had no more than its burst before."""
    async with open_site(limits=Limits(journaled_burst=3, journaled_rate=1e-6)) as site, trio.open_nursery() as nursery:
        target = Target(site.port, 0, "127.0.0.2", (GATE,), "", (), 0, GATE, random.Random(SEED))
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
