"""The power goes at any moment: what was acknowledged is there; `ops/power.py` cuts it more often."""

from pathlib import Path

import pytest

from supervisor.journal import segment
from tests.kit.power import cut_power


def test_nothing_that_was_promised_is_lost_when_the_power_goes(tmp_path: Path) -> None:
    assert cut_power(tmp_path, images=1000, seed=1) == []


def test_the_cuts_would_show_a_missing_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a journal that trusts the operating system with its commits loses some."""
    monkeypatch.setattr(segment, "SYNCHRONOUS", "normal")
    assert any("lost" in wrong for wrong in cut_power(tmp_path, images=100, seed=1))
