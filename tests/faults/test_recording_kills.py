"""A daemon that records is killed repeatedly: every file plays after the repair, and the journal tells every gap.

`ops/kills.py --recorded 8 --kills 300` is the long figure; `--seed` repeats a run.
"""

import statistics
from pathlib import Path

import pytest

from tests.kit.patience import PATIENCE
from tests.kit.recording_kills import OPEN_S, run_recording_kills

KILLS, SEED, CAMERAS, LANES = 30, 1, 4, 2


@pytest.mark.paired
async def test_thirty_kills_cost_a_fragment_of_each_camera(tmp_path: Path) -> None:
    """At random moments, also before the cameras are live; each frame is decoded; each gap begins behind the last."""
    result = await run_recording_kills(tmp_path, KILLS, SEED, CAMERAS, LANES)
    again = f"ops/kills.py --recorded {CAMERAS} --kills {KILLS} --seed {SEED} --lanes {LANES}"
    assert result.faults == (), f"{again}: {result.faults[:10]}"
    losses = [loss for kill in result.kills for loss in kill.losses_s]
    assert len(losses) > KILLS, "a kill of nothing would have proved nothing"
    assert statistics.median(losses) < OPEN_S * PATIENCE
    assert max(losses) < (OPEN_S + 2) * PATIENCE, "more than a fragment, on any machine"
    assert result.gaps >= len(losses)
    assert result.files > KILLS
