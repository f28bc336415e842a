"""The daemon is killed repeatedly during its work: no acknowledged event is lost, and no process is left over.

`ops/kills.py --kills 1000` is the long figure; `--seed` repeats a run.
"""

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from supervisor.domain import events as e
from supervisor.domain.ids import PeerId
from tests.kit.audit import Acknowledged, find_faults
from tests.kit.journals import lively
from tests.kit.kills import Kill, run_kills
from web import json
from web.resources.events import event

KILLS, SEED, LANES = 50, 1, 2


async def test_fifty_kills_lose_nothing_and_leave_nothing(tmp_path: Path) -> None:
    """Real children, viewers and readers; half of the kills while the first children start, a quarter at work."""
    kills: list[Kill] = []
    result = await run_kills(tmp_path, KILLS, SEED, LANES, kills.append)
    again = f"ops/kills.py --kills {KILLS} --seed {SEED} --lanes {LANES}"
    assert result.faults == (), f"{again}: {result.faults[:10]}"
    assert result.codes == (0,) * LANES
    assert len(kills) == KILLS
    # A load that met nothing would have proved nothing.
    assert sum(kill.answers for kill in kills) >= KILLS
    assert sum(kill.shown for kill in kills) >= 10 * KILLS
    assert sum(kill.children for kill in kills) >= KILLS
    assert len({kill.hit for kill in kills}) >= 4


def shown(rows: list[e.Recorded]) -> Acknowledged:
    acknowledged = Acknowledged()
    for row in rows:
        acknowledged.show(msgspec.json.decode(json.encode(event(row))))
    return acknowledged


def test_a_whole_journal_has_no_faults() -> None:
    """All its events were shown to a client: the audit accepts it."""
    assert find_faults(lively(), shown(lively())) == []


def test_a_lost_end_is_found() -> None:
    """The missing event was shown, and its number was reported as the last."""
    faults = find_faults(lively()[:-1], shown(lively()))
    assert any("was shown and is lost" in fault for fault in faults)
    assert any("was named as the last" in fault for fault in faults)


def test_another_event_than_the_one_shown_is_found() -> None:
    """One changed principal is one fault."""
    rows = lively()
    changed = [*rows[:-1], replace(rows[-1], principal="somebody")]
    assert ["is another" in fault for fault in find_faults(changed, shown(rows))] == [True]


def test_a_viewer_that_was_answered_and_forgotten_is_found() -> None:
    """A 201 without `PeerOpened` and a 200 without `PeerClosed` are two faults."""
    acknowledged = Acknowledged(opened={"nobody"}, leaving={"nobody"})
    assert len(find_faults(lively(), acknowledged)) == 2


@pytest.mark.parametrize("kind", [e.RunStarted, e.PeerOpened, e.ChildStarting])
def test_a_second_beginning_and_a_gap_are_found(kind: type[e.Event]) -> None:
    """The same row once more: it stands where another should, and what it begins has begun already."""
    rows = lively()
    row = next(row for row in rows if isinstance(row.event, kind))
    faults = find_faults([*rows, row], Acknowledged())
    assert any("stands where" in fault for fault in faults)
    assert any("begins a second time" in fault for fault in faults)


def test_audit_finds_a_run_that_abandons_nothing_of_the_one_before() -> None:
    """A run that abandons nothing of the one before."""
    rows = lively()
    opened = next(row for row in rows if isinstance(row.event, e.PeerOpened))
    assert isinstance(opened.event, e.PeerOpened)
    stray = replace(opened, event=replace(opened.event, peer=PeerId("stray")), stream="peer/stray")
    started = next(row for row in rows if isinstance(row.event, e.RunStarted))
    faults = find_faults([*rows, stray, started], Acknowledged())
    assert any("a new run, and peer/stray is still open" in fault for fault in faults)


def test_an_end_without_a_beginning_is_found() -> None:
    """A second `PeerClosed` of the same peer is a fault."""
    rows = lively()
    closed = next(row for row in rows if isinstance(row.event, e.PeerClosed))
    assert any("which is not open" in fault for fault in find_faults([*rows, closed], Acknowledged()))
