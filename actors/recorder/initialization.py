"""The beginning of a recording file: its tracks, and how they are decoded. Pure.

The parameter sets are in the sample entry, and also in front of each key frame, as cameras send them. So an Annex B
stream can be cut out of a file.

Sources: ISO/IEC 14496-12 (ISO base media files), sections 8.2 to 8.8; 14496-15 (H.264 and H.265 in them), sections
5.3.3 and 8.3.3; 14496-14 and 14496-1 (AAC in them), section 7.2.6; Opus in ISOBMFF, version 0.8.1.
"""

import struct
from collections.abc import Callable, Mapping, Sequence

import attrs

from actors.media.h264 import make_avcc
from actors.media.h265 import make_hvcc
from actors.media.media import CLOCK_RATE, AudioFormat, VideoCodec

from .boxes import U16, U32, box, full_box

VIDEO_TRACK, AUDIO_TRACK = 1, 2
ENTRIES: Mapping[str, tuple[bytes, bytes, Callable[[Sequence[bytes]], bytes]]] = {
    "h264": (b"avc1", b"avcC", make_avcc),
    "h265": (b"hvc1", b"hvcC", make_hvcc),
}
"""The codecs of video that can be recorded: their sample entry, and the box with their parameter sets."""
AUDIO = ("aac", "opus")
"""The codecs of audio that can be recorded."""
MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
UNDETERMINED = 0x55C4
"""The language code `und`."""
_PRE_SKIP = 312
"""Samples at 48 kHz that a decoder of Opus discards at its start: what encoders for RTP need."""


@attrs.frozen
class FileTracks:
    """The tracks of one recording file. A change of any of it begins another file."""

    codec: VideoCodec
    sets: tuple[bytes, ...]
    """The parameter sets, as NAL units."""
    width: int
    height: int
    """In pixels, after cropping."""
    audio: AudioFormat | None = None


def initialization(tracks: FileTracks) -> bytes:
    """Return the boxes `ftyp` and `moov`.

    Raises `KeyError` for codecs that are not recorded, and `BitstreamError` for parameter sets that cannot be read.
    """
    brand = ENTRIES[tracks.codec.name][0]
    file_type = box(b"ftyp", b"iso6", U32.pack(512), b"iso6", b"isom", b"mp41", brand)
    header = full_box(
        b"mvhd", 0, 0, struct.pack(">4I", 0, 0, 1000, 0), struct.pack(">IHxx8x", 0x10000, 0x100), MATRIX, bytes(24),
        U32.pack(AUDIO_TRACK + 1),
    )  # fmt: skip
    found = [_video(tracks)]
    numbers = [VIDEO_TRACK]
    if tracks.audio is not None:
        found.append(_audio(tracks.audio))
        numbers.append(AUDIO_TRACK)
    extends = [full_box(b"trex", 0, 0, struct.pack(">5I", number, 1, 0, 0, 0)) for number in numbers]
    return file_type + box(b"moov", header, *found, box(b"mvex", *extends))


def _video(tracks: FileTracks) -> bytes:
    entry, configuration, make = ENTRIES[tracks.codec.name]
    width, height = tracks.width, tracks.height
    sample = box(
        entry, bytes(6), b"\0\1", bytes(16), struct.pack(">HHIIIH", width, height, 0x480000, 0x480000, 0, 1), bytes(32),
        struct.pack(">Hh", 24, -1), box(configuration, make(tracks.sets)),
    )  # fmt: skip
    return _track(VIDEO_TRACK, CLOCK_RATE, b"vide", full_box(b"vmhd", 0, 1, bytes(8)), sample, (width, height))


def _audio(audio: AudioFormat) -> bytes:
    kind, configuration = {"aac": (b"mp4a", _esds), "opus": (b"Opus", _dops)}[audio.codec]
    fields = struct.pack(">HHII", audio.channels, 16, 0, min(audio.rate, 0xFFFF) << 16)
    sample = box(kind, bytes(6), b"\0\1", bytes(8), fields, configuration(audio))
    return _track(AUDIO_TRACK, audio.rate, b"soun", full_box(b"smhd", 0, 0, bytes(4)), sample, (0, 0))


def _track(number: int, rate: int, handler: bytes, media: bytes, sample: bytes, size: tuple[int, int]) -> bytes:
    """Return a `trak` without samples: they are in the fragments."""
    width, height = size
    header = full_box(
        b"tkhd", 0, 7, struct.pack(">5I", 0, 0, number, 0, 0), bytes(8),
        struct.pack(">4H", 0, 0, 0 if width else 0x100, 0), MATRIX, struct.pack(">II", width << 16, height << 16),
    )  # fmt: skip
    reference = box(b"dinf", full_box(b"dref", 0, 0, U32.pack(1), full_box(b"url ", 0, 1)))
    table = box(
        b"stbl",
        full_box(b"stsd", 0, 0, U32.pack(1), sample),
        full_box(b"stts", 0, 0, bytes(4)),
        full_box(b"stsc", 0, 0, bytes(4)),
        full_box(b"stsz", 0, 0, bytes(8)),
        full_box(b"stco", 0, 0, bytes(4)),
    )
    return box(
        b"trak",
        header,
        box(
            b"mdia",
            full_box(b"mdhd", 0, 0, struct.pack(">4IHH", 0, 0, rate, 0, UNDETERMINED, 0)),
            full_box(b"hdlr", 0, 0, bytes(4), handler, bytes(12), b"banken\0"),
            box(b"minf", media, reference, table),
        ),
    )


def _esds(audio: AudioFormat) -> bytes:
    """The descriptors of MPEG-4 audio. Each length fits into one byte: a configuration has some bytes."""
    specific = _descriptor(5, audio.config)
    decoder = _descriptor(4, b"\x40\x15" + bytes(11) + specific)
    return full_box(b"esds", 0, 0, _descriptor(3, U16.pack(AUDIO_TRACK) + b"\0" + decoder + _descriptor(6, b"\x02")))


def _descriptor(tag: int, content: bytes) -> bytes:
    return bytes((tag, len(content))) + content


def _dops(audio: AudioFormat) -> bytes:
    return box(b"dOps", struct.pack(">BBHIhB", 0, audio.channels, _PRE_SKIP, audio.rate, 0, 0))
