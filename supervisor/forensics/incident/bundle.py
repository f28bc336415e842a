"""The bundle: one zip file, of which every byte is accounted for. Blocking.

Rules of this file:
- The manifest is the last file, and not compressed. It has the SHA-256 of each other file, and of all bytes before
  itself.
- A bundle is read only if it is, byte for byte, laid out as it is written here: so no byte of it can change unnoticed.
  `zipfile` ignores some bytes of a zip, which are compared here.
- A bundle may come from anybody: only known names are accepted, and sizes are bounded before anything is unpacked.
"""

import errno
import hashlib
import io
import os
import re
import stat
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, LargeZipFile, ZipFile, ZipInfo

import attrs
import msgspec

from ...domain import words

FORMAT = 2
"""Layout of the bundle, 1 without video. A newer one is refused, an older one is read."""
MANIFEST, CONFIGURATION, HEALTH, STDERR, SEALED, REPORT = (
    "manifest.json",
    "configuration.json",
    "health.json",
    "stderr.txt",
    "sealed.jsonl",
    "report.html",
)
JOURNAL, VIDEO = "journal", "video"
MAX_BYTES = 1024**3
"""Of all files but video together, unpacked."""
MAX_VIDEO = 1536 * 1024**2
"""Of all video together. It is not packed, so that the whole stays below the 2 GiB of a plain zip."""
MAX_MANIFEST = 1024 * 1024
MAX_FILES = 2048
CHUNK = 256 * 1024
_SEGMENT = re.compile(rf"{JOURNAL}/segment-\d{{10,19}}\.sqlite")
_VIDEO_FILE = re.compile(rf"{VIDEO}/[a-z0-9][a-z0-9_-]{{0,62}}/recording_\d{{8}}_\d{{6}}(_\d{{1,3}})?\.mp4", re.ASCII)
_NAMES = frozenset({CONFIGURATION, HEALTH, STDERR, SEALED, REPORT})
_CENTRAL, _END, _LOCATOR = struct.Struct("<4s4B4H3L5H2L"), struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL")
"""Of a zip: a file in the directory at its end; the last record; that of zip64 in front of it, which no bundle has."""
_VERSION, _DATE, _MODE, _UNIX = 20, 0x21, 0o600 << 16, 3
"""The metadata of each file, the same for all: needs zip 2.0, of 1980-01-01, for its owner only, made on Unix."""


class NoBundle(Exception):
    """The file is not a bundle, or is one that this release cannot read."""


class Damaged(Exception):
    """The bundle was changed; the message says where."""


class BundledFile(msgspec.Struct, frozen=True):
    """A file of the bundle."""

    name: str
    bytes: int
    sha256: str


class VideoScope(msgspec.Struct, frozen=True):
    """The video that was asked for."""

    cameras: tuple[str, ...]
    since: str = msgspec.field(name="from")
    until: str = msgspec.field(name="to")


@attrs.frozen
class Beginning:
    """The first bytes of a file, which may be growing."""

    path: Path
    bytes: int


Content = bytes | Path | Beginning


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle's description of itself."""

    format: int
    banken: str
    """The release that made it."""
    exported: str
    node: str | None
    since: str = msgspec.field(name="from")
    until: str = msgspec.field(name="to")
    first: int
    last: int
    """The events in the bundle: whole batches."""
    asked: tuple[int, int] | None = None
    """The first and the last of those that were asked for, which the report is about. None in bundles of 0.1.0."""
    events: int
    batches: int
    previous: str
    """The end of the chain before the first event, in hex."""
    digest: str
    """The end of the chain after the last event, in hex."""
    camera: str | None
    note: str
    anonymous: dict[str, int] | None = None
    """How many names of each kind were replaced; None if the bundle has them. Older ones have no such field."""
    video: VideoScope | None = None
    body: str
    """SHA-256 of all bytes of the bundle before the manifest."""
    files: tuple[BundledFile, ...]

    @property
    def journal_files(self) -> list[BundledFile]:
        return [held for held in self.files if held.name.startswith(f"{JOURNAL}/")]

    @property
    def video_files(self) -> list[BundledFile]:
        return [held for held in self.files if _is_video(held.name)]


MakeManifest = Callable[[str, tuple[BundledFile, ...]], Manifest]
"""Makes the manifest of the digest of the body and the files, once they are known."""


def _is_video(name: str) -> bool:
    return name.startswith(f"{VIDEO}/")


def _method(name: str) -> int:
    """How a file is packed: video would not become smaller."""
    return ZIP_STORED if name == MANIFEST or _is_video(name) else ZIP_DEFLATED


def _described(name: str) -> ZipInfo:
    """A file as it is in each bundle. `zipfile` gives it the version and the date."""
    info = ZipInfo(name)
    info.compress_type, info.create_system, info.external_attr = _method(name), _UNIX, _MODE
    return info


