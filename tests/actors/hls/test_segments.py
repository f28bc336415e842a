"""The live stream of a camera: what its playlist names can be played, and is as long as it says."""

import io
import re

import av
import pytest

from actors.hls.segments import KEEP, LiveSegments
from actors.media.media import CLOCK_RATE, AccessUnit, AudioFrame
from tests.actors.recorder.test_cutter import AAC, START_NS, units, wall_ns
from tests.kit.media import FPS, aac_frames

GOP_S = 2.0
START = START_NS // 10**9


def stream(gop_s: float = GOP_S) -> LiveSegments:
    return LiveSegments(START_NS, gop_s, 1 / FPS)


def fed(count: int, into: LiveSegments | None = None, first: int = 0, connection: int = 0) -> LiveSegments:
    found = into or stream()
    for unit in units(count, first):
        made = AccessUnit(unit.codec, unit.units, unit.pts, unit.key, unit.size, unit.dts, 0, connection)
        found.take(made, wall_ns(made), None)
    return found


def tags(text: str, name: str) -> list[str]:
    return re.findall(rf"^#EXT-X-{name}:(.*)$", text, re.MULTILINE)


def test_segments_begin_with_key_frames_and_are_whole() -> None:
    """libav decodes each one after its initialization: all pictures of its time."""
    live = fed(70)
    assert [segment.number for segment in live.segments] == [START, START + 1, START + 2, START + 3]
    assert [segment.is_whole for segment in live.segments] == [True, True, True, False]
    for segment in list(live.segments)[:3]:
        data = live.initializations[segment.initialization] + b"".join(part.data for part in segment.parts)
        with av.open(io.BytesIO(data), "r") as container:
            assert len([*container.decode(video=0)]) == 20
        assert segment.duration_s == pytest.approx(2.0)
        assert segment.wall_ns == START_NS + (segment.number - START) * 2 * 10**9
        assert [part.key for part in segment.parts] == [True, False, False, False, False]


def test_playlist_says_what_there_is() -> None:
    """The durations fit what was announced, and the last line names what comes next."""
    live = fed(70)
    text = live.playlist()
    assert tags(text, "MEDIA-SEQUENCE") == [str(START)]
    target, part_target = int(tags(text, "TARGETDURATION")[0]), float(tags(text, "PART-INF")[0].split("=")[1])
    durations = [float(found) for found in re.findall(r"#EXTINF:([\d.]+),", text)]
    assert durations == [2.0, 2.0, 2.0] and max(map(round, durations)) <= target
    parts = [float(found) for found in re.findall(r"PART:DURATION=([\d.]+)", text)]
    assert parts and max(parts) <= part_target
    assert f"PART-HOLD-BACK={3 * part_target:.3f}" in text
    assert text.rstrip().endswith(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{START + 3}-2.m4s"')
    assert tags(text, "PROGRAM-DATE-TIME")[0] == "2027-01-15T08:00:00.000Z"


def test_old_segments_are_forgotten() -> None:
    """The numbers go on, and what they need is kept as long as they are."""
    live = fed(40 * 20)
    assert len(live.segments) == KEEP + 1
    assert tags(live.playlist(), "MEDIA-SEQUENCE") == [str(live.segments[0].number)]
    assert live.find(START) is None
    assert [*live.initializations] == [1]


def test_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest segment stays, however large it is."""
    monkeypatch.setattr("actors.hls.segments.MAX_BYTES", 1)
    assert len(fed(100).segments) == 1


def test_another_connection_is_a_discontinuity() -> None:
    """It is counted when it leaves the playlist."""
    live = fed(30, first=0)
    fed(30, live, first=40, connection=1)
    text = live.playlist()
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    assert re.findall(r'MAP:URI="(.*)"', text) == ["init-1.mp4", "init-2.mp4"]
    assert tags(text, "DISCONTINUITY-SEQUENCE") == ["0"]
    fed(20 * (KEEP + 3), live, first=80, connection=1)
    assert tags(live.playlist(), "DISCONTINUITY-SEQUENCE") == ["1"]
    assert [*live.initializations] == [2]


def test_camera_without_key_frames_keeps_what_was_announced() -> None:
    """Its segments are cut between key frames: none is longer than the target."""
    live = stream(gop_s=1.0)
    for unit in units(200):
        key = unit.pts == 0
        live.take(AccessUnit(unit.codec, unit.units, unit.pts, key, unit.size, unit.dts), wall_ns(unit), None)
    whole = [segment for segment in live.segments if segment.is_whole]
    assert len(whole) == KEEP
    assert max(round(segment.duration_s) for segment in whole) <= live.target_s


def test_blocking_requests_wait_for_exactly_this() -> None:
    """A part of the newest segment, the whole of it, and anything that lies before."""
    live = fed(69)
    newest = live.segments[-1].number
    assert live.has(newest, 1)
    assert not live.has(newest, 2)
    assert not live.has(newest, None)
    assert live.has(newest - 1, None)
    assert live.has(newest - 1, 99)
    assert not live.has(newest + 1, 0)
    assert not stream().has(START, None)


def test_audio_is_in_the_second_track() -> None:
    """AAC as the camera sends it."""
    live, frames = stream(), aac_frames(4)
    times = [number * 1024 * CLOCK_RATE // 48_000 for number in range(len(frames))]
    heard = 0
    for unit in units(45):
        while heard < len(frames) and times[heard] <= unit.pts:
            live.hear(AudioFrame(AAC, frames[heard], times[heard]))
            heard += 1
        live.take(unit, wall_ns(unit), AAC)
    segment = live.segments[0]
    data = live.initializations[1] + b"".join(part.data for part in segment.parts)
    with av.open(io.BytesIO(data), "r") as container:
        found = sum(frame.samples for frame in container.decode(audio=0))
    assert found / 48_000 == pytest.approx(2.0, abs=0.1)
