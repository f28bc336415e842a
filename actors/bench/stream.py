"""The stream that everything is measured with: a file, its pictures, and their RTP packets."""

import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import attrs
import av
from av.filter import Graph

from ..bitstream import split_prefixed
from ..h264 import IDR, nal_type, parse_avcc

SEI = 6
WIDTH, HEIGHT, FPS, BITRATE, KEY_EVERY, SECONDS = 1280, 720, 30, 2_500_000, 60, 10
CLOCK_RATE = 90_000
PAYLOAD_TYPE = 96
PAYLOAD = 1200
"""Bytes of payload in one packet, as WebRTC sends them: with every header below 1280, IPv6's smallest MTU."""
DESCRIPTION = f"{HEIGHT}p{FPS} H.264, {BITRATE / 1e6:g} Mbit/s, a key frame every {KEY_EVERY / FPS:g} s"

_HEADER = struct.Struct("!BBHII")
_STAMP = b"banken bench was"
"""Sixteen bytes, as the UUID in front of user data."""


@attrs.frozen
class Picture:
    """One access unit: its NAL units, without start codes, and as the payloads of its RTP packets."""

    units: tuple[bytes, ...]
    payloads: tuple[bytes, ...]
    leading: int
    """How many payloads stand before the first slice: where a stamp belongs."""
    key: bool


def sample_file() -> Path:
    """An MP4 file of `SECONDS` that can be looped; made once, in about two seconds, and kept for temporary use."""
    path = Path(tempfile.gettempdir(), f"banken-bench-{os.getuid()}", f"{HEIGHT}p{FPS}-1.mp4")
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}.mp4")
        _encode(fresh)
        fresh.rename(path)
    return path


def read_pictures(path: Path) -> tuple[Picture, ...]:
    """The file's pictures; key frames have their parameter sets in front."""
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
    """An RTP header (RFC 3550, section 5.1)."""
    return _HEADER.pack(0x80, PAYLOAD_TYPE | last << 7, sequence & 0xFFFF, ticks & 0xFFFFFFFF, ssrc)


def stamp(now_ns: int) -> bytes:
    """A NAL unit of user data (H.264, D.1.7) that says when; in hexadecimal digits, so that no byte needs escaping."""
    return b"\x06\x05\x20" + _STAMP + b"%016x" % now_ns + b"\x80"


def stamped_at(packet: bytes) -> int | None:
    """What a packet's stamp says, if it has one."""
    at = packet.find(_STAMP)
    return None if at < 0 else int(packet[at + len(_STAMP) : at + len(_STAMP) + 16], 16)


def packets(pictures: Sequence[Picture], index: int, sequence: int, ssrc: int, now_ns: int | None) -> list[bytes]:
    """The RTP packets of picture `index` of the endless stream, the first with this sequence number; with a time, it is
    stamped, which takes one small packet more."""
    picture = pictures[index % len(pictures)]
    stamps = [] if now_ns is None else [stamp(now_ns)]
    payloads = [*picture.payloads[: picture.leading], *stamps, *picture.payloads[picture.leading :]]
    ticks, last = index * CLOCK_RATE // FPS, len(payloads) - 1
    return [header(sequence + n, ticks, ssrc, n == last) + payload for n, payload in enumerate(payloads)]


def _picture(units: tuple[bytes, ...]) -> Picture:
    slices = next(index for index, unit in enumerate(units) if 1 <= nal_type(unit) <= IDR)
    payloads = tuple(payload for unit in units for payload in _fragments(unit))
    return Picture(units, payloads, slices, any(nal_type(unit) == IDR for unit in units))


def _fragments(unit: bytes) -> Iterator[bytes]:
    """A NAL unit as it is, or in FU-A pieces of equal size (RFC 6184, section 5.8)."""
    if len(unit) <= PAYLOAD:
        yield unit
        return
    indicator, kind, room = unit[0] & 0xE0 | 28, unit[0] & 0x1F, PAYLOAD - 2
    for at in range(1, len(unit), room):
        start, end = at == 1, at + room >= len(unit)
        yield bytes([indicator, start << 7 | end << 6 | kind]) + unit[at : at + room]


def _encode(path: Path) -> None:
    """Moving bars under noise: without it, nothing this simple would need the bit rate."""
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
