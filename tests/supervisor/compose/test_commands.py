"""The demo: its cameras are recorded, within 200 MB."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from supervisor.__main__ import main
from supervisor.compose import commands
from supervisor.config.config import Config
from supervisor.domain.values import RecordMode
from tests.kit.media import Card

MAX_BYTES = 200_000_000
LATE_S = 120
"""Beyond its limit, an archive holds a minute until files are removed, and a minute of files that grow."""


def config_of(monkeypatch: pytest.MonkeyPatch, *options: str) -> Config:
    """The configuration with which the demo is run."""
    found = list[Config]()
    monkeypatch.setattr(commands, "_serve", lambda config, reload, open_browser: found.append(config))
    done = CliRunner().invoke(main, ["demo", *options])
    assert done.exit_code == 0, done.output
    return found[0]


@pytest.mark.parametrize("cameras", [1, 4, 16])
def test_recordings_of_the_demo_stay_below_200_mb(monkeypatch: pytest.MonkeyPatch, cameras: int) -> None:
    """With the bit rate that its pictures have, also with as many cameras as it can have."""
    config = config_of(monkeypatch, "--cameras", str(cameras))
    recorded = [name for name, camera in config.cameras.items() if camera.record is RecordMode.ALWAYS]
    assert len(recorded) == min(cameras, 4)
    width, height, fps = (int(text) for text in commands.DEMO_PICTURE[5:].replace("@", "x").split("x"))
    card, seconds = Card(width, height, fps), 10
    rate = sum(len(card.next()) for _ in range(seconds * fps)) / seconds
    assert config.record_max_bytes is not None
    assert config.record_max_bytes + len(recorded) * rate * LATE_S <= MAX_BYTES


def test_recordings_of_the_demo_are_in_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Or beside the journal that is named."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert config_of(monkeypatch).recordings == tmp_path / "banken" / "demo" / "recordings"
    assert config_of(monkeypatch, "--journal", str(tmp_path / "one")).recordings == tmp_path / "one.recordings"
