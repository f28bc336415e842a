"""Power failures under an archive: each image of its disk is repaired, every file plays, and little is lost.

Rules of this file:
- Each write, sync and new name is noted; an image is a possible content of the disk at one of these moments.
- A camera may lose its video since the last sync, and one fragment.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import attrs
import av

from actors.media.h264 import H264
from actors.media.media import CLOCK_RATE, AccessUnit
from actors.recorder.archive_writer import ArchiveWriter, list_files, repair_file
from actors.recorder.cutter import Cutter, NewFile
from actors.recorder.disk import FOLDER_FLAGS, Disk

from .archive import PowerDisk
from .footage import ended_ns, walked
from .media import FPS, access_units

CAMERAS, LENGTH_S, FILE_S, SYNC_S, FRAGMENT_S = 3, 90, 20.0, 10, 1.0
IMAGES_OF_A_LIFE = 100
DECODED_EVERY = 20
"""All files of each image are walked. Of one image in 20, they are decoded by libav, too."""
START_NS = 1_800_000_000_000_000_000


@attrs.frozen
class RecordedLife:
    """The recorded calls of an archive, and how far the video of each camera was written after each of them."""

    disk: PowerDisk
    written: list[dict[str, int]]
    """For each number of calls, the end of the last fragment of each camera, in nanoseconds since 1970."""


def record_life(folder: Path, random: Random) -> RecordedLife:
    """Record a few cameras for a while, with syncs as the archive makes them."""
    disk, written, ends = PowerDisk(), list[dict[str, int]](), dict[str, int]()
    writer = ArchiveWriter(folder, "n1", lambda: "a", disk)
    writer.open()
    names = [f"camera-{number}" for number in range(CAMERAS)]
    cutters = {name: Cutter(name, f"{number:016x}", FILE_S) for number, name in enumerate(names)}
    begins = {name: random.randrange(20) for name in names}

    def note() -> None:
        written.extend([ends.copy()] * (len(disk.steps) + 1 - len(written)))

    note()
    for tick in range(LENGTH_S * FPS):
        for name in names:
            _step(writer, cutters[name], name, begins[name] + tick, ends)
            note()
        if tick % (SYNC_S * FPS) == SYNC_S * FPS - 1:
            writer.sync()
            note()
    for name in names:
        writer.seal(name)
    note()
    writer.close()
    return RecordedLife(disk, written)


def _step(writer: ArchiveWriter, cutter: Cutter, name: str, number: int, ends: dict[str, int]) -> None:
    nals, at = access_units()[number % 40], number * CLOCK_RATE // FPS
    unit = AccessUnit(H264, nals, at, number % 20 == 0, sum(map(len, nals)), at)
    for out in cutter.take(unit, START_NS + at * 10**9 // CLOCK_RATE):
        if isinstance(out, NewFile):
            writer.begin(name, f"{int(name[-1]):016x}", out)
        else:
            writer.append(name, out)
            ends[name] = out.ended_ns


def look(life: RecordedLife, folder: Path, random: Random, *, decode: bool) -> str | None:
    """Cut the power once, repair, and say what is wrong; None if nothing is."""
    folder.mkdir()
    try:
        end = random.randint(1, len(life.disk.steps))
        life.disk.image(end, folder, random)
        descriptor = os.open(folder, FOLDER_FLAGS)
        try:
            for path in [*list_files(folder)]:
                repair_file(Disk(), descriptor, path)
        finally:
            os.close(descriptor)
        return _faults(folder, life.written[end], decode=decode)
    finally:
        shutil.rmtree(folder)


def _faults(folder: Path, written: dict[str, int], *, decode: bool) -> str | None:
    ends = dict[str, int]()
    for path in list_files(folder):
        found = walked(folder / path)
        if not found.is_sealed or not found.fragments:
            return f"{path} does not play: {found.damage}"
        ends[path.partition("/")[0]] = ended_ns(found.fragments[-1].place)
        if decode:
            with av.open(str(folder / path)) as container:
                frames = sum(1 for _ in container.decode(video=0))
            if frames != round(found.duration * FPS / CLOCK_RATE):
                return f"{path} has {frames} frames in {found.duration / CLOCK_RATE:.2f} s"
    for camera, last_ns in written.items():
        lost_s = (last_ns - ends.get(camera, START_NS)) / 1e9
        if lost_s > SYNC_S + FRAGMENT_S:
            return f"{camera} has lost {lost_s:.1f} s"
    return None


def cut_recordings(
    folder: Path, images: int, seed: int, report: Callable[[int], None] = lambda done: None
) -> list[str]:
    """Return the faults in `images` images, with the number of each."""
    wrong = []
    life: RecordedLife | None = None
    for number in range(images):
        random = Random(f"{seed}/{number}")
        if life is None or number % IMAGES_OF_A_LIFE == 0:
            home = folder / f"life-{number}"
            life = record_life(home, random)
            shutil.rmtree(home)
        try:
            found = look(life, folder / "image", random, decode=number % DECODED_EVERY == 0)
        except av.FFmpegError as error:
            found = f"a file does not play: {error}"
        if found is not None:
            wrong.append(f"image {number} of seed {seed}: {found}")
        report(number + 1)
    return wrong
