"""The disk of the archive fails in every way, under a real daemon with viewers: they lose no frame.

`ops/bench/recording_faults.py` measures the same with a disk that stands still for a minute.
"""

import pytest
import trio

from tests.kit.patience import PATIENCE
from tests.kit.recording_faults import CAMERAS, ArchiveFault, FaultRun, FaultSeen, run_recording_faults

pytestmark = pytest.mark.alone

STALL_S, FAULT_S, ABANDON_S, FILE_S = 8.0, 4.0, 3.0, 4.0
LATER_S = 15.0
"""A gap is longer than its fault by what was not synced, by the time until the next try, and by a GOP."""
FAULTS = [fault for fault in ArchiveFault if fault is not ArchiveFault.NONE]
LAG_MS = 10.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FaultRun:
    folder = tmp_path_factory.mktemp("disk")
    return trio.run(run_recording_faults, folder, STALL_S, FAULT_S, ABANDON_S, FILE_S)


def seen_of(run: FaultRun, fault: ArchiveFault) -> FaultSeen:
    return next(seen for seen in run.seen if seen.fault is fault)


def test_every_file_plays_and_every_gap_is_exact(run: FaultRun) -> None:
    """Each begins where the video before it ends, and ends where the next begins, to 50 ms."""
    assert run.faults == ()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_of_the_disk_is_one_gap(run: FaultRun, fault: ArchiveFault) -> None:
    """Of each camera, as long as the fault, and with its reason."""
    seen = seen_of(run, fault)
    assert len(seen.gaps_s) == len(CAMERAS)
    assert set(seen.codes) == {"no-room" if fault is ArchiveFault.FULL else "disk-failed"}
    assert len(seen.codes) == len(CAMERAS)
    for gap_s in seen.gaps_s:
        assert seen.lasted_s - 0.5 < gap_s < seen.lasted_s + LATER_S * PATIENCE


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_of_the_disk_costs_viewers_no_frame(run: FaultRun, fault: ArchiveFault) -> None:
    """Nor does it delay the loop: it never waits for the disk of the archive."""
    seen, quiet = seen_of(run, fault), seen_of(run, ArchiveFault.NONE)
    assert seen.missed == 0
    assert seen.frames > seen.lasted_s * 20
    assert seen.lag_ms < max(LAG_MS, 3 * quiet.lag_ms) * PATIENCE