def _directory(found: Sequence[ZipInfo], begin: int) -> bytes:
    """The end of a zip with these files as `write` leaves it, from the directory on."""
    central = b""
    for info in found:
        method, name = _method(info.filename), info.filename.encode()
        sizes = (info.CRC, info.compress_size, info.file_size, len(name))
        fixed = (b"PK\1\2", _VERSION, _UNIX, _VERSION, 0, 0, method, 0, _DATE)
        central += _CENTRAL.pack(*fixed, *sizes, 0, 0, 0, 0, _MODE, info.header_offset) + name
    return central + _END.pack(b"PK\5\6", 0, 0, len(found), len(found), len(central), begin, 0)


def fingerprint(manifest: bytes) -> str:
    """The digest of a bundle: SHA-256 of its manifest, in hex."""
    return hashlib.sha256(manifest).hexdigest()


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────


def write(
    path: Path,
    contents: Mapping[str, Content],
    make: MakeManifest,
    progress: Callable[[int], None] = lambda video: None,
) -> str:
    """Write a bundle with these files; returns its digest. `progress` is called with the bytes of video written.

    Raises `OSError`.
    """
    done = 0
    with open(path, "w+b") as file:
        with ZipFile(file, "w") as archive:
            held = []
            for name in sorted(contents):
                held.append(_pack(archive, name, contents[name]))
                if _is_video(name):
                    progress(done := done + held[-1].bytes)
            described = make(_digest(file, 0, file.tell()), tuple(held))
            manifest = msgspec.json.format(msgspec.json.encode(described), indent=2)
            archive.writestr(_described(MANIFEST), manifest)
        file.flush()
        os.fsync(file.fileno())
    return fingerprint(manifest)


def _pack(archive: ZipFile, name: str, content: Content) -> BundledFile:
    """Append a file, packed. Raises `OSError`, also if a file has become shorter."""
    digest, size = hashlib.sha256(), 0
    path = content.path if isinstance(content, Beginning) else content
    left = content.bytes if isinstance(content, Beginning) else MAX_BYTES
    with (
        io.BytesIO(path) if isinstance(path, bytes) else open(path, "rb") as source,
        archive.open(_described(name), "w") as packed,
    ):
        while chunk := source.read(min(CHUNK, left - size)):
            digest.update(chunk)
            size += packed.write(chunk)
    if isinstance(content, Beginning) and size < content.bytes:
        raise OSError(errno.EIO, f"{content.path} has become shorter; try again")
    return BundledFile(name, size, digest.hexdigest())


def _digest(file: IO[bytes], begin: int, end: int) -> str:
    """SHA-256 of the bytes from `begin` to `end`."""
    digest = hashlib.sha256()
    file.seek(begin)
    while begin < end and (chunk := file.read(min(CHUNK, end - begin))):
        digest.update(chunk)
        begin += len(chunk)
    return digest.hexdigest()


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Bundle:
    """A bundle that is open for reading. Raises `NoBundle`, `Damaged`, and `OSError`.

    Once it is made, all of the zip but the packed bytes themselves has been looked at; `check` looks at these.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe is not waited for
        self._file = open(descriptor, "rb")  # noqa: SIM115 - held until `close`
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NoBundle("this is no file")
            self._zip = _opened(self._file)
            raw = b"".join(self._unpack(self._zip.infolist()[-1]))
            self.fingerprint = fingerprint(raw)
            self.manifest = _manifest(raw)
            self._check_layout()
        except BaseException:
            self._file.close()
            raise

    def _check_layout(self) -> None:
        described = [(held.name, held.bytes) for held in self.manifest.files]
        found = [(info.filename, info.file_size) for info in self._zip.infolist()[:-1]]
        for one, other in zip_longest(described, found):
            if one != other:
                raise Damaged(f"{(one or other or ('',))[0]}: the manifest and the zip name other files or sizes")

    def check(self, progress: Callable[[int], None] = lambda video: None) -> None:
        """Read every byte. Raises `Damaged` with the file in which one was changed.

        `progress` is called with the bytes of video read.
        """
        done = 0
        *packed, manifest = self._zip.infolist()
        for info, held in zip(packed, self.manifest.files, strict=True):
            digest = hashlib.sha256()
            for chunk in self._unpack(info):
                digest.update(chunk)
            if digest.hexdigest() != held.sha256:
                raise Damaged(f"{info.filename}: not what was written: its SHA-256 does not fit")
            if _is_video(info.filename):
                progress(done := done + info.file_size)
        if _digest(self._file, 0, manifest.header_offset) != self.manifest.body:
            raise Damaged("the packed data was packed again: its SHA-256 does not match")

    def file_digest(self) -> str:
        """SHA-256 of the whole file."""
        return _digest(self._file, 0, os.fstat(self._file.fileno()).st_size)

    def unpack_to(self, folder: Path, *, video: bool = True) -> None:
        """Write all files, or all but video, below `folder`, which is there and empty."""
        (folder / JOURNAL).mkdir()
        for info in self._zip.infolist():
            if _is_video(info.filename):
                if not video:
                    continue
                (folder / info.filename).parent.mkdir(parents=True, exist_ok=True)
            with open(folder / info.filename, "xb") as file:
                file.writelines(self._unpack(info))

    def open_video(self, name: str) -> BinaryIO:
        """A file of video, as it is in the bundle; valid until `close`."""
        info = self._zip.getinfo(name)
        begin = info.header_offset + len(info.FileHeader(zip64=False))
        return io.BufferedReader(FilePart(self._file.fileno(), begin, info.file_size))

    def _unpack(self, info: ZipInfo) -> Iterator[bytes]:
        """The bytes of a file: at most as many as declared, and with the declared checksum."""
        try:
            with self._zip.open(info) as packed:
                while chunk := packed.read(CHUNK):
                    yield chunk
        except (BadZipFile, EOFError, zlib.error):
            raise Damaged(f"{info.filename}: not what was written: it cannot be unpacked") from None

    def close(self) -> None:
        self._file.close()


class FilePart(io.RawIOBase):
    """A part of an open file, as a separate file."""

    def __init__(self, descriptor: int, begin: int, size: int) -> None:
        self._descriptor, self._begin, self._size, self._at = descriptor, begin, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self._size - self._at))
        data = os.pread(self._descriptor, count, self._begin + self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _opened(file: IO[bytes]) -> ZipFile:
    """The zip, with the manifest last. Every byte outside the files' content is as we write it."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    ours = CONFIGURATION.encode() in file.read(64)
    file.seek(max(0, length - MAX_MANIFEST))
    tail = file.read()
    if MANIFEST.encode() not in tail and not ours:
        raise NoBundle("this is not a bundle of banken")
    try:
        _check_end(tail)
        archive = ZipFile(file)
        _check_names(archive.infolist())
        _check_bytes(file, archive.infolist(), length)
    except (struct.error, BadZipFile, LargeZipFile, NotImplementedError, UnicodeDecodeError):
        raise Damaged("the list of files at its end cannot be read") from None
    return archive


