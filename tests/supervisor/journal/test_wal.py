"""The WAL as it is read back: what somebody else changed in it while it was written, and later."""

import errno
import os
import struct
from pathlib import Path

import apsw
import pytest

from supervisor.journal.errors import JournalReplaced, replaced_unless
from supervisor.journal.wal import FRAME, HEADER, Wal, checksum_of
from tests.kit.limits import no_descriptor

PAGE = 4096


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    """A database whose WAL holds two commits, of one page and of several."""
    path = tmp_path / "some.sqlite"
    db = apsw.Connection(str(path))
    db.pragma("journal_mode", "wal")
    db.pragma("wal_autocheckpoint", 0)
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    db.execute("CREATE TABLE t (a)")
    db.execute("INSERT INTO t SELECT hex(zeroblob(1500)) FROM (VALUES (1), (2), (3), (4), (5), (6))")
    db.close()
    return path


def test_checksum_is_that_of_sqlite(segment: Path) -> None:
    """Of the header and of every frame, as the file format of SQLite says."""
    data = Path(f"{segment}-wal").read_bytes()
    is_little = data[3] == 0x82
    before, count = data[24:32], 0
    assert checksum_of(data[:24], bytes(8), is_little) == before
    for offset in range(HEADER, len(data), FRAME + PAGE):
        frame = data[offset : offset + FRAME + PAGE]
        before = checksum_of(frame[FRAME:], checksum_of(frame[:8], before, is_little), is_little)
        assert before == frame[16:24]
        count += 1
    assert count > 4


@pytest.mark.parametrize("is_little", [False, True])
@pytest.mark.parametrize("size", [8, 16, 24, 512, 4096, 65536])
def test_checksum_is_two_running_sums(size: int, is_little: bool) -> None:
    """Word by word, as the file format says it, in both orders of bytes."""
    data = os.urandom(size)
    one, two = 0xFFFFFFFF, 0xFFFFFFFE
    words = struct.unpack(f"{'<' if is_little else '>'}{size // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + two) % 2**32
        two = (two + odd + one) % 2**32
    before = struct.pack(">2I", 0xFFFFFFFF, 0xFFFFFFFE)
    assert checksum_of(data, before, is_little) == struct.pack(">2I", one, two)


def test_byte_changed_before_a_commit_is_read_back_is_found(segment: Path) -> None:
    """In the header, in that of a frame and in a page: a recovery would stop there."""
    path = Path(f"{segment}-wal")
    whole = path.read_bytes()
    for offset in (4, 8, 12, 20, 24, 31, *range(HEADER + 8, HEADER + FRAME), HEADER + FRAME, len(whole) - 1):
        path.write_bytes(changed(whole, offset))
        with pytest.raises(JournalReplaced):
            read_all(Wal(segment), len(whole))


def test_byte_changed_after_a_commit_was_read_back_is_found_by_the_next_look(segment: Path) -> None:
    """Anywhere up to its end; the rest of the file, from before it began again, is nobody's."""
    path = Path(f"{segment}-wal")
    whole = path.read_bytes()
    wal = Wal(segment)
    wal.look_again()
    read_all(wal, len(whole))
    for offset in (0, 24, HEADER, HEADER + 16, HEADER + FRAME, len(whole) // 2, len(whole) - 1):
        path.write_bytes(changed(whole, offset))
        with pytest.raises(JournalReplaced):
            wal.look_again()
    path.write_bytes(whole + b"of before")
    wal.look_again()


def test_wal_that_was_not_copied_does_not_begin_again(segment: Path) -> None:
    """Another header over commits that are nowhere else is not of SQLite, however right the rest is."""
    wal = Wal(segment)
    whole = wal.path.read_bytes()
    read_all(wal, len(whole))
    another = Wal(segment)
    header = bytearray(whole[:24])
    header[12:16] = b"next"
    wal.path.write_bytes(bytes(header) + checksum_of(bytes(header), bytes(8), header[3] == 0x82) + whole[HEADER:])
    another._begin(wal.path.read_bytes()[:HEADER])
    with pytest.raises(JournalReplaced, match="not whole at 0"):
        wal.look_at_commit()


def changed(data: bytes, offset: int) -> bytes:
    return data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]


def test_hole_anywhere_in_a_commit_is_found(segment: Path) -> None:
    """It ends where a header or a page ends, and begins anywhere: in the same page, or far before it."""
    path = Path(f"{segment}-wal")
    whole = path.read_bytes()
    frames = (len(whole) - HEADER) // (FRAME + PAGE)
    for number in range(frames):
        begin = HEADER + number * (FRAME + PAGE)
        for end in (begin + FRAME, begin + FRAME + PAGE):
            for hole in (1, 8, 24, 200, PAGE, end):
                data = whole[: end - min(hole, end)] + bytes(min(hole, end)) + whole[end:]
                path.write_bytes(data)
                wal = Wal(segment)
                if data == whole:
                    read_all(wal, len(whole))
                else:
                    with pytest.raises(JournalReplaced):
                        read_all(wal, len(whole))


def test_commit_that_is_not_there_is_missed(segment: Path) -> None:
    """A file that has not grown, one that is shorter than before, and none."""
    wal = Wal(segment)
    read_all(wal, os.stat(wal.path).st_size)
    with pytest.raises(JournalReplaced):
        wal.look_at_commit()
    os.truncate(wal.path, 100)
    with pytest.raises(JournalReplaced):
        wal.look_at_commit()
    wal.path.unlink()
    with pytest.raises(JournalReplaced):
        wal.look_at_commit()


def read_all(wal: Wal, size: int) -> None:
    while wal.end < size:
        wal.look_at_commit()


def test_wal_that_cannot_be_opened_for_the_moment_is_not_replaced(segment: Path) -> None:
    """Without a descriptor the look fails, and says nothing of the file; a link in its place is replaced."""
    wal = Wal(segment)
    with no_descriptor(), pytest.raises(OSError, match="Too many open files"):
        wal.look_at_commit()
    read_all(wal, os.stat(wal.path).st_size)
    wal.path.rename(segment.with_name("elsewhere"))
    wal.path.symlink_to("elsewhere")
    with pytest.raises(JournalReplaced):
        wal.look_at_commit()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOMEM, errno.ETIMEDOUT, errno.ENFILE])
def test_error_of_the_system_is_no_replacement(number: int) -> None:
    """A file on a disk that fails for a moment is the same one when it can be read again."""
    error = OSError(number, "")
    assert replaced_unless(error, "x") is error


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.EISDIR, errno.ESTALE])
def test_error_of_a_file_is_a_replacement(number: int) -> None:
    """Something else, or nothing, has its name."""
    assert isinstance(replaced_unless(OSError(number, ""), "x"), JournalReplaced)
