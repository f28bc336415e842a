"""Verification of an archive: each change of a sealed file is found, and a growing file is accepted."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from actors.recorder.archive_writer import list_files, repair_file
from actors.recorder.disk import Disk
from actors.recorder.verify import VerifiedArchive, verify_archive
from supervisor.domain.events import Event, Recorded, RecordingSealed, RecordingsExpired, RecordingStarted
from supervisor.domain.ids import RecordingId
from supervisor.domain.values import Reason, RecordMode
from tests.kit.domain import GATE, live

from .test_archive_writer import archive, record
from .test_cutter import RECORDING, START_NS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


def journal(*given: Event) -> list[Recorded]:
    row = live().recorded[-1]
    return [replace(row, seq=number, event=event) for number, event in enumerate(given, 1)]


@pytest.fixture
def seals(folder: Path) -> list[Recorded]:
    """Three files were recorded, of which the journal has sealed the first two; a fourth one grows."""
    writer = archive(folder)
    sealed = record(writer, 130)
    digests = tuple(file.digest.hex() for file in sealed[:2])
    ended = sealed[1].began_ns + 4 * 10**9
    recording = RecordingId(RECORDING)
    return journal(
        RecordingStarted(GATE, recording, RecordMode.ALWAYS),
        RecordingSealed(GATE, recording, 1, sealed[0].began_ns, ended, digests),
    )


def verify(folder: Path, seals: list[Recorded]) -> VerifiedArchive:
    return verify_archive(folder, seals)


def paths(folder: Path) -> list[Path]:
    return [folder / path for path in list_files(folder)]


def test_untouched_archive_is_proven(folder: Path, seals: list[Recorded]) -> None:
    """The newest files are whole, and have no seal yet."""
    found = verify(folder, seals)
    assert (found.files, found.proven, found.unsealed, found.removed, found.is_whole) == (4, 2, 1, 0, True)
    assert [finding.kind for finding in found.findings] == ["growing"]


@pytest.mark.parametrize("at", [100, 700, 2000, -3000, -1])
def test_changed_byte_of_a_sealed_file_is_found(at: int, folder: Path, seals: list[Recorded]) -> None:
    """In its beginning, its first fragment, a later one, and its end."""
    first = paths(folder)[0]
    data = bytearray(first.read_bytes())
    data[at] ^= 1
    first.write_bytes(data)
    found = verify(folder, seals)
    assert not found.is_whole
    assert found.findings[0].path == str(first.relative_to(folder))
    assert found.findings[0].kind == "damaged"
    assert found.proven == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda first, second: first.write_bytes(second.read_bytes()),
        lambda first, second: first.write_bytes(first.read_bytes() + b"\0\0\0\x08free"),
        lambda first, second: first.write_bytes(first.read_bytes()[:-4000]),
    ],
    ids=["exchanged", "longer", "cut"],
)
def test_altered_sealed_file_is_found(
    change: Callable[[Path, Path], object], folder: Path, seals: list[Recorded]
) -> None:
    """Also where each file is one that was recorded."""
    change(*paths(folder)[:2])
    found = verify(folder, seals)
    assert kinds(found) in (["altered", "missing"], ["damaged"], ["altered"])
    assert found.proven == 1


def test_repaired_file_is_not_the_one_that_was_sealed(folder: Path, seals: list[Recorded]) -> None:
    """Its checksums are right, and its digest is not."""
    first = paths(folder)[0]
    first.write_bytes(first.read_bytes()[:-4000])
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        assert repair_file(Disk(), descriptor, str(first.relative_to(folder)))
    finally:
        os.close(descriptor)
    (altered,) = (finding for finding in verify(folder, seals).findings if finding.kind != "growing")
    assert altered.kind == "altered"


def kinds(found: VerifiedArchive) -> list[str]:
    return [finding.kind for finding in found.findings if finding.kind != "growing"]


@pytest.mark.parametrize(("began_s", "ended_s", "found"), [(0, 4, []), (4, 8, ["missing"]), (0, 600, [])])
def test_removed_file_is_missing_unless_retention_removed_it(
    folder: Path, seals: list[Recorded], began_s: int, ended_s: int, found: list[str]
) -> None:
    """An event of the journal says so, for the time of this file; also one that was journaled meanwhile."""
    first = paths(folder)[0]
    first.unlink()
    result = verify(folder, seals)
    assert (result.proven, result.removed, kinds(result)) == (1, 1, ["missing"])
    assert (result.findings[-1].path, result.findings[-1].text) == (
        "gate",
        "1 file of 2027-01-15T08:00:00.000Z to 2027-01-15T08:00:04.000Z: sealed, and not removed by retention",
    )
    span = START_NS + began_s * 10**9, START_NS + ended_s * 10**9
    gone = journal(RecordingsExpired(GATE, 1, 1, *span, Reason("age", "old")))
    for result in (verify(folder, [*seals, *gone]), verify_archive(folder, seals, lambda: gone)):
        assert (result.proven, result.removed, kinds(result), result.is_whole) == (1, 1, found, not found)


def test_whole_recording_that_was_removed_is_missing(folder: Path, seals: list[Recorded]) -> None:
    """The number of its sealed files is said, and their time."""
    for path in paths(folder):
        path.unlink()
    (missing,) = verify(folder, seals).findings
    assert missing.text.startswith("2 files of 2027-01-15T08:00:00.000Z to 2027-01-15T08:00:08.000Z")


@pytest.mark.parametrize(
    "name", ["yard/20270115/recording_20270115_080000.mp4", "gate/20270115/recording_20270115_080000_2.mp4"]
)
@pytest.mark.parametrize("copies", [True, False])
def test_file_at_another_place_is_altered(folder: Path, seals: list[Recorded], name: str, copies: bool) -> None:
    """In the folder of another camera, or there twice. Its content alone is as it was."""
    first = paths(folder)[0]
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(first.read_bytes())
    found = verify(folder, seals)
    assert [finding.path for finding in found.findings if finding.kind == "altered"] == [name]
    if not copies and name.startswith("yard"):
        first.unlink()
        assert kinds(verify(folder, seals)) == ["altered", "missing"]


def test_file_of_an_unknown_recording_is_named(folder: Path, seals: list[Recorded]) -> None:
    """Of another journal, or made by somebody: it is not called a file that will be sealed later."""
    found = verify(folder, [])
    assert (found.proven, found.unsealed, {finding.kind for finding in found.findings}) == (0, 0, {"unknown"})
    assert not found.is_whole


def test_file_that_follows_a_seal_by_a_millisecond_less_is_not_altered(folder: Path, seals: list[Recorded]) -> None:
    """The wall clock of fragments is slewed: a file may begin before the computed end of the one before it."""
    start, sealed = seals
    assert isinstance(sealed.event, RecordingSealed)
    late = replace(sealed, event=replace(sealed.event, ended_ns=sealed.event.ended_ns + 1_000_000))
    assert verify(folder, [start, late]).is_whole


def test_files_of_all_archives_are_those_of_the_journal(folder: Path, seals: list[Recorded]) -> None:
    """One archive alone lacks those of the other; what is wrong names its folder."""
    first, other = paths(folder)[0], folder.with_name("cold")
    moved = other / first.relative_to(folder)
    moved.parent.mkdir(parents=True)
    first.rename(moved)
    assert kinds(verify(folder, seals)) == ["missing"]
    whole = verify_archive(folder, seals, also=[other])
    assert (whole.proven, whole.is_whole) == (2, True)
    with open(moved, "r+b") as file:
        file.seek(3000)
        file.write(b"zz")
    found = verify_archive(folder, seals, also=[other])
    assert [finding.path for finding in found.findings if finding.kind == "damaged"] == [str(moved)]
