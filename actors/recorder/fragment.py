"""The fragments of a recording file: up to a second of media, with its place in the world and a checksum. Pure.

Rules of this file:
- A fragment is a box `uuid`, then `moof` and `mdat`. It is the unit of writing, and of loss.
- The checksum covers the place, too: a fragment that passes it is whole, and is where it says.
- Media times count from the beginning of the file. Where that is in the world is the wall time of each fragment.

Source: ISO/IEC 14496-12, section 8.8; the box `uuid` is our own.
"""

import struct
import zlib
from collections.abc import Sequence
from uuid import UUID

import attrs

from actors.media.audio import samples_of
from actors.media.bitstream import BitstreamError
from actors.media.media import CLOCK_RATE, AccessUnit, AudioFrame

from .boxes import HEADER, U32, box, full_box
from .initialization import AUDIO_TRACK, VIDEO_TRACK

KIND = UUID("62616e6b-656e-4672-a167-6d656e740001").bytes
"""The type of our box."""
PLACE = struct.Struct(">I4s16sBxxB8sIQIII")
"""The box `uuid`: size, type, our type, version, flags; recording, number, wall time, duration, bytes, checksum."""
VERSION = 1
BEGINS_WITH_KEY = 1
MAX_FRAGMENT = 96 * 1024 * 1024
"""Bytes of one fragment: more than a hub keeps of one camera."""
_SYNC, _DEPENDS = 0x02000000, 0x01010000
_SAMPLE = struct.Struct(">IIIi")
"""A row of `trun`: duration, bytes, flags, composition offset."""
_RUN, _BASE_IS_MOOF = 0xF01, 0x20000


@attrs.frozen
class FragmentPlace:
    """Where a fragment is in its recording, and in the world."""

    recording: str
    """The id of the recording: 16 hexadecimal digits."""
    number: int
    """In the recording, from 0."""
    wall_ns: int
    """When its first access unit arrived, in nanoseconds since 1970."""
    duration: int
    """In 1/90000 s."""
    key: bool
    """Whether it begins with a key frame."""


def encode_fragment(
    recording: str,
    number: int,
    wall_ns: int,
    origin: int,
    units: Sequence[AccessUnit],
    until: int,
    audio: Sequence[AudioFrame] = (),
) -> bytes:
    """Return the bytes of a fragment.

    Args:
        wall_ns: when the first access unit arrived, in nanoseconds since 1970.
        origin: the decode time of the file's first access unit, in 1/90000 s of the hub's clock.
        units: at least one, in the order of their decode times.
        until: the decode time of the access unit that follows, or when the last one ends.
        audio: frames of one format, from `origin` on.
    """
    samples, payload = list[bytes](), list[bytes]()
    ends = [*(unit.dts for unit in units[1:]), until]
    for unit, end in zip(units, ends, strict=True):
        size = unit.size + 4 * len(unit.units)
        samples.append(_SAMPLE.pack(end - unit.dts, size, _SYNC if unit.key else _DEPENDS, unit.pts - unit.dts))
        for nal in unit.units:
            payload += (U32.pack(len(nal)), nal)
    heard = _audio_samples(audio)
    moof_size = HEADER + 16 + _traf_size(samples) + _traf_size(heard)
    data_at = moof_size + HEADER
    boxes = [box(b"mfhd", bytes(4), U32.pack(number + 1)), _traf(VIDEO_TRACK, units[0].dts - origin, samples, data_at)]
    if audio:
        data_at += sum(map(len, payload))
        begin = max(0, audio[0].pts - origin) * audio[0].format.rate // CLOCK_RATE
        boxes.append(_traf(AUDIO_TRACK, begin, heard, data_at))
        payload += (frame.data for frame in audio)
    media = HEADER + sum(map(len, payload))
    parts = [box(b"moof", *boxes), U32.pack(media), b"mdat", *payload]
    flags = BEGINS_WITH_KEY if units[0].key else 0
    head = PLACE.pack(
        PLACE.size, b"uuid", KIND, VERSION, flags, bytes.fromhex(recording), number, wall_ns, until - units[0].dts,
        moof_size + media, 0,
    )[:-4]  # fmt: skip
    checksum = zlib.crc32(head)
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return b"".join((head, U32.pack(checksum), *parts))  # the only copy of the media: each one costs as much as the CRC


def _audio_samples(audio: Sequence[AudioFrame]) -> list[bytes]:
    """The samples of the audio track. A frame lasts until the next one if frames between them are missing."""
    if not audio:
        return []
    rate = audio[0].format.rate
    found = []
    for frame, following in zip(audio, [*audio[1:], None], strict=True):
        duration = samples_of(frame.format, frame.data)
        if following is not None:
            apart = (following.pts - frame.pts) * rate // CLOCK_RATE
            if abs(apart - duration) > duration // 2:
                duration = max(1, apart)
        found.append(_SAMPLE.pack(duration, len(frame.data), _SYNC, 0))
    return found


def _traf_size(samples: Sequence[bytes]) -> int:
    return HEADER + 16 + 20 + 20 + _SAMPLE.size * len(samples) if samples else 0


def _traf(track: int, begin: int, samples: Sequence[bytes], data_at: int) -> bytes:
    """A track's part of a fragment, from `begin` in the track's own time; its data begin `data_at` after the `moof`."""
    return box(
        b"traf",
        full_box(b"tfhd", 0, _BASE_IS_MOOF, U32.pack(track)),
        full_box(b"tfdt", 1, 0, struct.pack(">Q", begin)),
        full_box(b"trun", 1, _RUN, struct.pack(">II", len(samples), data_at), *samples),
    )


def decode_place(data: bytes) -> tuple[FragmentPlace, int, int]:
    """Return the place in a `uuid` box, the bytes behind the box that belong to it, and the checksum.

    Raises `BitstreamError` for anything else, and for a version that a newer banken wrote.
    """
    if len(data) < PLACE.size:
        raise BitstreamError("it ends within the head of a fragment")
    size, kind, of, version, flags, recording, number, wall_ns, duration, length, crc = PLACE.unpack(data[: PLACE.size])
    if (size, kind, of) != (PLACE.size, b"uuid", KIND):
        raise BitstreamError("no fragment begins here")
    if version != VERSION:
        raise BitstreamError(f"a fragment of version {version}; this banken knows {VERSION}")
    if length > MAX_FRAGMENT:
        raise BitstreamError(f"a fragment of {length} bytes, above the limit of {MAX_FRAGMENT}")
    return FragmentPlace(recording.hex(), number, wall_ns, duration, bool(flags & BEGINS_WITH_KEY)), length, crc
