"""The tours of `ops/docs/investigating.md`: an incident is exported, imported elsewhere, and asked about."""

import re
import shlex
from pathlib import Path

import av
import pytest
from click.testing import CliRunner

from supervisor.__main__ import main
from supervisor.journal.check import verify
from tests.kit.journals import write_journal
from tests.sim.answers import of_report, of_table
from tests.sim.footage import CLOCK, HEIGHT, INK, SKY, WIDTH, draw_text
from tests.sim.incident import the_incident

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "ops" / "docs" / "investigating.md").read_text()
STRETCH = ("--from", "2026-01-05T06:00+00:00", "--to", "2026-01-05T09:00+00:00")


def banken(*arguments: str | Path) -> str:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def words_of(path: Path) -> tuple[list[str], list[str]]:
    """The first paragraphs, and the titles of the stories below `How it came to this`."""
    page = path.read_text()
    summary = page[page.index('<div class="summary') : page.index("</div>")]
    return re.findall(r"<p>(.*?)</p>", summary), re.findall(r"<article><h3>(.*?)</h3>", page)


def test_cause_of_the_failed_connections_at_0751(tmp_path: Path) -> None:
    """Two children that no signal reached held both connections of the box, and the first of that kind was at 03:10."""
    journal = write_journal(tmp_path / "there", the_incident())
    bundle, here = tmp_path / "incident.zip", tmp_path / "here"
    banken("incident", "export", journal, *STRETCH, "-o", bundle)
    banken("incident", "import", bundle, "-o", here)
    summary, titles = words_of(here / "report.html")
    assert summary[0] == (
        "camera-19 gave no picture 3 times from 2026-01-05 07:51:00 to 07:52:30 UTC (60 s in all); camera-19-door gave "
        "no picture from 06:10:19 to 08:40:01 UTC (2 h 30 min); camera-19-yard from 06:30:19 to 08:40:01 UTC "
        "(2 h 10 min). The first cause: 2 processes that could not be killed held 2 connections to tapo-19: one of "
        "camera-19-door from 06:10:19 to 08:30:17 UTC and one of camera-19-yard from 06:30:19 to 08:30:17 UTC. "
        "3 viewers were without the picture of camera-19. In this stretch the patrol got no picture of camera-19-door "
        "15 times and camera-19-yard 13 times. It was over at 08:40:01 UTC."
    )
    assert summary[1].startswith("camera-12 gave no picture from 2026-01-05 06:00:00 to 08:40:00 UTC (2 h 40 min). ")
    assert "1 process of camera-12 that could not be killed from 03:10:19 to 08:30:17 UTC" in summary[1]
    assert of_report((here / "report.html").read_text()) == of_table(banken("stats", journal, *STRETCH))
    missed = re.search(r"the patrol got no picture of camera-12 (\d+) times", summary[1])
    served, asked = map(int, of_table(banken("stats", journal, *STRETCH))["camera-12"][2].split("/"))
    assert missed and int(missed[1]) == asked - served, "the words and the table are about one stretch"
    assert len(summary) == 2
    assert titles[0].startswith("camera-19 waits for a connection to tapo-19"), "the incident itself comes first"
    told = banken("why", "camera-19", here / "journal", "--at", "2026-01-05T07:51:40+00:00")
    assert "camera-19 waits for a connection to tapo-19, which serves 2" in told
    keepers = re.findall(r"child \w+ of (\S+), pid \d+, did not exit after SIGKILL  #(\d+)", told)
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
    drawn = banken("timeline", here / "journal")
    assert re.search(r"camera-19-door +\S*▙{9}", drawn), "its lane carries the child that could not be ended"
    marks = banken("timeline", here / "journal", "--camera", "camera-12", "--all")
    assert "camera-12 still has a child" in marks
    first = banken("why", "camera-12", journal, "--utc", "--at", "07:51:40").splitlines()
    assert any("03:10:19.000Z" in line and "camera-12, pid" in line for line in first[:8]), "the first of that kind"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal that `ops/incident.py` writes, with the recordings beside it."""
    folder = tmp_path_factory.mktemp("day")
    return write_journal(folder / "incident", the_incident(folder / "incident.recordings"))


def test_output_in_the_document_is_what_is_printed(day: Path, tmp_path: Path) -> None:
    """The answer in `ops/docs/investigating.md` is the one that its reader gets, character by character."""
    shown = re.search(r"```console\n\$ banken (.*)\n((?:.*\n)+?)```", PAGE)
    assert shown is not None
    bundle = tmp_path / "incident.zip"
    banken("incident", "export", day, *STRETCH, "-o", bundle)
    banken("incident", "import", bundle, "-o", tmp_path / "incident")
    command = shown[1].replace("incident/journal", str(tmp_path / "incident" / "journal")).split()
    assert banken(*command).rstrip() == shown[2].rstrip()
    answer = re.search(r"^banken why (\d+) incident/journal", PAGE, re.MULTILINE)
    assert answer is not None
    assert "did not exit after SIGKILL" in banken("why", answer[1], tmp_path / "incident" / "journal")


def test_tour_with_video_proves_the_visit_at_1402_and_the_gap_at_0310(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of the document, and their output but for sizes; another encoder makes other bytes and digests."""
    monkeypatch.chdir(tmp_path)
    tour = PAGE[PAGE.index("## A tour with video") :]
    end = verify(day)
    assert len(end.digest) == 64
    for line in re.findall(r"^(?:\$ )?banken (.*)$", tour, re.MULTILINE):
        words = shlex.split(line.replace("/tmp/incident", str(day)).replace("$NOTED", end.digest[:16]))
        output = banken(*words)
        if words[1] == "verify":
            shown = tour[tour.index("…\n") + 2 : tour.rindex("…\n")]
            assert re.sub(r"[\d.]+ MiB", "MiB", shown) in re.sub(r"[\d.]+ MiB", "MiB", output)
    picture = first_picture(tmp_path / "door" / "video" / "entrance" / "recording_20260105_140200.mp4")
    hat, wall = picture[58 * WIDTH + 260], picture[58 * WIDTH + 180]
    assert (hat < 0x30, wall > 0x40) == (True, True), "somebody stands there"


def first_picture(path: Path) -> bytes:
    """Its brightness, row by row."""
    with av.open(str(path)) as file:
        plane = next(file.decode(video=0)).planes[0]
        rows = (bytes(plane)[at : at + WIDTH] for at in range(0, plane.line_size * HEIGHT, plane.line_size))
        return b"".join(rows)


def shows(picture: bytes, text: str) -> bool:
    """Whether this time of day is drawn in a picture."""
    drawn = bytearray(WIDTH * HEIGHT)
    draw_text(drawn, text, *CLOCK)
    return all(picture[place] > (SKY + INK) / 2 for place, shade in enumerate(drawn) if shade)


def test_pictures_of_the_tour_show_their_time(day: Path) -> None:
    """The first picture of the file of 07:51 has that time, and not that of the next file."""
    recordings = day.with_name("incident.recordings") / "entrance" / "20260105"
    picture = first_picture(recordings / "recording_20260105_075100.mp4")
    assert shows(picture, "07:51:00")
    assert not shows(picture, "07:52:00")
