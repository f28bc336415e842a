"""Verification of an archive: each change of a sealed file is found, and a growing file is accepted."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.recorder.archive_writer import list_files, repair_file
from actors.recorder.disk import Disk
from actors.recorder.verify import VerifiedArchive, verify_archive
from supervisor.domain.events import RecordingSealed
from supervisor.domain.ids import CameraId, RecordingId

from .test_archive_writer import archive, record
from .test_cutter import RECORDING


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
def seals(folder: Path) -> list[RecordingSealed]:
    """Three files were recorded, of which the journal has sealed the first two; a fourth one grows."""
    writer = archive(folder)
    sealed = record(writer, 130)
    digests = tuple(file.digest.hex() for file in sealed[:2])
    ended = sealed[1].began_ns + 4 * 10**9
    return [RecordingSealed(CameraId("gate"), RecordingId(RECORDING), 1, sealed[0].began_ns, ended, digests)]


def verify(folder: Path, seals: list[RecordingSealed]) -> VerifiedArchive:
    return verify_archive(folder, seals)


def paths(folder: Path) -> list[Path]:
    return [folder / path for path in list_files(folder)]


def test_untouched_archive_is_proven(folder: Path, seals: list[RecordingSealed]) -> None:
    """The newest files are whole, and have no seal yet."""
    found = verify(folder, seals)
    assert (found.files, found.proven, found.unsealed, found.removed, found.is_whole) == (4, 2, 1, 0, True)
    assert [finding.kind for finding in found.findings] == ["growing"]


@pytest.mark.parametrize("at", [100, 700, 2000, -3000, -1])
def test_changed_byte_of_a_sealed_file_is_found(at: int, folder: Path, seals: list[RecordingSealed]) -> None:
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
    change: Callable[[Path, Path], object], folder: Path, seals: list[RecordingSealed]
) -> None:
    """Also where each file is one that was recorded."""
    change(*paths(folder)[:2])
    found = verify(folder, seals)
    assert [finding.kind for finding in found.findings if finding.kind != "growing"] in (["altered"], ["damaged"])
    assert found.proven == 1


def test_repaired_file_is_not_the_one_that_was_sealed(folder: Path, seals: list[RecordingSealed]) -> None:
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


def test_removed_file_is_counted(folder: Path, seals: list[RecordingSealed]) -> None:
    """Retention removes files, and proves nothing about the others."""
    paths(folder)[0].unlink()
    found = verify(folder, seals)
    assert (found.proven, found.removed, found.is_whole) == (1, 1, True)
