"""`banken footage clip`: recorded video as one file, without a daemon."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import av
import pytest
from click.testing import CliRunner, Result

from actors.recorder.archive_writer import list_files
from supervisor.base.times import iso
from supervisor.compose.clip import clip
from supervisor.domain.ids import CameraId
from tests.actors.recorder.test_cutter import units
from tests.kit.domain import GATE, SECOND
from tests.web.resources.test_footage import BEGAN, write

OTHER = CameraId("attic")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    write(tmp_path / "recordings", 100)
    write(tmp_path / "recordings", 50, BEGAN + 60, "fedcba9876543210")
    write(tmp_path / "recordings", 50, camera=OTHER)
    return tmp_path / "recordings"


def run(archive: Path, *arguments: object, begin: float = BEGAN, end: float = BEGAN + 70) -> Result:
    times = ["--from", iso(round(begin * SECOND)), "--to", iso(round(end * SECOND))]
    return CliRunner().invoke(clip, [str(archive), *times, *map(str, arguments)])


def pictures(data: bytes) -> int:
    with av.open(io.BytesIO(data), "r") as container:
        return len([*container.decode(video=0)])


def test_clip_is_written_with_its_gaps_and_its_digest(archive: Path, tmp_path: Path) -> None:
    """For people, and for scripts as JSON."""
    out = tmp_path / "a.mp4"
    done = run(archive, "--camera", GATE, "-o", out)
    assert done.exit_code == 0, done.output
    assert pictures(out.read_bytes()) == 150
    assert hashlib.sha256(out.read_bytes()).hexdigest() in done.output
    assert "2 gaps of 55 s" in done.output
    found = json.loads(run(archive, "--camera", GATE, "-o", tmp_path / "b.mp4", "--json", end=BEGAN + 5).output)
    assert found["cameras"] == [{"camera": GATE, "duration_s": 5.0, "gaps": []}]
    assert found["bytes"] == (tmp_path / "b.mp4").stat().st_size


def test_stream_is_written_as_it_came(archive: Path, tmp_path: Path) -> None:
    """Under the name of its codec only."""
    done = run(archive, "--camera", GATE, "-o", tmp_path / "a.h264", end=BEGAN + 10)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "a.h264").read_bytes() == b"".join(unit.data for unit in units(100))
    wrong = run(archive, "--camera", GATE, "-o", tmp_path / "a.h265")
    assert (wrong.exit_code, (tmp_path / "a.h265").exists()) == (2, False)
    assert "write .h264" in wrong.output


def test_several_cameras_are_one_zip(archive: Path, tmp_path: Path) -> None:
    """With gaps and digests."""
    done = run(archive, "--camera", GATE, "--camera", OTHER, "-o", tmp_path / "a.zip")
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(tmp_path / "a.zip") as found:
        assert found.testzip() is None
        first, second, gaps, sums = found.namelist()
        assert [pictures(found.read(name)) for name in (first, second)] == [150, 50]
        assert "attic: no video from" in found.read(gaps).decode()
        for line in found.read(sums).decode().splitlines():
            digest, name = line.split("  ")
            assert hashlib.sha256(found.read(name)).hexdigest() == digest


def test_existing_file_is_never_overwritten(archive: Path, tmp_path: Path) -> None:
    """It stays as it was."""
    out = tmp_path / "a.mp4"
    out.write_bytes(b"mine")
    done = run(archive, "--camera", GATE, "-o", out)
    assert (done.exit_code, out.read_bytes()) == (2, b"mine")
    assert "exists: give another name" in done.output


def test_file_that_cannot_be_finished_is_removed(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is one line."""
    damaged = archive / next(path for path in list_files(archive) if path.startswith(GATE))
    original = damaged.read_bytes()
    data = bytearray(original)
    at = data.index(b"trun") + 20
    data[at : at + 4] = b"\xff\xff\xff\xff"
    damaged.write_bytes(data)
    done = run(archive, "--camera", GATE, "-o", tmp_path / "a.mp4")
    assert (done.exit_code, (tmp_path / "a.mp4").exists()) == (2, False)
    assert "damaged" in done.output


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--camera", "nowhere"], "has no recordings of 'nowhere'; it has those of attic, gate"),
        (["--camera", GATE, "-o", "a.avi"], "must end in .mp4"),
        (["--camera", GATE, "--camera", OTHER, "-o", "a.mp4"], "several cameras need a .zip"),
    ],
)
def test_wrong_arguments_are_refused_by_name(archive: Path, arguments: list[str], names: str) -> None:
    """Nothing is written."""
    done = run(archive, *arguments)
    assert done.exit_code == 2
    assert names in done.output


def test_time_without_video_is_refused(archive: Path, tmp_path: Path) -> None:
    """And one that ends before it begins."""
    done = run(archive, "--camera", GATE, "-o", tmp_path / "a.mp4", begin=BEGAN + 20, end=BEGAN + 40)
    assert (done.exit_code, "nothing is recorded of gate" in done.output) == (2, True)
    done = run(archive, "--camera", GATE, "-o", tmp_path / "a.mp4", begin=BEGAN + 20, end=BEGAN)
    assert (done.exit_code, "must be before" in done.output) == (2, True)
    assert not (tmp_path / "a.mp4").exists()
