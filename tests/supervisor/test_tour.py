"""The tour of the README: an incident is exported, imported elsewhere, and asked; the answer is in what is printed."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from supervisor.__main__ import main
from tests.kit.journals import write_journal
from tests.sim.incident import the_incident


def banken(*arguments: str | Path) -> str:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_why_nobody_could_connect_at_0751(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two children that no signal reached held both connections of the box, and the first of that kind was at 03:10."""
    journal = write_journal(tmp_path / "there", the_incident())
    bundle, here = tmp_path / "incident.zip", tmp_path / "here"
    stretch = ("--from", "2026-01-05T06:00+00:00", "--to", "2026-01-05T09:00+00:00")
    banken("incident", "export", journal, *stretch, "-o", bundle)
    banken("incident", "import", bundle, "-o", here)
    asked = banken("why", "camera-19", here / "journal", "--at", "2026-01-05T07:51:40+00:00")
    assert "camera-19 waits for a connection to tapo-19, which serves 2" in asked
    keepers = re.findall(r"child \w+ of (\S+), pid \d+, does not die of SIGKILL  #(\d+)", asked)
    assert [camera for camera, _ in keepers] == ["camera-19-door", "camera-19-yard"]
    chain = banken("why", keepers[0][1], here / "journal")
    for step in (
        "is wanted for patrol",
        "is connecting",
        "sent SIGTERM",
        "no picture came within 15 s",
        "sent SIGKILL",
    ):
        assert step in chain
    marks = banken("timeline", here / "journal", "--camera", "camera-12", "--all")
    assert "camera-12 still has a child" in marks
    assert "2026-01-05" in banken("why", "camera-12", journal, "--at", "2026-01-05T03:10:30+00:00")
