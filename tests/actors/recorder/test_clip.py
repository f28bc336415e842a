"""Clips: what is made of recording files is what players play, from the exact time on, in any split of ranges."""

import io
import json
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.media.bitstream import BitstreamError
from actors.media.h264 import H264
from actors.media.h265 import H265
from actors.media.media import CLOCK_RATE, AccessUnit, AudioFormat, AudioFrame, VideoCodec
from actors.recorder.clip import Clip, ClipFile, ClipFragment, Slice, make_annexb, make_clip, to_annexb
from actors.recorder.cutter import Cutter, NewFile
from actors.recorder.footage import FootageFile
from actors.recorder.fragment import PLACE
from actors.recorder.recording_file import walk
from supervisor.ports.footage import NoFootage, TracksDiffer
from tests.kit.media import aac_frames, coded

from .test_cutter import AAC, RECORDING, START_NS, TICK, files_of, frames_of, through_hub, units, wall_ns

SECOND = 1_000_000_000


def clip_file(name: str, data: bytes, from_ns: int = 0, to_ns: int = 2**62) -> ClipFile:
    """The file as a clip needs it."""
    walked = walk(io.BytesIO(data))
    assert walked.about is not None
    chosen = FootageFile("gate", name, walked.about, b"", walked.fragments, len(data)).playable(from_ns, to_ns)
    fragments = [
        ClipFragment(
            f.place.wall_ns, f.place.duration, f.place.key, f.offset + PLACE.size, f.size - PLACE.size,
            data[f.offset + PLACE.size : f.offset + f.size],
        )
        for f in chosen
    ]  # fmt: skip
    return ClipFile(name, walked.about.recording, data[: walked.begins_at], fragments)


@attrs.frozen
class Taken:
    """A clip, and the files that it is made of."""

    clip: Clip
    data: dict[str, bytes]

    def read(self, begin: int, end: int) -> bytes:
        parts = []
        for part in self.clip.parts(begin, end):
            if isinstance(part, Slice):
                file = self.data[self.clip.paths[part.file]]
                parts.append(file[part.offset : part.offset + part.size])
            else:
                parts.append(part)
        return b"".join(parts)

    @property
    def whole(self) -> bytes:
        return self.read(0, self.clip.size)


def take(recorded: Sequence[bytes], from_s: float = 0, to_s: float = 10_000) -> Taken:
    """The clip between two times, in seconds from the beginning of the first file."""
    origin_ns = walk(io.BytesIO(recorded[0])).fragments[0].place.wall_ns
    from_ns, to_ns = origin_ns + round(from_s * 1e9), origin_ns + round(to_s * 1e9)
    data = {str(number): each for number, each in enumerate(recorded)}
    files = [clip_file(name, each, from_ns, to_ns) for name, each in data.items()]
    return Taken(make_clip([file for file in files if file.fragments], from_ns, to_ns), data)


def recorded(given: Iterable[AccessUnit], file_s: float = 60, recording: str = RECORDING) -> list[bytes]:
    return [data for data, _ in files_of(given, Cutter("gate", recording, file_s))]


def shown(data: bytes, kind: str = "video") -> list[Any]:
    return [frame for frame in frames_of(data, kind) if frame.pts is not None and frame.time >= 0]


@pytest.mark.parametrize(("encoder", "codec"), [("libx264", H264), ("libx265", H265)])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_clip_has_every_sample_of_its_files(encoder: str, codec: VideoCodec, b_frames: int) -> None:
    """The same bytes, times and key frames as the access units, over the borders of files."""
    given = through_hub(coded(encoder, 128, 96, 100, 10, b_frames), codec, 10)
    files = recorded(given, file_s=3)
    assert len(files) > 2
    taken = take(files)
    with av.open(io.BytesIO(taken.whole), "r", options={"ignore_editlist": "1"}) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    origin = given[0].dts
    assert [(p.pts, p.dts, p.duration, p.is_keyframe) for p in packets] == [
        (unit.pts - origin, unit.dts - origin, TICK, unit.key) for unit in given
    ]
    assert [bytes(packet) for packet in packets] == [
        b"".join(len(nal).to_bytes(4) + nal for nal in unit.units) for unit in given
    ]
    assert len(shown(taken.whole)) == 100
    assert shown(taken.whole)[0].pts == 0


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize(("from_s", "to_s"), [(0, 10), (3.5, 7.0), (0.1, 0.9), (2.0, 2.1), (4.95, 9.99)])
def test_playback_begins_at_the_exact_time(b_frames: int, from_s: float, to_s: float) -> None:
    """Although the samples begin at the key frame before. The picture of that time is the first one."""
    given = through_hub(coded("libx264", 128, 96, 100, 10, b_frames), H264, 10)
    whole = [bytes(frame.planes[0]) for frame in frames_of(take(recorded(given)).whole)]
    taken = take(recorded(given, file_s=3), from_s, to_s)
    frames, first = shown(taken.whole), int(from_s * 10 + 1e-6)
    assert [bytes(frame.planes[0]) for frame in frames] == whole[first : first + len(frames)]
    assert [round(float(frame.time), 3) for frame in frames] == [number / 10 for number in range(len(frames))]
    assert taken.clip.duration_s == pytest.approx(min(to_s, 10) - first / 10, abs=1e-4)


