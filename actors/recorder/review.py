"""Answers from the recordings of a daemon: stretches, clips, and pictures of the past.

Rules of this file:
- Nothing of it runs in the writer's thread. Two other threads read, and nobody waits longer for a disk than `ANSWER_S`.
- A clip holds its files open while it is read: retention may remove them meanwhile. Together, `MOST_OPEN` are open.
- A descriptor is closed by the loop, or by the thread that reads it: never by one while the other uses it.
- A clip is remembered for some minutes, so that the many ranges of a player are of one clip.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import attrs
import trio

from actors.media.bitstream import BitstreamError, split_annexb
from actors.media.decoder.client import Decodes
from actors.media.decoder.queue import Undecodable
from actors.media.h264 import H264
from actors.media.h265 import H265
from actors.media.hub import Still
from supervisor.base.threads import run_in_thread
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId
from supervisor.ports.footage import ClipKind, ClipRefused, FootageStretch, NoFootage
from supervisor.ports.viewing import Jpeg

from .clip import (
    NOTHING,
    Clip,
    ClipFile,
    ClipFragment,
    Slice,
    audio_rate,
    first_sample,
    make_annexb,
    make_clip,
    to_annexb,
)
from .footage import Footage, FootageFile, is_path, open_archives
from .fragment import BEGINS_WITH_KEY, KIND, MAX_FRAGMENT, PLACE, VERSION
from .playlist import moved, playlist
from .recording_file import read_beginning

ANSWER_S = 30.0
CHUNK = 1024 * 1024
"""Bytes that are read at once."""
MOOF = 2048
"""Bytes of a fragment that are read at first: usually it has fewer in front of its data."""
MOST_OPEN = 2048
MOST_KEPT, MOST_KEPT_BYTES, KEPT_S = 16, 32 * 1024 * 1024, 600.0
LOOK_BACK_NS = 3600 * 10**9
"""No picture is older than this before the time that was asked for."""
CODECS = {"h264": H264, "h265": H265}
SILENT = "the disk of the recordings does not answer"
Result = TypeVar("Result")


def clip_files(footage: Footage, camera: str, from_ns: int, to_ns: int) -> list[ClipFile]:
    """The files that a clip needs, as `Footage.files` finds them, each read once. Raises `OSError`. Blocking.

    A file that cannot be read, or that is removed meanwhile, is left out.
    """
    found = list[ClipFile]()
    for path in footage.paths(camera, from_ns, to_ns):
        with suppress(BitstreamError, FileNotFoundError), footage.open(path) as file:
            about, initialization, at = read_beginning(file)
            fragments = _clip_fragments(file.fileno(), at, bytes.fromhex(about.recording), from_ns, to_ns)
            if fragments:
                found.append(ClipFile(path, about.recording, initialization, fragments))
    return found


def _clip_fragments(descriptor: int, at: int, recording: bytes, from_ns: int, to_ns: int) -> list[ClipFragment]:
    """The fragments from the last key frame at or before `from_ns` on, up to the first that is not whole.

    An hour has 3,600: each is one read, and one tuple.
    """
    end, following, found = os.fstat(descriptor).st_size, -1, list[ClipFragment]()
    while at + PLACE.size < end:
        head = os.pread(descriptor, PLACE.size + MOOF, at)
        if len(head) <= PLACE.size:
            break
        _, kind, of, version, flags, own, number, wall_ns, duration, length, _ = PLACE.unpack_from(head)
        if (kind, of, version, own) != (b"uuid", KIND, VERSION, recording) or following not in (-1, number):
            break
        offset, following = at + PLACE.size, number + 1
        at = offset + length
        if at > end or wall_ns >= to_ns:
            break
        key, moof = bool(flags & BEGINS_WITH_KEY), head[PLACE.size :]
        size = int.from_bytes(moof[:4])
        if len(moof) < size <= length:
            moof = os.pread(descriptor, size, offset)
        if key and wall_ns <= from_ns:
            found.clear()
        found.append(ClipFragment(wall_ns, duration, key, offset, length, moof))
    return found


def read_clip(footage: Footage, camera: str, from_ns: int, to_ns: int, kind: ClipKind) -> Clip:
    """Make a clip. Raises `ClipRefused`, and `OSError`. Blocking."""
    try:
        files = clip_files(footage, camera, from_ns, to_ns)
        return make_clip(files, from_ns, to_ns) if kind == "mp4" else make_annexb(files, from_ns)
    except BitstreamError as error:
        raise ClipRefused(f"a recording file is damaged: {error}") from None


class OpenFiles:
    """The files of a clip, which are open. `read` is for threads, the others for the loop."""

    def __init__(self, clip: Clip, files: dict[int, BinaryIO], closed: Callable[[int], None]) -> None:
        """`closed` is called with the number of files when they are closed, in any thread."""
        self._clip, self._files, self._closed = clip, files, closed
        self._reading, self._is_ended = threading.Lock(), False

    def read(self, begin: int, end: int) -> bytes:
        """The bytes of the clip from `begin` up to `end`. Raises `OSError`. Blocking."""
        try:
            with self._reading:
                return b"".join(self._part(part) for part in self._clip.parts(begin, end))
        finally:
            if self._is_ended:
                self._close()

    def read_annexb(self, number: int) -> bytes:
        """The video of one slice as Annex B. Raises `OSError`. Blocking."""
        try:
            with self._reading:
                return bytes(to_annexb(self._part(self._clip.slices[number])))
        except BitstreamError as error:
            raise OSError(str(error)) from None
        finally:
            if self._is_ended:
                self._close()

    def _part(self, part: bytes | Slice) -> bytes:
        if isinstance(part, bytes):
            return part
        if self._is_ended:
            raise OSError("the clip was closed")
        data = os.pread(self._files[part.file].fileno(), part.size, part.offset)
        if len(data) < part.size:
            raise OSError(f"{self._clip.paths[part.file]} became shorter")
        return data

    def close(self) -> None:
        """Close the files; if a thread reads them, it closes them behind."""
        self._is_ended = True
        self._close()

    def _close(self) -> None:
        if self._reading.acquire(blocking=False):
            try:
                count = len(self._files)
                for file in self._files.values():
                    file.close()
                self._files.clear()
                if count:
                    self._closed(count)
            finally:
                self._reading.release()


def open_files(footage: Footage, clip: Clip, begin: int, end: int, closed: Callable[[int], None]) -> OpenFiles:
    """Open the files that a range of a clip is made of. Raises `NoFootage` for one that was removed. Blocking."""
    files = dict[int, BinaryIO]()
    try:
        for number in clip.files(begin, end):
            files[number] = footage.open(clip.paths[number])
    except FileNotFoundError:
        for file in files.values():
            file.close()
        raise NoFootage("a file of this time has been removed meanwhile") from None
    except BaseException:
        for file in files.values():
            file.close()
        raise
    return OpenFiles(clip, files, closed)


class FootageThreads:
    """The threads that read footage, and the files that they have open."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._threads = trio.CapacityLimiter(2)
        self._lock = threading.Lock()
        self._open = 0

    async def run(self, work: Callable[[], Result]) -> Result:
        """Call it in a thread. Raises its errors, and `Rejected` (503) for a disk that does not answer."""
        with trio.move_on_after(ANSWER_S):
            return await run_in_thread(work, limiter=self._threads, abandon="a disk may not answer")
        raise Rejected(Refusal.UNAVAILABLE, SILENT, ANSWER_S)

    async def ask(self, question: Callable[[Footage], Result]) -> Result:
        """Answer a question about the archive. Raises as `run`; for an archive that does not exist, `NoFootage`."""

        def work() -> Result:
            try:
                footage = open_archives(self._folders)
            except FileNotFoundError:
                raise NoFootage(NOTHING) from None
            with closing(footage):
                return question(footage)

        return await self.run(work)

    def take(self, count: int) -> None:
        """Count files that will be open. Raises `Rejected` (503) if there are too many."""
        with self._lock:
            if self._open + count > MOST_OPEN:
                raise Rejected(Refusal.UNAVAILABLE, "too many recording files are open for other clips", 5.0)
            self._open += count

    def give_back(self, count: int) -> None:
        with self._lock:
            self._open -= count


