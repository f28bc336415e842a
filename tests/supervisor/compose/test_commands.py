"""The demo: its cameras are recorded, within 200 MB."""

from pathlib import Path

import pytest

from supervisor.compose import commands
from supervisor.config.config import ARCHIVE
from supervisor.domain.values import RecordMode
from tests.kit.media import Card

MAX_BYTES = 200_000_000
LISTEN = "127.0.0.1:0"
LATE_S = 120
"""Beyond its limit, an archive holds a minute until files are removed, and a minute of files that grow."""


@pytest.mark.parametrize("cameras", [1, 4, 16])
def test_recordings_of_the_demo_stay_below_200_mb(cameras: int) -> None:
    """With the bit rate that its pictures have, also with as many cameras as it can have."""
    config = commands.demo_config(cameras, LISTEN, None, {})
    recorded = [name for name, camera in config.cameras.items() if camera.record is RecordMode.ALWAYS]
    assert len(recorded) == min(cameras, 4)
    width, height, fps = (int(text) for text in commands.DEMO_PICTURE[5:].replace("@", "x").split("x"))
    card, seconds = Card(width, height, fps), 10
    rate = sum(len(card.next()) for _ in range(seconds * fps)) / seconds
    most = config.archives[ARCHIVE].max_bytes
    assert most is not None
    assert most + len(recorded) * rate * LATE_S <= MAX_BYTES


def test_recordings_of_the_demo_are_in_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Or beside the journal that is named."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert (
        commands.demo_config(4, LISTEN, None, {}).archives[ARCHIVE].path == tmp_path / "banken" / "demo" / "recordings"
    )
    assert commands.demo_config(4, LISTEN, tmp_path / "one", {}).archives[ARCHIVE].path == tmp_path / "one.recordings"
