"""A camera under another name is answered with what is known: when it went, and who has its source since then."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from supervisor.__main__ import main
from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Limits
from supervisor.forensics import renames as module
from supervisor.forensics.renames import renamed
from supervisor.journal.reader import Reader
from tests.kit.domain import GATE, PICTURE, YARD, live, settings
from tests.kit.journals import write_journal

PORCH = CameraId("porch")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Gate is porch from the second configuration on, with another password; yard is new."""
    story = live(GATE).after(60)
    yard = settings(YARD, "rtsp://192.0.2.2/main")
    story.given(c.Configure("test", (settings(PORCH, revision=1), yard), Limits()))
    story.after(60).given(c.ConnectCamera(PORCH), c.ReportLive(PORCH, PICTURE))
    return write_journal(tmp_path / "journal", story.recorded)


def ask(journal: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments], env={"BANKEN_JOURNAL": str(journal)})


def test_camera_that_came_as_another_went_has_its_source(journal: Path) -> None:
    """Both ways; a camera of another source is no other name of it."""
    reader = Reader(journal)
    gone, came, new = (renamed(reader, name) for name in (GATE, PORCH, YARD))
    assert gone is not None and came is not None and new is not None
    assert (gone.removed, gone.other) == (True, PORCH)
    assert (came.removed, came.other) == (False, GATE)
    assert (new.removed, new.other) == (False, None)
    assert renamed(reader, GATE, gone.seq) != gone


def test_other_name_is_looked_for_among_few_events(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the journal is: an event of the same time beyond them is not read."""
    reader = Reader(journal)
    known = renamed(reader, GATE)
    assert known is not None
    came = renamed(reader, PORCH)
    assert came is not None
    monkeypatch.setattr(module, "MOST", abs(came.seq - known.seq))
    assert renamed(reader, GATE) == replace(known, other=None)


@pytest.mark.parametrize("command", ["events", "timeline", "stats", "audit"])
def test_command_about_a_renamed_camera_names_the_other(journal: Path, command: str) -> None:
    """On stderr, so that the answer stays what it is."""
    option = [] if command == "audit" else ["--camera"]
    done = ask(journal, command, *option, GATE)
    assert done.exit_code == 0, done.output
    assert "note: gate was removed from the configuration at " in done.stderr
    assert "porch, which was added then, has its source" in done.stderr
    assert "with the source of gate, which was removed then" in ask(journal, command, *option, PORCH).stderr
    assert ask(journal, command, *option, YARD).stderr == ""


def test_why_of_a_renamed_camera_is_its_removal(journal: Path) -> None:
    """After it; before it, why it was as it was. A name that came later was not configured."""
    done = ask(journal, "why", GATE, "--json")
    assert json.loads(done.stdout)["why"]["steps"][-1]["type"] == "CameraRemoved"
    before = next(number for number in range(1, 99) if f"#{number})" in done.stderr) - 1
    assert "CameraLive" in ask(journal, "why", GATE, "--at", f"#{before}", "--json").stdout
    early = ask(journal, "why", PORCH, "--at", "#3")
    assert (early.exit_code, "porch is not configured at event #3" in early.stderr) == (2, True)
    assert "with the source of gate" in early.stderr