@attrs.frozen
class ReadClip:
    """A clip of an archive. `ClipPort`."""

    clip: Clip
    reading: FootageThreads

    @property
    def size(self) -> int:
        return self.clip.size

    @property
    def tag(self) -> str:
        return self.clip.tag

    @property
    def codec(self) -> str:
        return self.clip.codec

    @property
    def duration_s(self) -> float:
        return self.clip.duration_s

    async def open(self, begin: int, end: int) -> "ReadBytes":
        count = len(self.clip.files(begin, end))
        self.reading.take(count)
        opened = False
        try:
            work = partial(open_files, clip=self.clip, begin=begin, end=end, closed=self.reading.give_back)
            files = await self.reading.ask(work)
            opened = True
        finally:
            if not opened:
                self.reading.give_back(count)
        return ReadBytes(self.clip, files, self.reading, begin, end)


@attrs.frozen
class ReadBytes:
    """Bytes of a clip. `ClipBytes`."""

    clip: Clip
    files: OpenFiles
    reading: FootageThreads
    begin: int
    end: int

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        if self.clip.is_annexb:
            for number in range(len(self.clip.slices)):
                yield await self.reading.run(partial(self.files.read_annexb, number))
            return
        for at in range(self.begin, self.end, CHUNK):
            yield await self.reading.run(partial(self.files.read, at, min(at + CHUNK, self.end)))

    def close(self) -> None:
        self.files.close()


