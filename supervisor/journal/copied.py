"""Checks that the main file of a segment holds the pages that were copied to it from the WAL.

Rules of this file:
- A foreign write during SQLite's copy leaves no trace in the file's times. So the content is compared.
- The file is read through SQLite's descriptor: closing another one would drop the locks of the whole process.
"""

import os
from contextlib import suppress
from pathlib import Path

from .errors import JournalReplaced


def look_at_copied(path: Path, pages: dict[int, bytes]) -> None:
    """Raise `JournalReplaced` unless the open file at `path` has these pages at these offsets (bytes)."""
    file = _descriptor(path)
    for place, page in pages.items():
        if os.pread(file, len(page), place) != page:
            raise JournalReplaced(f"{path}: another program changed this file while the WAL was copied to it")


def _descriptor(path: Path) -> int:
    """A descriptor of SQLite for the file. None of them is closed while the writer has the file: see `live.py`."""
    there = os.stat(path)
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.path.samestat(os.fstat(int(name)), there):
                return int(name)
    raise JournalReplaced(f"{path}: another file is at this path")
