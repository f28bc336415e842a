"""The cutter: what it makes is what libav reads, and nothing is lost between files."""

import io
from collections.abc import Iterable
from typing import Any

import attrs
import av
import pytest

from actors.media.bitstream import split_annexb
from actors.media.h264 import H264
from actors.media.h265 import H265
from actors.media.hub import Hub
from actors.media.media import CLOCK_RATE, AccessUnit, AudioFormat, AudioFrame, VideoCodec
from actors.recorder.cutter import LONGEST, Cutter, Fragment, NewFile
from actors.recorder.recording_file import end_file, walk
from supervisor.base.clock import SystemClock
from tests.kit.media import FPS, aac_frames, access_units, coded

TICK = CLOCK_RATE // FPS
RECORDING = "0123456789abcdef"
START_NS = 1_800_000_000_000_000_000
AAC = AudioFormat("aac", 48_000, 2, b"\x11\x90")


def through_hub(pictures: Iterable[tuple[int, int, bytes]], codec: VideoCodec, fps: int) -> list[AccessUnit]:
    """Access units as a hub makes them, from presentation time, decode time, and Annex B."""
    hub = Hub(SystemClock())
    hub.begin()
    ticks, made = CLOCK_RATE // fps, list[AccessUnit]()
    for shown, decoded, data in pictures:
        hub.publish(tuple(split_annexb(data)), shown * ticks, codec, decoded * ticks)
        made += hub.units.read_nowait(hub.units.end - 1, 1)
    return made


def units(count: int, first: int = 0, size: int = 64) -> list[AccessUnit]:
    """H.264 with a key frame every two seconds, ten access units a second."""
    nals = access_units(size, size)
    return [
        AccessUnit(H264, nals[index % 40], index * TICK, index % 20 == 0, sum(map(len, nals[index % 40])), index * TICK)
        for index in range(first, first + count)
    ]


def wall_ns(unit: AccessUnit) -> int:
    return START_NS + unit.dts * 1_000_000_000 // CLOCK_RATE


def files_of(
    given: Iterable[AccessUnit], cutter: Cutter, audio: AudioFormat | None = None
) -> list[tuple[bytes, list[Fragment]]]:
    """The files that the cutter makes: their bytes, and their fragments."""
    files: list[tuple[bytes, list[Fragment]]] = []
    made = [out for unit in given for out in cutter.take(unit, wall_ns(unit), audio)] + [*cutter.end()]
    for out in made:
        if isinstance(out, NewFile):
            files.append((out.data, []))
        else:
            data, fragments = files[-1]
            files[-1] = (data + out.data, [*fragments, out])
    return files


def frames_of(data: bytes, kind: str = "video") -> list[Any]:
    """The frames that a decoder makes of a file."""
    with av.open(io.BytesIO(data), "r") as container:
        return [*container.decode(**{kind: 0})]


def demuxed(data: bytes, kind: str = "video") -> list[Any]:
    with av.open(io.BytesIO(data), "r") as container:
        (stream,) = [stream for stream in container.streams if stream.type == kind]
        return [packet for packet in container.demux(stream) if packet.size]


@pytest.mark.parametrize(("encoder", "codec"), [("libx264", H264), ("libx265", H265)])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_libav_reads_what_was_recorded(encoder: str, codec: VideoCodec, b_frames: int) -> None:
    """The same NAL units, times and key frames; and the pictures are decoded in order."""
    given = through_hub(coded(encoder, 128, 96, 60, 10, b_frames), codec, 10)
    ((data, _),) = files_of(given, Cutter("gate", RECORDING))
    packets = demuxed(data)
    origin = given[0].dts
    assert [(p.pts, p.dts, p.duration, p.is_keyframe) for p in packets] == [
        (unit.pts - origin, unit.dts - origin, TICK, unit.key) for unit in given
    ]
    assert [bytes(packet) for packet in packets] == [
        b"".join(len(nal).to_bytes(4) + nal for nal in unit.units) for unit in given
    ]
    frames = frames_of(data)
    assert (frames[0].width, frames[0].height) == (128, 96)
    times = [frame.pts for frame in frames if frame.pts is not None]
    assert len(times) == 60
    assert times == sorted(times)


