"""A site of programs that are killed in turn, as `ops/launcher.py` runs it with a browser as well."""

import sys
from pathlib import Path

import pytest

from tests.kit.launcher import run_site


@pytest.mark.slow
async def test_site_recovers_from_the_end_of_each_program_and_leaves_nothing(tmp_path: Path) -> None:
    """The camera program, the detector and banken itself; then no process, segment or descriptor is left."""
    recovered = await run_site(tmp_path, sys.executable, print, page=False)
    assert set(recovered) == {"switcher", "detector", "daemon"}
