"""The WAL as it is read back: holes that somebody else left while it was written."""

import os
from pathlib import Path

import apsw
import pytest

from supervisor.journal.errors import JournalReplaced
from supervisor.journal.wal import FRAME, HEADER, Wal, checksum_of

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
    """Of every frame, as the file format of SQLite says."""
    data = Path(f"{segment}-wal").read_bytes()
    before, count = data[24:32], 0
    for offset in range(HEADER, len(data), FRAME + PAGE):
        frame = data[offset : offset + FRAME + PAGE]
        assert checksum_of(frame, before, data[3] == 0x82) == frame[16:24]
        before, count = frame[16:24], count + 1
    assert count > 4


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
