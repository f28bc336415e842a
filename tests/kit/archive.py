"""Disks under the recorder: one that fails on command, and one that remembers what a power failure may leave."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import attrs

from actors.recorder.disk import Disk

SECTOR = 512


@attrs.define(slots=False)
class FailingDisk(Disk):
    """Each call asks `fault` first, with its name; what that raises is the fault. `short` writes half before it."""

    fault: Callable[[str], None] = attrs.field(default=lambda call: None)

    def create(self, path: str, folder: int) -> int:
        self.fault("create")
        return super().create(path, folder)

    def write(self, descriptor: int, data: bytes) -> None:
        try:
            self.fault("write")
        except OSError:
            super().write(descriptor, data[: len(data) // 2])
            raise
        super().write(descriptor, data)

    def remove(self, path: str, folder: int) -> None:
        self.fault("remove")
        super().remove(path, folder)

    def sync(self, descriptor: int, *, done: int) -> None:
        self.fault("sync")
        super().sync(descriptor, done=done)


def fails_at(number: int, call: str, error: int = errno.EIO) -> Callable[[str], None]:
    """A fault of the call of this name with this number, from 0, and of none else."""
    seen = iter(range(10**9))

    def fault(name: str) -> None:
        if name == call and next(seen) == number:
            raise OSError(error, os.strerror(error))

    return fault


@attrs.define
class Written:
    """A file as the disk knows it after some calls."""

    data: bytearray = attrs.field(factory=bytearray)
    synced: bytes = b""
    named: bool = False
    """Whether its name is on the disk for certain."""


class PowerDisk(Disk):
    """Remembers each call. `images` are possible contents of the disk after a power failure."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str, bytes]] = []
        """Call, path, and bytes written."""
        self._paths: dict[int, str] = {}

    def create(self, path: str, folder: int) -> int:
        descriptor = super().create(path, folder)
        self._paths[descriptor] = path
        self.steps.append(("create", path, b""))
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        super().write(descriptor, data)
        if descriptor in self._paths:
            self.steps.append(("write", self._paths[descriptor], bytes(data)))

    def sync(self, descriptor: int, *, done: int) -> None:
        super().sync(descriptor, done=done)
        if descriptor in self._paths:
            self.steps.append(("sync", self._paths[descriptor], b""))

    def sync_folder(self, path: str, folder: int) -> None:
        super().sync_folder(path, folder)
        self.steps.append(("sync_folder", path, b""))

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        self._paths.pop(descriptor, None)

    def image(self, end: int, folder: Path, random: Random) -> dict[str, int]:
        """Write a possible content after the first `end` calls into a folder. Returns the synced bytes of each file."""
        files: dict[str, Written] = {}
        for call, path, data in self.steps[:end]:
            match call:
                case "create":
                    files[path] = Written()
                case "write":
                    files[path].data += data
                case "sync":
                    files[path].synced = bytes(files[path].data)
                case _:
                    for name, file in files.items():
                        file.named |= (os.path.dirname(name) or ".") == path
        for name, file in files.items():
            if not file.named and random.random() < 0.5:
                continue
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"".join(_left(file, random)))
        return {name: len(file.synced) if file.named else 0 for name, file in files.items()}


def _left(file: Written, random: Random) -> Iterator[bytes]:
    """The synced bytes, then a random number of sectors: each is on the disk, or has zeros or old bytes."""
    yield file.synced
    at, end = len(file.synced), random.randint(len(file.synced), len(file.data))
    while at < end:
        to = min(end, (at // SECTOR + 1) * SECTOR)
        kind = random.random()
        yield bytes(file.data[at:to]) if kind < 0.7 else bytes(to - at) if kind < 0.9 else random.randbytes(to - at)
        at = to
