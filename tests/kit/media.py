"""Small real H.264, H.265 and AAC, and the containers it comes in."""

import random
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import cache
from itertools import chain, islice, pairwise
from typing import Any

import av
import av.filter

from actors.media.bitstream import split_annexb
from actors.media.h264 import IDR, PPS, SPS, nal_type
from actors.media.h265 import PPS as PPS265
from actors.media.h265 import SPS as SPS265
from actors.media.h265 import VPS
from actors.media.hub import Hub
from actors.media.media import AccessUnit, VideoCodec
from actors.media.payload import packetize
from actors.media.subscription import Subscription
from actors.sources.test import KEY_EVERY_S

FPS = 10


class Card:
    """Draws and encodes one picture after the other, as `test:` does. Blocking."""

    def __init__(self, width: int, height: int, fps: int) -> None:
        graph = av.filter.Graph()
        graph.link_nodes(
            graph.add("testsrc2", f"size={width}x{height}:rate={fps}"),
            graph.add("hue", "h=0:s=0.6"),
            graph.add("format", "pix_fmts=yuv420p"),
            graph.add("buffersink"),
        ).configure()
        self._graph = graph
        encoder = av.CodecContext.create("libx264", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.framerate, encoder.time_base = Fraction(fps), Fraction(1, fps)
        encoder.gop_size = KEY_EVERY_S * fps
        encoder.thread_count = 1
        encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "crf": "26"}
        self._encoder = encoder

    def next(self) -> bytes:
        """The next picture as an Annex B access unit, parameter sets in front of every key frame."""
        frame = self._graph.pull()
        assert isinstance(frame, av.VideoFrame)
        frame.pict_type = av.video.frame.PictureType.NONE
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))


def make_broken_packetizer(made: int) -> Callable[[VideoCodec, tuple[bytes, ...]], Iterator[bytes]]:
    """Return a packetizer with a bug: it raises `ZeroDivisionError` after `made` payloads."""

    def packetize_some(codec: VideoCodec, nals: tuple[bytes, ...]) -> Iterator[bytes]:
        yield from islice(packetize(codec, nals), made)
        raise ZeroDivisionError("a bug")

    return packetize_some


@cache
def access_units(width: int = 64, height: int = 64, count: int = 41, fps: int = FPS) -> tuple[tuple[bytes, ...], ...]:
    """The NAL units of `count` pictures: a key frame, with its parameter sets, every two seconds."""
    card = Card(width, height, fps)
    return tuple(tuple(split_annexb(card.next())) for _ in range(count))


