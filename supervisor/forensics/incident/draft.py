"""A folder for files that are not complete yet."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex


@contextmanager
def draft_folder(parent: Path, name: str) -> Iterator[Path]:
    """A new folder `.NAME.xxxx.new` in `parent`, and its removal at the end of the block. Raises `OSError`.

    The name is known before the folder exists, and an interrupted removal is repeated. So one exception from a signal
    leaves nothing behind, wherever it is raised.
    """
    folder = parent / f".{name}.{token_hex(8)}.new"
    try:
        try:
            folder.mkdir(0o700)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
