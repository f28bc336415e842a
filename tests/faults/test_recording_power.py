"""The power fails while recordings are written: every file plays after the repair, and little is lost.

`ops/power.py --recordings --images 10000` is the long figure.
"""

from pathlib import Path

import pytest

from tests.kit.recording_power import cut_recordings

IMAGES = 250


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_power_failure_costs_a_sync_and_a_fragment(seed: int, tmp_path: Path) -> None:
    """Of each camera, at any moment, whatever the disk has of what was not synced."""
    assert cut_recordings(tmp_path, IMAGES, seed) == []
