"""The recording files of an archive for a bundle, and the walk through one of them. Blocking."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from actors.media.media import CLOCK_RATE
from actors.recorder.footage import Footage
from actors.recorder.recording_file import walk

from ..domain.ids import CameraId
from ..domain.words import plural, size
from ..forensics.incident.bundle import MAX_VIDEO, VIDEO
from ..forensics.incident.video import FoundVideo, WalkedVideo
from ..ports.errors import JournalError

CHUNK = 256 * 1024


def walk_video(file: BinaryIO) -> WalkedVideo | None:
    """Read a recording file, and check every fragment. Raises `OSError`."""
    found = walk(file)
    if found.about is None or not found.fragments:
        return None
    first, last = found.fragments[0].place, found.fragments[-1].place
    ended_ns = max(first.wall_ns + _ns(found.duration), last.wall_ns + _ns(last.duration))
    return WalkedVideo(
        found.about.camera,
        found.about.recording,
        first.wall_ns,
        ended_ns,
        found.size if found.is_sealed else found.whole,
        found.is_sealed,
        found.damage,
    )


def _ns(ticks: int) -> int:
    return ticks * 10**9 // CLOCK_RATE


def find_video(
    archive: Path,
    cameras: Sequence[CameraId],
    since_ns: int,
    until_ns: int,
    most: int,
    tell: Callable[[str], None],
) -> list[FoundVideo]:
    """The files of these cameras that have something of a time, the oldest of each camera first.

    `tell` hears how much it is before anything is read. Raises `OSError`, and `JournalError` if it is more than `most`
    bytes.
    """
    with closing(Footage(archive)) as footage:
        files = [file for camera in cameras for file in footage.files(camera, since_ns, until_ns)]
        total = sum(file.size for file in files)
        tell(f"{plural(len(files), 'recording file')} of {', '.join(cameras)}: {size(total)}")
        if total > most:
            needed = (total >> 20) + 1
            allow = f", or allow it with --max-video {needed}" if total <= MAX_VIDEO else ""
            raise JournalError(f"this video has {size(total)}: choose a shorter time{allow}")
        read = (_read(footage, archive, file.path) for file in files)
        return [file for file in read if file is not None]


def _read(footage: Footage, archive: Path, path: str) -> FoundVideo | None:
    """Walk through a file, which may be growing: only its whole fragments count then. None if it was removed."""
    camera, _, name = path.split("/")
    try:
        opened = footage.open(path)
    except FileNotFoundError:
        return None
    with opened as file:
        walked = walk_video(file)
        file.seek(0)
        digest, left = hashlib.sha256(), walked.bytes if walked is not None else 0
        while left and (chunk := file.read(min(CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
    count = walked.bytes if walked is not None else 0
    return FoundVideo(f"{VIDEO}/{camera}/{name}", count, digest.hexdigest(), walked, archive / path)
