"""A real browser on a bad line sees a picture that moves.

How well it moves is measured, on a quiet machine, by `ops/bench/bad_network.py`. These tests check only properties that
a slow machine does not change: lost packets are repaired within one connection, and a narrow path still carries key
frames.
"""

from pathlib import Path

import pytest

from tests.kit.bad_network import Through, run_lossy, run_narrow
from tests.kit.numbered import FPS

pytestmark = [pytest.mark.usefixtures("chromium_here")]

LOSSY_S, NARROW_S = 20.0, 15.0


def assert_nothing_went_round(through: Through) -> None:
    """The browser has no packet that the relay has not delivered, and the relay has spoiled none by itself."""
    assert through.only
    assert 0 < through.received <= through.relayed.down.rtp
    assert (through.relayed.up.spoiled, through.relayed.down.spoiled) == (0, 0)


async def test_a_picture_does_not_freeze_when_packets_are_lost(tmp_path: Path) -> None:
    """3 % both ways, 20 ms, and 5 ms of jitter. One picture in three has lost a packet: unmended, few are seen."""
    lossy = await run_lossy(tmp_path, LOSSY_S)
    assert_nothing_went_round(lossy.through)
    assert lossy.through.relayed.down.lost > 0
    assert lossy.seen.connections == 0
    assert lossy.seen.rate > FPS / 2, lossy.seen.describe()


async def test_a_narrow_line_is_its_viewers_own_affair(tmp_path: Path) -> None:
    """2.5 Mbit/s into 1 Mbit/s: the neighbour goes on, and the viewer still sees key frames, when its line is full."""
    narrow = await run_narrow(tmp_path, NARROW_S)
    assert_nothing_went_round(narrow.through)
    assert (narrow.beside.connections, narrow.slow.connections) == (0, 0)
    assert narrow.beside.rate > FPS / 2, narrow.beside.describe()
    assert len(narrow.settled) >= 2, narrow.slow.describe()