def test_fragment_lasts_a_second_and_ends_before_a_key_frame() -> None:
    """A loss is at most one of them."""
    ((_, fragments),) = files_of(units(45), Cutter("gate", RECORDING))
    assert [fragment.key for fragment in fragments] == [True, False, True, False, True]
    assert [fragment.duration for fragment in fragments] == [CLOCK_RATE] * 4 + [CLOCK_RATE // 2]
    assert [fragment.wall_ns for fragment in fragments] == [START_NS + index * 10**9 for index in range(5)]


def test_file_ends_after_a_minute_and_nothing_is_lost() -> None:
    """The next one begins with a key frame, and its times begin at 0."""
    given = units(200)
    files = files_of(given, Cutter("gate", RECORDING, file_s=5))
    assert [len(demuxed(data)) for data, _ in files] == [60, 60, 60, 20]
    assert [demuxed(data)[0].dts for data, _ in files] == [0] * 4
    assert [fragment.number for _, fragments in files for fragment in fragments] == [*range(20)]


def test_other_parameter_sets_begin_a_file() -> None:
    """A decoder of one file never meets another size."""
    given = units(20) + units(20, first=20, size=96)
    files = files_of(given, Cutter("gate", RECORDING))
    sizes = []
    for data, _ in files:
        with av.open(io.BytesIO(data), "r") as container:
            sizes.append((container.streams.video[0].width, len(demuxed(data))))
    assert sizes == [(64, 20), (96, 20)]


def test_file_without_a_second_key_frame_ends_after_an_hour() -> None:
    """The next one waits for a key frame: what is between them cannot be decoded."""
    first, second = units(2)
    late = [attrs.evolve(second, dts=at, pts=at) for at in (LONGEST - 1, LONGEST, LONGEST + TICK)]
    again = attrs.evolve(first, dts=LONGEST + 9 * TICK, pts=LONGEST + 9 * TICK)
    files = files_of([first, second, *late, again], Cutter("gate", RECORDING))
    assert [sum(fragment.duration for fragment in fragments) for _, fragments in files] == [LONGEST, TICK]


def test_audio_is_beside_its_video() -> None:
    """AAC as the camera sends it; frames from before the file are left out."""
    cutter, frames = Cutter("gate", RECORDING), aac_frames(4)
    made, heard = list[NewFile | Fragment](), 0
    cutter.hear(AudioFrame(AAC, frames[0], -5000))
    for unit in units(40):
        while heard < len(frames) and heard * 1024 * CLOCK_RATE // 48_000 <= unit.pts:
            cutter.hear(AudioFrame(AAC, frames[heard], heard * 1024 * CLOCK_RATE // 48_000))
            heard += 1
        made += cutter.take(unit, wall_ns(unit), AAC)
    made += cutter.end()
    data = b"".join(out.data for out in made)
    packets = demuxed(data, "audio")
    assert [bytes(packet) for packet in packets] == list(frames[:heard])
    assert [packet.pts for packet in packets][:3] == [0, 1024, 2048]
    assert all(abs((packet.pts or 0) - 1024 * index) <= 1 for index, packet in enumerate(packets))
    assert sum(frame.samples for frame in frames_of(data, "audio")) >= 1024 * (heard - 1)


def test_written_fragments_are_found_again() -> None:
    """The walk finds the camera, the fragments and their times; a sealed file says so."""
    ((data, fragments),) = files_of(units(45), Cutter("gate", RECORDING))
    found = walk(io.BytesIO(data))
    assert found.about is not None
    assert (found.about.camera, found.about.recording, found.damage, found.is_sealed) == ("gate", RECORDING, "", False)
    assert [
        (each.place.number, each.place.wall_ns, each.place.duration, each.place.key) for each in found.fragments
    ] == [(each.number, each.wall_ns, each.duration, each.key) for each in fragments]
    sealed = data + end_file(found.fragments)
    again = walk(io.BytesIO(sealed))
    assert (again.is_sealed, again.damage, again.whole) == (True, "", len(data))
    assert len(demuxed(sealed)) == 45


@pytest.mark.parametrize(("fps", "gop_s", "bitrate"), [(30, 2, 2_500_000), (25, 1, 4_000_000), (10, 5, 300_000)])
def test_file_costs_169_bytes_a_second_and_16_a_frame(fps: int, gop_s: int, bitrate: int) -> None:
    """Beyond the same video in Annex B, without audio: the figures of `ops/docs/recordings.md`."""
    cutter, sets = Cutter("front", "0" * 16), [nal for nal in access_units()[0] if H264.nal_type(nal) in (7, 8)]
    video = written = 0
    for number in range(600 * fps):
        key, dts = number % (gop_s * fps) == 0, number * CLOCK_RATE // fps
        units = (*(sets if key else ()), bytes([0x65 if key else 0x41]) + bytes(bitrate // 8 // fps - 1))
        size = sum(map(len, units))
        video += size + 4 * len(units)
        unit = AccessUnit(H264, units, dts, key, size, dts, 0, 1)
        written += sum(len(step.data) for step in cutter.take(unit, dts * 10**9 // CLOCK_RATE))
    written += sum(len(step.data) for step in cutter.end())
    assert written - video == pytest.approx(600 * (169 + 16 * fps), rel=0.01)
