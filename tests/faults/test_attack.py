"""Everything at once: honest viewers and holders of leases notice no hostile client, of whatever kind.

`ops/attack.py --minutes 30` is the long figure, with the times; `--seed` repeats a run. Here only that is asserted
which does not depend on how fast the machine is.
"""

import pytest
import trio

from tests.kit.attacks import ATTACKS
from tests.kit.attacks.run import Result, find_faults, run_attack

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


def test_caps_and_limits_refuse_the_floods_and_not_the_honest(result: Result) -> None:
    """The flood of leases is refused most of the time; an honest holder, on its own address, is not."""
    leases, offers = result.tallies["leases"], result.tallies["offers"]
    assert leases.get("429", 0) > 0 or sum(leases.values()) < 80, leases
    assert offers.get("429", 0) > 0 or sum(offers.values()) < 80, offers
    assert result.honest_refusals[429] == 0
