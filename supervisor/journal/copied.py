"""Whether the main file of a segment holds what was copied to it from the WAL.

Rules of this file:
- Whoever else writes to the file while SQLite copies leaves the time of our own write. So the content is compared.
- The file is read by a descriptor of SQLite: closing one of our own would drop the locks of the whole process.
"""

import os
from contextlib import suppress
from pathlib import Path

from .errors import JournalReplaced


def look_at_copied(path: Path, pages: dict[int, bytes]) -> None:
    """Raise `JournalReplaced` unless the file at `path`, which is open, has these pages at these places."""
    file = _descriptor(path)
    for place, page in pages.items():
        if os.pread(file, len(page), place) != page:
            raise JournalReplaced(f"{path}: somebody else changed this file while the WAL was copied to it")


def _descriptor(path: Path) -> int:
    """One by which SQLite has the file open. None of them is closed while the writer has the file: see `live.py`."""
    there = os.stat(path)
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.path.samestat(os.fstat(int(name)), there):
                return int(name)
    raise JournalReplaced(f"{path}: another file stands under this name")
