"""The bundle: one zip file, of which every byte is accounted for. Blocking.

Rules of this file:
- The manifest is the last file, and not compressed. It has the SHA-256 of each other file, and of all bytes before
  itself.
- A bundle is read only if it is, byte for byte, laid out as it is written here: so no byte of it can change unnoticed.
  `zipfile` ignores some bytes of a zip, which are compared here.
- A bundle may come from anybody: only known names are accepted, and sizes are bounded before anything is unpacked.
"""

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
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, LargeZipFile, ZipFile, ZipInfo

import msgspec

from ...domain import words

FORMAT = 1
"""Layout of the bundle. A newer one is refused, an older one is read."""
MANIFEST, CONFIGURATION, HEALTH, STDERR, SEALED, REPORT = (
    "manifest.json",
    "configuration.json",
    "health.json",
    "stderr.txt",
    "sealed.jsonl",
    "report.html",
)
JOURNAL = "journal"
MAX_BYTES = 1024**3
"""Of all files together, unpacked."""
MAX_MANIFEST = 256 * 1024
MAX_FILES = 256
CHUNK = 256 * 1024
_SEGMENT = re.compile(rf"{JOURNAL}/segment-\d{{10,19}}\.sqlite")
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
    body: str
    """SHA-256 of all bytes of the bundle before the manifest."""
    files: tuple[BundledFile, ...]

    @property
    def journal_files(self) -> list[BundledFile]:
        return [held for held in self.files if held.name.startswith(f"{JOURNAL}/")]


MakeManifest = Callable[[str, tuple[BundledFile, ...]], Manifest]
"""Makes the manifest of the digest of the body and the files, once they are known."""


def _described(name: str, method: int) -> ZipInfo:
    """A file as it is in each bundle. `zipfile` gives it the version and the date."""
    info = ZipInfo(name)
    info.compress_type, info.create_system, info.external_attr = method, _UNIX, _MODE
    return info


def _directory(found: Sequence[ZipInfo], begin: int) -> bytes:
    """The end of a zip with these files as `write` leaves it, from the directory on."""
    central = b""
    for info in found:
        method, name = ZIP_STORED if info is found[-1] else ZIP_DEFLATED, info.filename.encode()
        sizes = (info.CRC, info.compress_size, info.file_size, len(name))
        fixed = (b"PK\1\2", _VERSION, _UNIX, _VERSION, 0, 0, method, 0, _DATE)
        central += _CENTRAL.pack(*fixed, *sizes, 0, 0, 0, 0, _MODE, info.header_offset) + name
    return central + _END.pack(b"PK\5\6", 0, 0, len(found), len(found), len(central), begin, 0)


def fingerprint(manifest: bytes) -> str:
    """The digest of a bundle: SHA-256 of its manifest, in hex."""
    return hashlib.sha256(manifest).hexdigest()


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────


def write(path: Path, contents: Mapping[str, bytes | Path], make: MakeManifest) -> str:
    """Write a bundle with these files, given as bytes or paths; returns its digest. Raises `OSError`."""
    with open(path, "w+b") as file:
        with ZipFile(file, "w") as archive:
            held = tuple(_pack(archive, name, contents[name]) for name in sorted(contents))
            described = make(_digest(file, 0, file.tell()), held)
            manifest = msgspec.json.format(msgspec.json.encode(described), indent=2)
            archive.writestr(_described(MANIFEST, ZIP_STORED), manifest)
        file.flush()
        os.fsync(file.fileno())
    return fingerprint(manifest)


def _pack(archive: ZipFile, name: str, content: bytes | Path) -> BundledFile:
    """Append a file, packed."""
    digest, size = hashlib.sha256(), 0
    with (
        io.BytesIO(content) if isinstance(content, bytes) else open(content, "rb") as source,
        archive.open(_described(name, ZIP_DEFLATED), "w") as packed,
    ):
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            size += packed.write(chunk)
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

    def check(self) -> None:
        """Read every byte. Raises `Damaged` with the file in which one was changed."""
        *packed, manifest = self._zip.infolist()
        for info, held in zip(packed, self.manifest.files, strict=True):
            digest = hashlib.sha256()
            for chunk in self._unpack(info):
                digest.update(chunk)
            if digest.hexdigest() != held.sha256:
                raise Damaged(f"{info.filename}: not what was written: its SHA-256 does not fit")
        if _digest(self._file, 0, manifest.header_offset) != self.manifest.body:
            raise Damaged("the packed data was packed again: its SHA-256 does not match")

    def file_digest(self) -> str:
        """SHA-256 of the whole file."""
        return _digest(self._file, 0, os.fstat(self._file.fileno()).st_size)

    def unpack_to(self, folder: Path) -> None:
        """Write all files below `folder`, which is there and empty."""
        (folder / JOURNAL).mkdir()
        for info in self._zip.infolist():
            with open(folder / info.filename, "xb") as file:
                file.writelines(self._unpack(info))

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
        if not (name in _NAMES or _SEGMENT.fullmatch(name)):
            raise Damaged(f"{name!r} is not a file of a bundle")
    if names != [*sorted(set(names[:-1])), MANIFEST] or not set(names) >= _NAMES or len(names) > MAX_FILES:
        raise Damaged("the list of files at its end is not that of a bundle")
    if found[-1].file_size > MAX_MANIFEST or sum(info.file_size for info in found) > MAX_BYTES:
        raise Damaged(f"it would be larger than {words.size(MAX_BYTES)}, the limit of a bundle")


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
    stored = found[-1].compress_size == found[-1].file_size
    if not stored or length - position > MAX_MANIFEST or file.read() != _directory(found, position):
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