class Review:
    """The footage of an archive. `FootagePort`. Made once by the registry."""

    def __init__(self, folders: Sequence[Path], decoder: Decodes, knows: Callable[[CameraId], bool]) -> None:
        """`knows`: whether the configuration has a camera."""
        self._reading, self._decoder, self._knows = FootageThreads(folders), decoder, knows
        self._kept: OrderedDict[tuple[str, int, int, str], tuple[float, Clip]] = OrderedDict()

    async def stretches(self, camera: CameraId, from_ns: int, to_ns: int) -> Sequence[FootageStretch]:
        self._require(camera)
        try:
            return await self._reading.ask(lambda footage: footage.stretches(camera, from_ns, to_ns))
        except NoFootage:
            return ()

    async def clip(
        self, camera: CameraId, from_ns: int, to_ns: int, kind: ClipKind, *, again: bool = False
    ) -> ReadClip:
        self._require(camera)
        key = (camera, from_ns, to_ns, kind)
        made_at, clip = self._kept.get(key, (0.0, None))
        if clip is None or not again or trio.current_time() > made_at + KEPT_S:
            clip = await self._reading.ask(lambda footage: read_clip(footage, camera, from_ns, to_ns, kind))
            self._keep(key, clip)
        return ReadClip(clip, self._reading)

    def _keep(self, key: tuple[str, int, int, str], clip: Clip) -> None:
        self._kept[key] = trio.current_time(), clip
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_KEPT or (
            len(self._kept) > 1 and sum(kept.weight for _, kept in self._kept.values()) > MOST_KEPT_BYTES
        ):
            self._kept.popitem(last=False)

    async def playlist(self, camera: CameraId, from_ns: int, to_ns: int) -> str:
        self._require(camera)
        return await self._reading.ask(lambda footage: read_playlist(footage, camera, from_ns, to_ns))

    async def beginning(self, camera: CameraId, path: str) -> bytes:
        return await self._part(camera, path, read_initialization)

    async def segment(self, camera: CameraId, path: str, offset: int, size: int, shift: int) -> bytes:
        if size > MAX_FRAGMENT:
            raise NoFootage(f"there is no such part of {path!r}")
        return await self._part(camera, path, partial(read_segment, offset=offset, size=size, shift=shift))

    async def _part(self, camera: CameraId, path: str, read: Callable[[BinaryIO], bytes]) -> bytes:
        """Read a part of a recording file. Raises `NoFootage`."""
        self._require(camera)

        def work(footage: Footage) -> bytes:
            with footage.open(f"{camera}/{path}") as file:
                return read(file)

        try:
            if is_path(path):
                return await self._reading.ask(work)
        except BitstreamError as error:
            raise NoFootage(f"there is no such part of {path!r}: {error}") from None
        except FileNotFoundError:
            pass
        raise NoFootage(f"there is no recording file {path!r}, or not any more")

    async def picture(self, camera: CameraId, at_ns: int) -> Jpeg:
        self._require(camera)
        still = await self._reading.ask(lambda footage: read_still(footage, camera, at_ns))
        try:
            return Jpeg(await self._decoder.jpeg(camera, still), still.wall_ns, 0.0)
        except Undecodable as error:
            raise Rejected(Refusal.UNAVAILABLE, f"the picture cannot be decoded: {error}", error.retry_s) from None

    def _require(self, camera: CameraId) -> None:
        if not self._knows(camera):
            raise Rejected(Refusal.UNKNOWN, f"there is no camera {camera!r}")


def read_playlist(footage: Footage, camera: str, from_ns: int, to_ns: int) -> str:
    """The HLS playlist of a time. Raises `NoFootage`, and `OSError`. Blocking: a day has 86,400 fragments."""
    files = [*footage.files(camera, from_ns, to_ns)]
    if not files:
        raise NoFootage(NOTHING)
    return playlist(files, from_ns, to_ns)


def read_initialization(file: BinaryIO) -> bytes:
    """`ftyp` and `moov` of a file. Raises `BitstreamError`, and `OSError`. Blocking."""
    return read_beginning(file)[1]


def read_segment(file: BinaryIO, offset: int, size: int, shift: int) -> bytes:
    """Fragments of a file, as `moved` makes them. Raises `BitstreamError`, and `OSError`. Blocking."""
    rate = audio_rate(read_initialization(file))
    return moved(os.pread(file.fileno(), size, offset), shift, rate)


def read_still(footage: Footage, camera: str, at_ns: int) -> Still:
    """The key frame at or before a time. Raises `ClipRefused`, and `OSError`. Blocking."""
    for back_ns in (0, LOOK_BACK_NS):
        files = [*footage.files(camera, at_ns - back_ns, at_ns + 1)]
        if files:
            return _still_of(footage, files[-1], at_ns)
    raise NoFootage("nothing is recorded of the hour before this time")


def _still_of(footage: Footage, file: FootageFile, at_ns: int) -> Still:
    stored = [each for each in file.fragments if each.place.key and each.place.wall_ns <= at_ns][-1:]
    if not stored:
        raise NoFootage(NOTHING)
    with footage.open(file.path) as opened:
        moof = os.pread(opened.fileno(), MOOF, stored[0].offset + PLACE.size)
        try:
            offset, size = first_sample(moof)
            if size > stored[0].size:
                raise BitstreamError("a picture that is longer than its fragment")
            data = os.pread(opened.fileno(), size, stored[0].offset + PLACE.size + offset)
            units = split_annexb(bytes(to_annexb(data)))
        except BitstreamError as error:
            raise ClipRefused(f"a recording file is damaged: {error}") from None
    return Still(CODECS[file.about.codec], tuple(units), stored[0].place.wall_ns, 0, 0)
