"""Footage is read beside the writer: sealed and growing files, with an index and without."""

import os
from pathlib import Path

import pytest

from actors.recorder.archive_writer import path_of
from actors.recorder.footage import SECOND_NS, Footage, merge
from actors.recorder.index import NAME, Index
from actors.recorder.recording_file import walk
from supervisor.ports.footage import FootageStretch

from .test_archive_writer import archive, record
from .test_cutter import RECORDING, START_NS

FAR = 10**18 * 9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sealed files, and one that grows."""
    folder = tmp_path / "recordings"
    writer = archive(folder)
    sealed = [*record(writer, 100)]
    writer.sync()
    index = Index(folder)
    index.add(sealed)
    index.close()
    return folder


def names(footage: Footage, from_ns: int, to_ns: int) -> list[str]:
    return [file.path for file in footage.files("gate", from_ns, to_ns)]


def test_fragments_are_those_of_the_walk(folder: Path) -> None:
    """Of a growing file, too."""
    footage = Footage(folder)
    files = list(footage.files("gate", 0, FAR))
    assert len(files) == 3
    for file in files:
        with open(folder / file.path, "rb") as opened:
            walked = walk(opened)
            opened.seek(0)
            assert opened.read(len(file.initialization)) == file.initialization
        assert (file.fragments, file.about, file.size) == (walked.fragments, walked.about, walked.size)
    footage.close()


def test_files_of_a_time_are_found(folder: Path) -> None:
    """At its borders, far away, and before the first file."""
    footage = Footage(folder)
    first, second, third = footage.files("gate", 0, FAR)
    assert names(footage, second.began_ns, second.began_ns + 1) == [second.path]
    assert names(footage, second.began_ns - 1, second.began_ns + 1) == [first.path, second.path]
    assert names(footage, third.ended_ns, FAR) == []
    assert names(footage, -FAR, first.began_ns) == []
    assert [file.began_ns for file in (first, second, third)] == sorted(
        file.began_ns for file in (first, second, third)
    )
    footage.close()


def test_long_file_reaches_into_a_much_later_time(folder: Path) -> None:
    """A camera without key frames may have files of an hour: it is the newest before the asked time."""
    footage = Footage(folder)
    *_, last = footage.files("gate", 0, FAR)
    yesterday = path_of("gate", last.began_ns - 86_400 * SECOND_NS, 1)
    os.makedirs(os.path.dirname(folder / yesterday))
    os.rename(folder / last.path, folder / yesterday)
    assert names(footage, last.began_ns + 1, FAR) == [yesterday]
    footage.close()


def test_moment_begins_with_the_key_frame_before_it(folder: Path) -> None:
    """And with no other key frame."""
    footage = Footage(folder)
    file = next(footage.files("gate", 0, FAR))
    for wanted in file.fragments:
        found = file.playable(wanted.place.wall_ns, wanted.place.wall_ns + 1)
        assert found[0].place.key
        assert found[-1] == wanted
        assert sum(each.place.key for each in found) == 1
    footage.close()


@pytest.mark.parametrize("has_index", [True, False])
def test_stretches_are_known_with_and_without_an_index(folder: Path, has_index: bool) -> None:
    """An index that is behind is enough."""
    if not has_index:
        os.remove(folder / NAME)
    footage = Footage(folder)
    files = list(footage.files("gate", 0, FAR))
    (stretch,) = footage.stretches("gate", 0, FAR)
    assert (stretch.recording, stretch.began_ns) == (RECORDING, START_NS)
    assert stretch.ended_ns == files[-1].ended_ns
    assert stretch.size == sum(file.size for file in files)
    assert footage.stretches("gate", files[-1].ended_ns, FAR) == []
    footage.close()


def test_gap_ends_a_stretch() -> None:
    """Another recording does, and a file that is missing."""
    made = [FootageStretch("a", 0, 60 * SECOND_NS, 1), FootageStretch("a", 61 * SECOND_NS, 90 * SECOND_NS, 2)]
    assert merge(made) == [FootageStretch("a", 0, 90 * SECOND_NS, 3)]
    later = FootageStretch("a", 92 * SECOND_NS, 95 * SECOND_NS, 4)
    other = FootageStretch("b", 95 * SECOND_NS, 99 * SECOND_NS, 5)
    assert [each.size for each in merge([*made, later, other])] == [3, 4, 5]


@pytest.mark.parametrize("camera", ["", ".", "..", "../x", "gate/20270115", "nobody", "gate\0"])
def test_names_that_are_no_camera_have_nothing(folder: Path, camera: str) -> None:
    """And lead out of no folder."""
    footage = Footage(folder)
    assert list(footage.files(camera, 0, FAR)) == []
    assert footage.stretches(camera, 0, FAR) == []
    footage.close()


def test_damaged_and_foreign_files_are_left_out(folder: Path) -> None:
    """A link that leads out of the archive, too; the others are read."""
    footage = Footage(folder)
    first, second, third = footage.files("gate", 0, FAR)
    day = folder / os.path.dirname(first.path)
    (folder / first.path).write_bytes(b"\0" * 5000)
    os.symlink(folder / second.path, day / "recording_20270115_080500.mp4")
    os.mkfifo(day / "recording_20270115_080501.mp4")
    (day / "recording_20270115_080502.mp4").touch()
    (day / "notes.txt").write_text("mine")
    assert names(footage, 0, FAR) == [second.path, third.path]
    footage.close()


def test_torn_end_is_not_read(folder: Path) -> None:
    """The fragments in front of it are."""
    footage = Footage(folder)
    *_, last = footage.files("gate", 0, FAR)
    os.truncate(folder / last.path, last.size - 1)
    *_, torn = footage.files("gate", 0, FAR)
    assert torn.fragments == last.fragments[:-1]
    footage.close()


def test_open_file_is_read_after_its_removal(folder: Path) -> None:
    """Retention breaks no download."""
    footage = Footage(folder)
    file = next(footage.files("gate", 0, FAR))
    with footage.open(file.path) as opened:
        os.remove(folder / file.path)
        assert len(opened.read()) == file.size
    footage.close()


def test_paths_of_several_archives_are_in_the_order_of_time(tmp_path: Path) -> None:
    """As files are: a camera may have moved to another archive and back."""
    for name in ("a", "b"):
        record(archive(tmp_path / name), 100)
    later = path_of("gate", START_NS + 2 * SECOND_NS, 1)
    os.makedirs(os.path.dirname(tmp_path / "b" / later), exist_ok=True)
    (first, *rest) = sorted((tmp_path / "b" / "gate").rglob("*.mp4"))
    first.rename(tmp_path / "b" / later)
    for path in rest:
        path.unlink()
    footage = Footage(tmp_path / "a", tmp_path / "b")
    found = [*footage.paths("gate", 0, FAR)]
    assert found == sorted(found)
    assert later in found
    assert len(found) == len({*found}) == 4
    footage.close()