def test_clip_needs_only_the_fragments_of_its_time() -> None:
    """A key frame each two seconds, fragments of a second."""
    taken = take(recorded(units(100)), 5.5, 6.5)
    assert len(taken.clip.slices) == 3  # from the key frame at 4 s on


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_split_of_ranges_gives_the_same_bytes(data: st.DataObject) -> None:
    """A player asks for what it likes."""
    whole = TAKEN.whole
    borders = data.draw(st.lists(st.integers(0, TAKEN.clip.size), max_size=12))
    edges = sorted({0, TAKEN.clip.size, *borders})
    assert b"".join(TAKEN.read(*pair) for pair in pairwise(edges)) == whole
    begin, end = sorted((data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, len(whole)))))
    assert TAKEN.read(begin, end) == whole[begin:end]


TAKEN = take(recorded(units(100), file_s=3), 1.5, 8.5)


def test_same_files_and_times_have_the_same_tag() -> None:
    """And others have another one."""
    files = recorded(units(100), file_s=3)
    assert take(files, 1, 8).clip.tag == take(files, 1, 8).clip.tag
    assert take(files, 1, 8).clip.tag != take(files, 1, 8.1).clip.tag


def test_time_without_video_is_refused() -> None:
    """Before, behind, and between."""
    files = recorded(units(20)) + recorded(units(20, first=60), recording="fedcba9876543210")
    for from_s, to_s in ((-5, 0), (9, 10), (3, 5)):
        with pytest.raises(NoFootage):
            take(files, from_s, to_s)


def test_gap_is_left_out_of_the_time() -> None:
    """A picture that stands still for minutes would look like a camera that sees nothing."""
    files = recorded(units(20)) + recorded(units(20, first=600), recording="fedcba9876543210")
    taken = take(files)
    assert taken.clip.duration_s == 4
    assert [round(float(frame.time), 3) for frame in shown(taken.whole)] == [number / 10 for number in range(40)]


def test_other_size_is_another_sample_entry() -> None:
    """Decoders follow it, and nothing is lost."""
    files = recorded(units(20) + units(20, first=20, size=96))
    assert len(files) == 2
    frames = shown(take(files).whole)
    assert [frame.width for frame in frames] == [64] * 20 + [96] * 20


def test_other_codec_is_refused_with_the_time_to_split_at() -> None:
    """No track has two codecs."""
    given = through_hub(coded("libx265", 128, 96, 20, 10, 0), H265, 10)
    later = 5 * CLOCK_RATE - given[0].dts
    late = [attrs.evolve(unit, dts=unit.dts + later, pts=unit.pts + later) for unit in given]
    files = recorded(units(50)) + recorded(late, recording="fedcba9876543210")
    with pytest.raises(TracksDiffer) as refused:
        take(files)
    split_s = (refused.value.at_ns - START_NS) / 1e9
    assert split_s == pytest.approx(5, abs=0.1)
    assert take(files, 0, split_s).clip.duration_s + take(files, split_s).clip.duration_s == pytest.approx(7, abs=0.01)


