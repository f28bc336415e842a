"""Files in the folder of an archive that are not its own. They are never removed, and take room. Blocking."""

import os
from collections.abc import Iterator
from pathlib import Path

from .archive_writer import DAY, LOCK, MARK, NAME, PROBE
from .index import NAME as INDEX

OURS = frozenset({MARK, LOCK, PROBE, *(f"{INDEX}{suffix}" for suffix in ("", "-wal", "-shm", "-journal"))})
LOOKED_AT = 50_000
"""Names after which a look ends; the next one goes on with the next folder."""


class OtherFiles:
    """Counts them, some folders at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: dict[str, int] = {}
        """By folder in the archive, and in "" those beside them."""
        self._last = ""

    def look(self) -> int:
        """Return their bytes, as far as was seen until now. Raises `OSError`."""
        top, beside = list[str](), 0
        for each in os.scandir(self._folder):
            if each.is_dir(follow_symlinks=False):
                top.append(each.name)
            elif each.name not in OURS:
                beside += _size(each)
        top.sort(key=lambda name: (name <= self._last, name))
        self._sizes = {name: self._sizes.get(name, 0) for name in top} | {"": beside}
        looked = 0
        for name in top:
            count, self._sizes[name] = _others(self._folder, name)
            self._last, looked = name, looked + count
            if looked >= LOOKED_AT:
                break
        return sum(self._sizes.values())


def _others(folder: Path, name: str) -> tuple[int, int]:
    """The number of names below a folder of the archive, and the bytes of those files that are not its own."""
    count = size = 0
    for path, each in _walk(folder / name):
        count += 1
        if count > 4 * LOOKED_AT:
            break
        is_ours = len(path) == 1 and DAY.fullmatch(path[0]) and NAME.fullmatch(each.name)
        if not is_ours and not each.is_dir(follow_symlinks=False):
            size += _size(each)
    return count, size


def _walk(folder: Path) -> Iterator[tuple[tuple[str, ...], "os.DirEntry[str]"]]:
    """Yield each entry below a folder, with the names of the folders between."""
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        path = waiting.pop()
        try:
            entries = list(os.scandir(folder.joinpath(*path)))
        except OSError:  # it has gone, or is not ours to read
            continue
        for each in entries:
            yield path, each
            if each.is_dir(follow_symlinks=False):
                waiting.append((*path, each.name))


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:  # it has gone
        return 0
