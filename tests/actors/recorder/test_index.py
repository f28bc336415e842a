"""The index: derived from the files, and quick on months of them."""

from pathlib import Path

import pytest

from actors.media.media import CLOCK_RATE
from actors.recorder.archive_writer import SealedFile, list_files, number_of
from actors.recorder.fragment import FragmentPlace
from actors.recorder.index import NAME, Index
from actors.recorder.recording_file import StoredFragment

from .test_archive_writer import archive, record
from .test_cutter import RECORDING, START_NS

MINUTE_NS = 60 * 10**9


def file(began_ns: int, camera: str = "gate", number: int = 1, seconds: int = 60) -> SealedFile:
    """A file with a key frame every two seconds."""
    places = [
        FragmentPlace(RECORDING, index, began_ns + index * 10**9, CLOCK_RATE, index % 2 == 0)
        for index in range(seconds)
    ]
    found = tuple(StoredFragment(800 + index * 300_000, 300_000, place) for index, place in enumerate(places))
    name = f"recording_20270115_080000{f'_{number}' if number > 1 else ''}.mp4"
    return SealedFile(
        camera, RECORDING, f"{camera}/20270115/{name}", began_ns, seconds * CLOCK_RATE, 18_000_800, bytes(32), found
    )


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path)


def test_rows_name_the_files_that_were_written(tmp_path: Path) -> None:
    """Path, time, bytes and digest; and where each key frame is."""
    writer = archive(tmp_path / "recordings")
    sealed = [*record(writer, 100), *filter(None, [writer.seal("gate")])]
    index = Index(tmp_path / "recordings")
    index.add(sealed)
    rows = index.files("gate", START_NS, START_NS + MINUTE_NS)
    assert [row.path for row in rows] == [*list_files(tmp_path / "recordings")]
    for row, made in zip(rows, sealed, strict=True):
        assert (row.recording, row.size, row.digest) == (RECORDING, made.size, made.digest)
        at, expected = 0, []
        for found in made.fragments:
            expected += [(at, found.offset)] if found.place.key else []
            at += found.place.duration
        assert [*row.key_fragments()] == expected
    assert index.sizes() == {"gate": (3, sum(file.size for file in sealed))}


def test_moment_is_found_in_its_file(index: Index) -> None:
    """And none in a gap, before the first file, or of another camera."""
    index.add([file(START_NS), file(START_NS + 2 * MINUTE_NS), file(START_NS, "yard")])
    found = index.at("gate", START_NS + 59 * 10**9)
    assert found is not None
    assert found.began_ns == START_NS
    assert index.at("gate", START_NS + MINUTE_NS) is None
    assert index.at("gate", START_NS - 1) is None
    assert index.at("nobody", START_NS) is None
    assert [row.began_ns for row in index.files("gate", START_NS + 1, START_NS + 2 * MINUTE_NS + 1)] == [
        START_NS,
        START_NS + 2 * MINUTE_NS,
    ]


def test_newest_file_of_each_camera_ends_its_video(index: Index) -> None:
    """Also where the one before ends a moment later than it begins: times are rounded."""
    index.add([file(START_NS), file(START_NS + MINUTE_NS - 1, number=2, seconds=5), file(START_NS, "yard")])
    assert index.ends() == {"gate": START_NS + MINUTE_NS - 1 + 5 * 10**9, "yard": START_NS + MINUTE_NS}


def test_removed_rows_are_gone(index: Index) -> None:
    """And no other: two files may have begun in one second."""
    index.add([file(START_NS), file(START_NS, number=2)])
    first, second = index.files("gate", START_NS, START_NS + 1)
    index.remove([first])
    assert index.files("gate", START_NS, START_NS + 1) == [second]
    assert number_of(second.path) == 2


def test_files_of_a_detection_are_marked(index: Index) -> None:
    """Those that overlap it; the oldest of each kind are found for retention."""
    index.add(file(START_NS + number * MINUTE_NS) for number in range(6))
    index.add([file(START_NS + MINUTE_NS, "yard")])
    index.mark_eventful("gate", START_NS + MINUTE_NS - 5 * 10**9, START_NS + MINUTE_NS + 10**9)
    marked = [row.eventful for row in index.files("gate", 0, START_NS + 9 * MINUTE_NS)]
    assert marked == [True, True, False, False, False, False]
    assert [(row.camera, (row.began_ns - START_NS) // MINUTE_NS, row.eventful) for row in index.oldest(2)] == [
        ("gate", 0, True),
        ("gate", 1, True),
        ("yard", 1, False),
        ("gate", 2, False),
        ("gate", 3, False),
    ]


@pytest.mark.parametrize("damage", [b"", b"not a database" * 100, bytes(5000)])
def test_damaged_index_is_made_again(damage: bytes, tmp_path: Path) -> None:
    """It holds nothing that the files do not."""
    first = Index(tmp_path)
    first.add([file(START_NS)])
    first.close()
    for path in tmp_path.glob(f"{NAME}*"):
        path.write_bytes(damage)
    again = Index(tmp_path)
    assert again.files("gate", 0, 2 * START_NS) == []
    again.add([file(START_NS)])
    assert again.at("gate", START_NS) is not None


def test_row_has_at_most_300_bytes(index: Index, tmp_path: Path) -> None:
    """30 cameras for 30 days are 1.3 million files."""
    index.add(file(START_NS + number * MINUTE_NS) for number in range(5000))
    index.close()
    assert sum(path.stat().st_size for path in tmp_path.glob(f"{NAME}*")) / 5000 <= 300
