"""The bundle: one zip file, of which every byte is accounted for. Blocking.

Rules of this file:
- The manifest stands last and unpacked. It has the SHA-256 of each other file, and of all bytes before itself.
- A bundle is read only if it is, byte for byte, laid out as it is written here: so no byte of it can change unnoticed.
- What is read may come from anybody: names are those that we know, and sizes are bounded before anything is unpacked.
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

import attrs
import msgspec

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
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION, _UNIX, _DATE, _MODE = 20, 3 << 8, 0x21, 0o600 << 16
"""What a zip says of each file, the same for all: needs zip 2.0, made on Unix, on 1980-01-01, for its owner only."""
_STORED, _DEFLATED = 0, 8


class NoBundle(Exception):
    """This file is no bundle, or one that this release cannot read."""


class Damaged(Exception):
    """This bundle is not as it was written; the message says where."""


class Held(msgspec.Struct, frozen=True):
    """A file of the bundle."""

    name: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the bundle says of itself."""

    format: int
    banken: str
    """The release that made it."""
    exported: str
    node: str | None
    since: str = msgspec.field(name="from")
    until: str = msgspec.field(name="to")
    first: int
    last: int
    events: int
    batches: int
    previous: str
    """The end of the chain before the first event, in hex."""
    digest: str
    """The end of the chain after the last event, in hex."""
    camera: str | None
    note: str
    body: str
    """SHA-256 of all bytes of the bundle before the manifest."""
    files: tuple[Held, ...]

    @property
    def journal_files(self) -> list[Held]:
        return [held for held in self.files if held.name.startswith(f"{JOURNAL}/")]


MakeManifest = Callable[[str, tuple[Held, ...]], Manifest]
"""Makes the manifest of the digest of the body and the files, once they are known."""


@attrs.frozen
class Entry:
    """A file in the zip: where its packed bytes stand, and how many they are."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    """Of its header."""

    def local(self) -> bytes:
        name = self.name.encode()
        fixed = (_VERSION, 0, self.method, 0, _DATE, self.crc, self.packed, self.size, len(name), 0)
        return _LOCAL.pack(b"PK\3\4", *fixed) + name

    def central(self) -> bytes:
        name = self.name.encode()
        fixed = (_VERSION | _UNIX, _VERSION, 0, self.method, 0, _DATE, self.crc, self.packed, self.size, len(name))
        return _CENTRAL.pack(b"PK\1\2", *fixed, 0, 0, 0, 0, _MODE, self.offset) + name

    @property
    def data(self) -> int:
        """Where its bytes begin."""
        return self.offset + _LOCAL.size + len(self.name.encode())


def _directory(entries: Sequence[Entry]) -> bytes:
    """The end of a zip with these files."""
    central = b"".join(entry.central() for entry in entries)
    begin = entries[-1].data + entries[-1].packed
    return central + _END.pack(b"PK\5\6", 0, 0, len(entries), len(entries), len(central), begin, 0)


def fingerprint(manifest: bytes) -> str:
    """The digest of a bundle: SHA-256 of its manifest, in hex."""
    return hashlib.sha256(manifest).hexdigest()


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────


def write(path: Path, contents: Mapping[str, bytes | Path], make: MakeManifest) -> str:
    """Write a bundle with these files, which are bytes or stand on the disk; returns its digest. Raises `OSError`."""
    with open(path, "w+b") as file:
        entries, held = [], []
        for name in sorted(contents):
            entry, described = _pack(file, name, contents[name])
            entries.append(entry)
            held.append(described)
        offset = file.tell()
        manifest = msgspec.json.format(msgspec.json.encode(make(_digest(file, 0, offset), tuple(held))), indent=2)
        last = Entry(MANIFEST, _STORED, zlib.crc32(manifest), len(manifest), len(manifest), offset)
        file.seek(offset)
        file.write(last.local() + manifest + _directory([*entries, last]))
        file.flush()
        os.fsync(file.fileno())
    return fingerprint(manifest)


def _pack(file: IO[bytes], name: str, content: bytes | Path) -> tuple[Entry, Held]:
    """Append a file, packed."""
    offset = file.tell()
    file.write(Entry(name, _DEFLATED, 0, 0, 0, offset).local())
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    digest, crc, packed, size = hashlib.sha256(), 0, 0, 0
    with io.BytesIO(content) if isinstance(content, bytes) else open(content, "rb") as source:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            crc, size = zlib.crc32(chunk, crc), size + len(chunk)
            packed += file.write(packer.compress(chunk))
    packed += file.write(packer.flush())
    entry = Entry(name, _DEFLATED, crc, packed, size, offset)
    file.seek(offset)
    file.write(entry.local())
    file.seek(0, os.SEEK_END)
    return entry, Held(name, size, digest.hexdigest())


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
            self._entries = _entries(self._file)
            raw = b"".join(self._unpack(self._entries[-1]))
            self.fingerprint = fingerprint(raw)
            self.manifest = _manifest(raw)
            self._check_layout()
        except BaseException:
            self._file.close()
            raise

    def _check_layout(self) -> None:
        described = [(held.name, held.bytes) for held in self.manifest.files]
        found = [(entry.name, entry.size) for entry in self._entries[:-1]]
        for one, other in zip_longest(described, found):
            if one != other:
                raise Damaged(f"{(one or other or ('',))[0]}: the manifest and the zip name other files or sizes")

    def check(self) -> None:
        """Read every byte. Raises `Damaged` with the file in which one is not as it was."""
        for entry, held in zip(self._entries, self.manifest.files, strict=False):
            digest = hashlib.sha256()
            for chunk in self._unpack(entry):
                digest.update(chunk)
            if digest.hexdigest() != held.sha256:
                raise Damaged(f"{entry.name}: not what was written: its SHA-256 does not fit")
        if _digest(self._file, 0, self._entries[-1].offset) != self.manifest.body:
            raise Damaged("what is packed was packed anew: its SHA-256 does not fit")

    def file_digest(self) -> str:
        """SHA-256 of the whole file."""
        return _digest(self._file, 0, os.fstat(self._file.fileno()).st_size)

    def unpack_to(self, folder: Path) -> None:
        """Write all files below `folder`, which is there and empty."""
        (folder / JOURNAL).mkdir()
        for entry in self._entries:
            with open(folder / entry.name, "xb") as file:
                file.writelines(self._unpack(entry))

    def _unpack(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of a file: exactly as many as were told, and with the checksum that was told."""
        left, size, crc = entry.packed, 0, 0
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        self._file.seek(entry.data)
        while left:
            chunk = self._file.read(min(CHUNK, left))
            left -= len(chunk)
            while chunk:
                if entry.method == _STORED:
                    part, chunk = chunk, b""
                else:
                    try:
                        part = unpacker.decompress(chunk, CHUNK)
                    except zlib.error:
                        raise Damaged(f"{entry.name}: it cannot be unpacked") from None
                    chunk = unpacker.unconsumed_tail
                    if unpacker.unused_data:
                        raise Damaged(f"{entry.name}: there is something behind its end")
                size, crc = size + len(part), zlib.crc32(part, crc)
                if size > entry.size:
                    raise Damaged(f"{entry.name}: it is larger than was told")
                yield part
        rest = unpacker.flush() if entry.method != _STORED else b""
        size, crc = size + len(rest), zlib.crc32(rest, crc)
        yield rest
        if size != entry.size or crc != entry.crc:
            raise Damaged(f"{entry.name}: not what was written: its checksum does not fit")

    def close(self) -> None:
        self._file.close()


