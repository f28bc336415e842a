"""The stream of all benchmarks: a file, its access units, and their RTP packets."""

import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import attrs
import av
from av.filter import Graph

from actors.media.bitstream import split_prefixed
from actors.media.h264 import IDR, nal_type, parse_avcc

SEI = 6
WIDTH, HEIGHT, FPS, BITRATE, KEY_EVERY, SECONDS = 1280, 720, 30, 2_500_000, 60, 10
CLOCK_RATE = 90_000
PAYLOAD_TYPE = 96
PAYLOAD = 1200
"""Payload bytes in one packet, as in WebRTC: with all headers below 1280, the smallest MTU of IPv6."""
DESCRIPTION = f"{HEIGHT}p{FPS} H.264, {BITRATE / 1e6:g} Mbit/s, a key frame every {KEY_EVERY / FPS:g} s"

_HEADER = struct.Struct("!BBHII")
_STAMP = b"banken bench was"
_STAMP_AT = 24
"""Byte of a packet's payload at which a stamp begins: behind the slice header, which servers may read."""


@attrs.frozen
class Picture:
    """One access unit: its NAL units without start codes, and the payloads of its RTP packets."""

    units: tuple[bytes, ...]
    payloads: tuple[bytes, ...]
    leading: int
    """The number of payloads before the first slice: that one carries the stamp."""
    key: bool


def sample_file() -> Path:
    """Return an MP4 file of `SECONDS` that can be looped; created once, in about 2 s, in the temporary folder."""
    path = Path(tempfile.gettempdir(), f"banken-bench-{os.getuid()}", f"{HEIGHT}p{FPS}-1.mp4")
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}.mp4")
        _encode(fresh)
        fresh.rename(path)
    return path


def read_pictures(path: Path) -> tuple[Picture, ...]:
    """Return the file's access units; key frames begin with their parameter sets."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        length_size, sets = parse_avcc(stream.codec_context.extradata or b"")
        pictures = []
        for packet in container.demux(stream):
            if packet.size:
                units = tuple(unit for unit in split_prefixed(bytes(packet), length_size) if nal_type(unit) != SEI)
                before = sets if packet.is_keyframe else ()
                pictures.append(_picture((*before, *units)))
        return tuple(pictures)


def header(sequence: int, ticks: int, ssrc: int, last: bool) -> bytes:
    """Build an RTP header (RFC 3550, section 5.1)."""
    return _HEADER.pack(0x80, PAYLOAD_TYPE | last << 7, sequence & 0xFFFF, ticks & 0xFFFFFFFF, ssrc)


def stamped(payload: bytes, now_ns: int) -> bytes:
    """Overwrite a part of a slice with a time, in hexadecimal digits: no byte needs escaping.

    The stamp is in the slice, so it is sent when the slice is; a server may send an SEI earlier, or drop it. The slice
    cannot be decoded correctly any more, and nobody decodes it.
    """
    text = _STAMP + b"%016x" % now_ns
    return payload[:_STAMP_AT] + text + payload[_STAMP_AT + len(text) :]


def stamped_at(packet: bytes) -> int | None:
    """Return the time in a packet's stamp in nanoseconds; None without a stamp."""
    at = packet.find(_STAMP)
    return None if at < 0 else int(packet[at + len(_STAMP) : at + len(_STAMP) + 16], 16)


def packets(pictures: Sequence[Picture], index: int, sequence: int, ssrc: int, now_ns: int | None) -> list[bytes]:
    """Return the RTP packets of access unit `index` of the endless stream; the first has number `sequence`.

    `now_ns`, unless None, is stamped into the first packet with a slice; sizes stay the same.
    """
    picture = pictures[index % len(pictures)]
    payloads = list(picture.payloads)
    if now_ns is not None:
        payloads[picture.leading] = stamped(payloads[picture.leading], now_ns)
    ticks, last = index * CLOCK_RATE // FPS, len(payloads) - 1
    return [header(sequence + n, ticks, ssrc, n == last) + payload for n, payload in enumerate(payloads)]


def _picture(units: tuple[bytes, ...]) -> Picture:
    slices = next(index for index, unit in enumerate(units) if 1 <= nal_type(unit) <= IDR)
    payloads = tuple(payload for unit in units for payload in _fragments(unit))
    return Picture(units, payloads, slices, any(nal_type(unit) == IDR for unit in units))


def _fragments(unit: bytes) -> Iterator[bytes]:
    """Yield a NAL unit unchanged, or in FU-A fragments of equal size (RFC 6184, section 5.8)."""
    if len(unit) <= PAYLOAD:
        yield unit
        return
    indicator, kind, room = unit[0] & 0xE0 | 28, unit[0] & 0x1F, PAYLOAD - 2
    for at in range(1, len(unit), room):
        start, end = at == 1, at + room >= len(unit)
        yield bytes([indicator, start << 7 | end << 6 | kind]) + unit[at : at + room]


def _encode(path: Path) -> None:
    """Encode moving bars with noise: without it, the video would be too simple for the bit rate."""
    graph = Graph()
    source = graph.add("testsrc2", f"size={WIDTH}x{HEIGHT}:rate={FPS}")
    noise, layout, sink = graph.add("noise", "alls=12:allf=t"), graph.add("format", "yuv420p"), graph.add("buffersink")
    for before, after in ((source, noise), (noise, layout), (layout, sink)):
        before.link_to(after)
    graph.configure()
    rate = f"vbv-maxrate={BITRATE // 1000}:vbv-bufsize={BITRATE // 2000}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", BITRATE
        stream.options = {
            "preset": "ultrafast", "tune": "zerolatency", "profile": "baseline",
            "x264-params": f"keyint={KEY_EVERY}:min-keyint={KEY_EVERY}:scenecut=0:bframes=0:sliced-threads=0:{rate}",
        }  # fmt: skip
        for index in range(SECONDS * FPS):
            frame = graph.pull()
            assert isinstance(frame, av.VideoFrame)
            frame.pts, frame.time_base, frame.pict_type = index, Fraction(1, FPS), 0
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