def without_sets(units: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(unit for unit in units if nal_type(unit) not in (SPS, PPS))


def flv(width: int = 64, height: int = 64, count: int = 41, *, b_frames: bool = False) -> Iterator[bytes]:
    """An FLV stream as ffmpeg writes it: header, decoder configuration, then one tag for each picture.

    With `b_frames`, the composition offsets are those of pictures that are presented in the order 0 2 3 1 5 6 4 …
    """
    pictures = access_units(width, height, count)
    sps = next(unit for unit in pictures[0] if nal_type(unit) == SPS)
    pps = next(unit for unit in pictures[0] if nal_type(unit) == PPS)
    yield b"FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00"
    record = b"\x01" + sps[1:4] + b"\xff\xe1" + len(sps).to_bytes(2) + sps + b"\x01" + len(pps).to_bytes(2) + pps
    yield video_tag(0, b"\x17\x00\x00\x00\x00" + record)
    for index, units in enumerate(pictures):
        sample = b"".join(len(unit).to_bytes(4) + unit for unit in without_sets(units))
        key = any(nal_type(unit) == IDR for unit in units)
        offset = (0 if not b_frames else 100 if index == 0 else 300 if index % 3 == 1 else 0).to_bytes(3)
        yield video_tag(index * 1000 // FPS, (b"\x17" if key else b"\x27") + b"\x01" + offset + sample)


def video_tag(time_ms: int, body: bytes) -> bytes:
    return _tag(9, time_ms, body)


def audio_tag(time_ms: int, body: bytes) -> bytes:
    return _tag(8, time_ms, body)


def _tag(kind: int, time_ms: int, body: bytes) -> bytes:
    head = bytes([kind]) + len(body).to_bytes(3) + (time_ms & 0xFFFFFF).to_bytes(3) + bytes([time_ms >> 24]) + bytes(3)
    return head + body + (11 + len(body)).to_bytes(4)


async def follow(hub: Hub, place: Subscription) -> tuple[AccessUnit, int]:
    """Wait for the next access unit of a viewer; it comes with the time to show it."""
    while (following := place.take_nowait()) is None:
        await hub.units.wait_beyond(place.at)
    return following


AAC_CONFIG = b"\x11\x90"
"""AudioSpecificConfig: AAC-LC, 48 kHz, stereo."""


def flv_with_audio(seconds: int = 2) -> Iterator[bytes]:
    """As `flv`, with AAC between the pictures, as ffmpeg would time it: rounded to milliseconds."""
    head, configuration, *pictures = flv(count=seconds * FPS)
    frames = aac_frames(seconds)
    yield from (head, configuration, audio_tag(0, b"\xaf\x00" + AAC_CONFIG))
    tags = [(index * 1000 // FPS, tag) for index, tag in enumerate(pictures)]
    tags += [
        (round(index * 1024 / 48), audio_tag(round(index * 1024 / 48), b"\xaf\x01" + f))
        for index, f in enumerate(frames)
    ]
    yield from (tag for _, tag in sorted(tags, key=lambda timed: timed[0]))


@cache
def aac_frames(
    seconds: int = 2, rate: int = 48_000, frequency: int = 1000, silent_frames: int = 0
) -> tuple[bytes, ...]:
    """A tone, in raw frames of stereo AAC; so many of them are silent first."""
    encoder = av.CodecContext.create("aac", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.rate, encoder.layout, encoder.format = rate, "stereo", "fltp"
    sound: list[av.AudioFrame | None] = list(tone(seconds, rate, frequency))
    for frame in sound[:silent_frames]:
        assert frame is not None
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
    return tuple(bytes(packet) for frame in chain(sound, (None,)) for packet in encoder.encode(frame))


def tone(seconds: int, rate: int = 48_000, frequency: int = 1000) -> Iterator[av.AudioFrame]:
    """A tone, in frames of 1024 samples, stereo."""
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add("sine", f"frequency={frequency}:sample_rate={rate}:duration={seconds}:samples_per_frame=1024"),
        graph.add("aformat", "sample_fmts=fltp:channel_layouts=stereo"),
        graph.add("abuffersink"),
    ).configure()
    with suppress(EOFError):
        while True:
            frame = graph.pull()
            assert isinstance(frame, av.AudioFrame)
            yield frame


def decode(codec: str, packets: Iterable[bytes], config: bytes = b"") -> list[av.AudioFrame]:
    """Decode packets; `config` is the AudioSpecificConfig of AAC."""
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    if config:
        decoder.extradata = config
    else:
        decoder.sample_rate, decoder.layout = 48_000, "stereo"
    return [frame for packet in packets for frame in decoder.decode(av.Packet(packet))]


def samples_in(frames: Iterable[av.AudioFrame]) -> "array[float]":
    """The samples of the first channel, from -1 to 1."""
    samples = array("f")
    for frame in frames:
        step = 1 if frame.format.is_planar else frame.layout.nb_channels
        whole = frame.format.name.startswith("s16")
        values = array("h" if whole else "f", bytes(frame.planes[0]))[: frame.samples * step : step]
        samples.extend(value / 32768 for value in values) if whole else samples.extend(values)
    return samples


def pitch(frames: Sequence[av.AudioFrame]) -> float:
    """The frequency of a pure tone in Hz: how often its first channel crosses zero upwards."""
    samples = samples_in(frames)
    rises = [at for at, (one, two) in enumerate(pairwise(samples)) if one < 0 <= two]
    return (len(rises) - 1) * frames[0].sample_rate / (rises[-1] - rises[0])


def flv_of_h265(count: int = 3) -> Iterator[bytes]:
    """H.265 as ffmpeg writes it since 6.1: the enhanced header; the second picture with a composition offset."""
    pictures = h265_units(64, 64, count)
    yield b"FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00"
    yield video_tag(0, b"\x90hvc1" + hvcc(pictures[0]))
    for index, units in enumerate(pictures):
        sample = b"".join(len(unit).to_bytes(4) + unit for unit in units if unit[0] >> 1 not in (VPS, SPS265, PPS265))
        head = b"\xa1hvc1\x00\x00\x05" if index == 1 else b"\x93hvc1" if index == 0 else b"\xa3hvc1"
        yield video_tag(index * 1000 // FPS, head + sample)


def hvcc(units: Sequence[bytes]) -> bytes:
    """An HEVCDecoderConfigurationRecord with the parameter sets among `units`."""
    sets = [unit for unit in units if unit[0] >> 1 in (VPS, SPS265, PPS265)]
    arrays = b"".join(bytes([unit[0] >> 1, 0, 1]) + len(unit).to_bytes(2) + unit for unit in sets)
    return b"\x01" + bytes(20) + b"\x03" + bytes([len(sets)]) + arrays


@cache
def h265_units(width: int, height: int, count: int = 3) -> tuple[tuple[bytes, ...], ...]:
    """The NAL units of `count` pictures of H.265, the first a key frame with its parameter sets."""
    encoder = av.CodecContext.create("libx265", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(FPS), Fraction(1, FPS)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=none:pools=1"}
    packets = []
    for index in range(count):
        frame = av.VideoFrame(width, height, "yuv420p")
        frame.pts = index
        for plane in frame.planes:  # else it shows what was in memory, and is another picture each time
            plane.update(bytes([40 * (index + 1)]) * plane.buffer_size)
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return tuple(tuple(split_annexb(bytes(packet))) for packet in packets)


@cache
def jpegs(width: int = 64, height: int = 64, count: int = 3, busy: bool = False) -> tuple[bytes, ...]:
    """Pictures of an MJPEG camera: each is another one. `busy` ones have several kB, and the usual Huffman tables."""
    return tuple(_encoded("mjpeg", "yuvj420p", width, height, count, {"huffman": "default"} if busy else {}, busy))


@cache
def mpeg4_pictures(
    width: int = 64, height: int = 64, count: int = 3, group: int = 100, busy: bool = False
) -> tuple[bytes, ...]:
    """Pictures of MPEG-4 part 2: each `group` begins with an I-VOP with its configuration in front, then P-VOPs."""
    options = {"g": str(group), "sc_threshold": "1000000000"}
    return tuple(_encoded("mpeg4", "yuv420p", width, height, count, options, busy))


def _encoded(
    codec: str, pixels: str, width: int, height: int, count: int, options: dict[str, str], busy: bool = False
) -> Iterator[bytes]:
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, pixels
    encoder.framerate, encoder.time_base = Fraction(FPS), Fraction(1, FPS)
    encoder.options = options
    for index in range(count):
        frame = av.VideoFrame(width, height, pixels)
        frame.pts = index
        for number, plane in enumerate(frame.planes):
            grey = bytes([20 + 9 * index])
            noise = random.Random(index + 10 * number)
            plane.update(noise.randbytes(plane.buffer_size) if busy else grey * plane.buffer_size)
        yield from map(bytes, encoder.encode(frame))
    yield from map(bytes, encoder.encode(None))


@cache
def coded(
    encoder: str, width: int, height: int, count: int, fps: int, b_frames: int = 0
) -> tuple[tuple[int, int, bytes], ...]:
    """Pictures that become brighter, in the order of decoding: presentation and decode time in frames, and the bytes.

    The first is a key frame, and another one follows every two seconds.
    """
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, av.VideoCodecContext)
    pixels = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
    context.width, context.height, context.pix_fmt = width, height, pixels
    context.framerate, context.time_base = Fraction(fps), Fraction(1, fps)
    context.gop_size, context.thread_count = KEY_EVERY_S * fps, 1
    context.options = {
        "libx264": {
            "preset": "ultrafast",
            "bf": str(b_frames),
            "b-adapt": "0",
            "sc_threshold": "0",
            "rc-lookahead": "0",
        },
        "libx265": {
            "preset": "ultrafast",
            "x265-params": f"log-level=none:pools=1:bframes={b_frames}:b-adapt=0:scenecut=0:repeat-headers=1",
        },
        "mpeg4": {"sc_threshold": "1000000000"},
    }.get(encoder, {})
    packets: list[Any] = []
    for index in range(count):
        frame = av.VideoFrame(width, height, pixels)
        frame.pts = index
        for number, plane in enumerate(frame.planes):
            plane.update(bytes([128 if number else 16 + index * 220 // max(count, 1)]) * plane.buffer_size)
        packets += context.encode(frame)
    packets += context.encode(None)
    return tuple((packet.pts or 0, packet.dts or 0, bytes(packet)) for packet in packets)
