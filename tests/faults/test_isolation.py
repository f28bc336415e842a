"""A faulty camera does not affect the viewers of its neighbors; `ops/bench/isolation.py` measures the effect.

One run: every fault of the children's table and of the cameras' table, three at a time, with quiet phases in between.
"""

import pytest
import trio

from supervisor.domain.ids import CameraId
from tests.faults.test_cameras import FAULTS, HARMLESS, to_id
from tests.kit.isolation import Neighbour, Phase, compare, run_isolation
from tests.kit.stand_in import PARTS

pytestmark = pytest.mark.alone

PHASE_S, GROUPS = 1.1, 19
MOVED_MS = 5.0
STUBBORN = ("ignores-term", "stops-itself")
"""They take seconds to end: together they take them once."""

NEIGHBOURS = [Neighbour(to_id(name), behaviour) for name, behaviour in HARMLESS.items()]
NEIGHBOURS += [Neighbour(to_id(name), fault.behaviour) for name, fault in FAULTS.items()]
NEIGHBOURS += [Neighbour(CameraId(part)) for part in sorted(PARTS, key=STUBBORN.__contains__)]


def groups(count: int) -> list[list[Neighbour]]:
    """So many, of cameras and children each their share; the stubborn in the last."""
    size = -(-len(NEIGHBOURS) // count)
    ordinary = [each for each in NEIGHBOURS if each.name not in STUBBORN]
    spread = [ordinary[first::count] for first in range(count)]
    spread[-1] = (spread[-1] + [each for each in NEIGHBOURS if each.name in STUBBORN])[-size - 2 :]
    return spread


@pytest.fixture(scope="module")
def phases(tmp_path_factory: pytest.TempPathFactory) -> list[Phase]:
    return trio.run(run_isolation, tmp_path_factory.mktemp("isolation"), groups(GROUPS), PHASE_S, lambda _: None)


def test_every_fault_is_in_one_of_the_groups() -> None:
    """A new fault without a measurement would otherwise go unnoticed."""
    assert sorted(each.name for group in groups(GROUPS) for each in group) == sorted(each.name for each in NEIGHBOURS)
    assert len(NEIGHBOURS) == len(FAULTS) + len(HARMLESS) + len(PARTS)


def test_the_intervals_of_healthy_cameras_do_not_move(phases: list[Phase]) -> None:
    """Their p99, median over the phases: by 5 ms at the most beyond what the quiet phases vary among themselves."""
    compared = compare(phases)
    assert compared.moved <= MOVED_MS + compared.varies, phases


def test_no_picture_is_missed(phases: list[Phase]) -> None:
    """In no phase, loud or quiet; a sender that the machine holds up sends them late, but sends them."""
    assert all(phase.pictures for phase in phases)
    assert [phase.missed for phase in phases] == [0] * len(phases)