def _check_end(tail: bytes) -> None:
    """Raise `Damaged` unless `zipfile` finds the directory by the last record, and reads no more than its limit."""
    signature, _, _, _, _, size, _, comment = _END.unpack(tail[-_END.size :])
    zip64 = tail[-_END.size - _LOCATOR.size :].startswith(b"PK\6\7")
    if signature != b"PK\5\6" or size > MAX_MANIFEST or comment or zip64:
        raise Damaged("the list of files at its end is not as it was written")


def _check_names(found: Sequence[ZipInfo]) -> None:
    """Raise `Damaged` for files that no bundle has, and for sizes above the limits."""
    names = [info.filename for info in found]
    for name in names[:-1]:
        if not (name in _NAMES or _SEGMENT.fullmatch(name) or _VIDEO_FILE.fullmatch(name)):
            raise Damaged(f"{name!r} is not a file of a bundle")
    if names != [*sorted(set(names[:-1])), MANIFEST] or not set(names) >= _NAMES or len(names) > MAX_FILES:
        raise Damaged("the list of files at its end is not that of a bundle")
    video = sum(info.file_size for info in found if _is_video(info.filename))
    if found[-1].file_size > MAX_MANIFEST or sum(info.file_size for info in found) - video > MAX_BYTES:
        raise Damaged(f"it would be larger than {words.size(MAX_BYTES)}, the limit of a bundle")
    if video > MAX_VIDEO:
        raise Damaged(f"its video is larger than {words.size(MAX_VIDEO)}, the limit of a bundle")


def _check_bytes(file: IO[bytes], found: Sequence[ZipInfo], length: int) -> None:
    """Raise `Damaged` unless headers and directory are, byte for byte, those that `write` makes for these files."""
    position = 0
    for info in found:
        header = info.FileHeader(zip64=False)
        file.seek(position)
        if info.header_offset != position or file.read(len(header)) != header:
            raise Damaged(f"{info.filename}: its header is not as it was written")
        position += len(header) + info.compress_size
    file.seek(position)
    stored = (info for info in found if _method(info.filename) == ZIP_STORED)
    is_longer = any(info.compress_size != info.file_size for info in stored)
    if is_longer or length - position > MAX_MANIFEST or file.read() != _directory(found, position):
        raise Damaged("the list of files at its end is not as it was written")


def _manifest(raw: bytes) -> Manifest:
    try:
        version = msgspec.json.decode(raw, type=_Format).format
        if version > FORMAT:
            raise NoBundle(f"it has format {version}, written by a newer banken; this one reads up to {FORMAT}")
        return msgspec.json.decode(raw, type=Manifest)
    except msgspec.MsgspecError as error:
        raise Damaged(f"{MANIFEST}: it cannot be read: {error}") from None


class _Format(msgspec.Struct, frozen=True):
    format: int