def with_audio(count: int, audio: AudioFormat = AAC, first: int = 0, lost: range = range(0)) -> list[bytes]:
    """Files with audio; the frames of AAC numbered `lost` never came."""
    cutter, frames = Cutter("gate", RECORDING, 3), aac_frames(512)
    made, heard = list[bytes](), 0
    for unit in units(count, first):
        while (at := heard * 1024 * CLOCK_RATE // 48_000 + first * TICK) <= unit.pts:
            if heard not in lost:
                cutter.hear(AudioFrame(audio, frames[heard % len(frames)], at))
            heard += 1
        made += _join(made, cutter.take(unit, wall_ns(unit), audio))
    return [*made, *_join(made, cutter.end())]


def _join(made: list[bytes], outs: Iterable[Any]) -> list[bytes]:
    for out in outs:
        if isinstance(out, NewFile):
            made.append(out.data)
        else:
            made[-1] += out.data
    return []


@pytest.mark.parametrize("from_s", [0, 0.5, 3.3])
def test_audio_keeps_the_time_of_its_video(from_s: float) -> None:
    """Also where frames were lost: those behind them are not early."""
    lost = range(100, 180)
    taken = take(with_audio(100, lost=lost), from_s)
    frames = aac_frames(512)
    for pts, data in audio_of(taken.whole)[2:]:
        number = round((pts + from_s * 48_000) / 1024)
        assert abs(pts + from_s * 48_000 - number * 1024) < 48_000 * 0.03
        assert data == frames[number % len(frames)]


def audio_of(data: bytes) -> list[tuple[int, bytes]]:
    """Presentation time and bytes of each frame that is heard."""
    with av.open(io.BytesIO(data), "r") as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        return [(packet.pts, bytes(packet)) for packet in packets if packet.pts is not None and packet.pts >= 0]


def test_audio_that_begins_later_is_late() -> None:
    """The first files have none."""
    taken = take(recorded(units(30), file_s=3) + with_audio(50, first=30))
    assert audio_of(taken.whole)[0][0] / 48_000 == pytest.approx(3, abs=0.03)


def test_other_audio_is_refused() -> None:
    """Its rate is that of the track."""
    other = AudioFormat("aac", 16_000, 1, b"\x14\x08")
    with pytest.raises(TracksDiffer, match="other audio"):
        take(with_audio(30) + with_audio(30, other, first=30))


def test_damaged_fragment_is_refused_by_file_and_byte() -> None:
    """The head of a clip never has lengths that its data do not have."""
    (data,) = recorded(units(20))
    file = clip_file("gate.mp4", data)
    moof = file.fragments[1].moof
    for at in range(min(len(moof), 200)):
        flipped = moof[:at] + bytes([moof[at] ^ 0x41]) + moof[at + 1 :]
        fragments = [file.fragments[0], file.fragments[1]._replace(moof=flipped)]
        with suppress(BitstreamError):
            clip = make_clip([attrs.evolve(file, fragments=fragments)], 0, 2**62)
            assert clip.size == len(clip.head) + sum(found.size for found in clip.slices)
    damaged = file.fragments[1]._replace(moof=moof[:40])
    with pytest.raises(BitstreamError, match=r"gate\.mp4: the fragment at byte"):
        make_clip([attrs.evolve(file, fragments=[file.fragments[0], damaged])], 0, 2**62)


def judged(data: bytes, path: Path, *arguments: str) -> dict[str, Any]:
    path.write_bytes(data)
    command = ["ffprobe", "-v", "error", *arguments, "-of", "json", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
    return json.loads(run.stdout)  # type: ignore[no-any-return]


def test_ffprobe_accepts_a_clip(tmp_path: Path) -> None:
    """Without a word of warning, and with the duration that was asked for."""
    taken = take(with_audio(100), 1.5, 8.25)
    found = judged(taken.whole, tmp_path / "clip.mp4", "-show_format", "-show_streams", "-count_frames")
    assert float(found["format"]["duration"]) == pytest.approx(6.75, abs=0.03)
    assert [stream["codec_name"] for stream in found["streams"]] == ["h264", "aac"]
    assert int(found["streams"][0]["nb_read_frames"]) == 68


@pytest.mark.parametrize(("encoder", "codec"), [("libx264", H264), ("libx265", H265)])
def test_annexb_has_the_nal_units_of_the_video(encoder: str, codec: VideoCodec) -> None:
    """From the key frame at or before the beginning on; nothing of the audio."""
    given = through_hub(coded(encoder, 128, 96, 60, 10, 0), codec, 10)
    files = [clip_file(str(n), data) for n, data in enumerate(recorded(given, file_s=3))]
    clip = make_annexb(files, 0)
    data = {str(n): data for n, data in enumerate(recorded(given, file_s=3))}
    made = b"".join(
        to_annexb(data[clip.paths[each.file]][each.offset : each.offset + each.size]) for each in clip.slices
    )
    assert made == b"".join(unit.data for unit in given)
    assert (clip.size, clip.codec) == (len(made), codec.name)


PLAYER = Path(__file__).parents[2] / "kit" / "gst_player.py"


def gst(*arguments: object) -> str:
    run = subprocess.run(["/usr/bin/python3", PLAYER, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_gstreamer_plays_a_clip_from_its_exact_time(tmp_path: Path) -> None:
    """Video and audio, with B-frames, and where the size changes. A missing package fails and is named.

    GStreamer 1.22 ends some files early whose edit list begins late, also those that ffmpeg has cut.
    """
    assert gst("--missing").split() == [], "apt install these"
    given = through_hub(coded("libx264", 128, 96, 100, 10, 2), H264, 10)
    path = tmp_path / "clip.mp4"
    path.write_bytes(take(recorded(given, file_s=3), 3.5, 10).whole)
    assert json.loads(gst(path, "--coded")) == [[number / 10, 128, 96] for number in range(65)]
    path.write_bytes(take(recorded(units(20) + units(20, first=20, size=96))).whole)
    assert [size for _, *size in json.loads(gst(path))] == [[64, 64]] * 20 + [[96, 96]] * 20
    heard = list[float]()
    for from_s in (1.5, 0):
        path.write_bytes(take(with_audio(100), from_s).whole)
        heard = [at for (at,) in json.loads(gst(path, "--audio"))]
        assert heard[0] == pytest.approx(0, abs=0.022)
    assert len(heard) > 200
