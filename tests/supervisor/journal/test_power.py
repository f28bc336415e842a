"""The power goes at any moment: what was acknowledged is there; `ops/power.py` cuts it more often."""

from pathlib import Path

import pytest

from supervisor.journal import segment
from tests.kit.power import cut_power

pytestmark = pytest.mark.slow


def test_no_acknowledged_event_is_lost_by_a_power_cut(tmp_path: Path) -> None:
    """A thousand images of the disk, each as it may look after a cut, are opened and verified."""
    assert cut_power(tmp_path, images=1000, seed=1) == []


def test_the_cuts_would_show_a_missing_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a journal that trusts the operating system with its commits loses some."""
    monkeypatch.setattr(segment, "SYNCHRONOUS", "normal")
    assert any("lost" in wrong for wrong in cut_power(tmp_path, images=100, seed=1))