def _entries(file: IO[bytes]) -> list[Entry]:
    """What the zip holds, the manifest last. Every byte that is not of a file's content is as we write it."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    ours = file.read(_LOCAL.size + len(CONFIGURATION)).endswith(CONFIGURATION.encode())
    tail = _tail(file, length)
    if MANIFEST.encode() not in tail and not ours:
        raise NoBundle("this is no bundle of banken")
    try:
        entries = _read_directory(tail, length)
    except (struct.error, IndexError, UnicodeDecodeError):
        raise Damaged("the list of files at its end cannot be read") from None
    position = 0
    for entry in entries:
        file.seek(position)
        header = entry.local()
        if entry.offset != position or file.read(len(header)) != header:
            raise Damaged(f"{entry.name}: its header is not as it was written")
        position = entry.data + entry.packed
    file.seek(position)
    if length - position > MAX_MANIFEST or file.read() != _directory(entries):
        raise Damaged("the list of files at its end is not as it was written")
    return entries


def _tail(file: IO[bytes], length: int) -> bytes:
    file.seek(max(0, length - MAX_MANIFEST))
    return file.read()


def _read_directory(tail: bytes, length: int) -> list[Entry]:
    """The files that the directory names. Raises `Damaged` for what we never write."""
    _, _, _, _, count, size, begin, _ = _END.unpack(tail[-_END.size :])
    if begin + size + _END.size != length or not 2 <= count <= MAX_FILES or size > len(tail) - _END.size:
        raise Damaged("the list of files at its end is not as it was written")
    place = len(tail) - _END.size - size
    entries = []
    for _ in range(count):
        fields = _CENTRAL.unpack_from(tail, place)
        method, crc, packed, full, named, offset = fields[4], *fields[7:11], fields[16]
        name = tail[place + _CENTRAL.size : place + _CENTRAL.size + named].decode("ascii")
        entries.append(Entry(name, method, crc, packed, full, offset))
        place += _CENTRAL.size + named
    names = [entry.name for entry in entries]
    for entry in entries[:-1]:
        if entry.method != _DEFLATED or not (entry.name in _NAMES or _SEGMENT.fullmatch(entry.name)):
            raise Damaged(f"{entry.name!r} is no file of a bundle")
    if names != [*sorted(set(names[:-1])), MANIFEST] or entries[-1].method != _STORED or not set(names) >= _NAMES:
        raise Damaged("the list of files at its end is not that of a bundle")
    if entries[-1].size > MAX_MANIFEST or sum(entry.size for entry in entries) > MAX_BYTES:
        raise Damaged(f"it would be larger than {MAX_BYTES // 1024**2} MB, the most that a bundle holds")
    return entries


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
