"""Audio that a recording cannot take as it comes: it is transcoded where that is wished, and never in the way."""

import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import av
import imageio_ffmpeg
import pytest
import trio
import trio.testing
from msgspec.structs import replace
from trio.testing import MockClock

from actors.media import transcoder
from actors.media.audio import OPUS
from actors.media.hub import Hub
from actors.media.media import CLOCK_RATE, AudioFormat, AudioFrame
from actors.media.transcoder import run_transcoder
from actors.recorder import recorder
from actors.recorder.archive import Archive
from actors.recorder.archive_writer import ArchiveWriter, list_files
from actors.recorder.cutter import Cutter
from actors.recorder.recorded_audio import LATE_S, RecordedAudio
from actors.recorder.recorder import Recorder
from actors.recorder.reports import JournaledReports
from supervisor.base.clock import TrioClock
from supervisor.config.config import ARCHIVE, RecordSettings
from supervisor.domain import commands as c
from supervisor.domain.values import Limits, RecordMode
from tests.actors.process.test_child import tools
from tests.kit.core import Core, open_core
from tests.kit.domain import GATE, PICTURE, settings
from tests.kit.media import FPS, access_units, samples_in
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until
from tests.kit.tones import coded_tone

FFMPEG = shutil.which("ffmpeg") or str(imageio_ffmpeg.get_ffmpeg_exe())
PCMU, PCMA = AudioFormat("pcmu", 8000, 1), AudioFormat("pcma", 8000, 1)
SILENT_S, SECONDS = 2, 5
IN_STEP_S = 0.1
HELD_BACK = CLOCK_RATE, CLOCK_RATE // 10
"""In 1/90000 s: audio that a transcoder returns only with the next one, in the first second and later."""


@attrs.define
class MediaClock:
    """The time at which the camera sends: the test need not wait for it."""

    now_ns: int

    def wall_ns(self) -> int:
        return self.now_ns

    def mono_ns(self) -> int:
        return self.now_ns


@attrs.define
class Site:
    core: Core
    clock: MediaClock
    hub: Hub
    folder: Path
    audio: AudioFormat
    sent_s: int = 0

    async def send(self, *, waits: bool = True) -> None:
        """Publish the next second of video and audio: silence, and a tone from `SILENT_S` on."""
        tone, quiet = coded_tone(self.audio, SECONDS), {"pcmu": b"\xff", "pcma": b"\xd5"}[self.audio.codec] * 160
        for index in range(50):
            self.clock.now_ns += 20_000_000
            if index % 5 == 0:
                number = self.sent_s * FPS + index // 5
                self.hub.publish(access_units()[number % 40], number * CLOCK_RATE // FPS)
            number = (self.sent_s - SILENT_S) * 50 + index
            frame = quiet if number < 0 else tone[number % len(tone)][0]
            self.hub.publish_audio(frame, self.sent_s * CLOCK_RATE + index * 1800)
            if index < 2:  # the recorder begins with the key frame, and the transcoder with the next audio
                await trio.testing.wait_all_tasks_blocked()
        self.sent_s += 1
        await trio.testing.wait_all_tasks_blocked(0.01)
        with give_up_after(60):
            while waits and not self.is_transcoded():
                await self.hub.recorded_opus.wait_beyond(self.hub.recorded_opus.end)

    def is_transcoded(self) -> bool:
        """Whether no more audio is in the transcoder than it holds back."""
        sent, made = self.hub.audio_frames, self.hub.recorded_opus
        if not made.end:
            return False
        return (
            made.read_nowait(made.end - 1, 1)[0].pts
            > sent.read_nowait(sent.end - 1, 1)[0].pts - HELD_BACK[self.sent_s > 1]
        )

    def child(self) -> int | None:
        return next((child.pid for child in self.core.kernel.state.children.values() if child.purpose == "audio"), None)

    def files(self) -> list[Path]:
        return [self.folder / path for path in list_files(self.folder)]


@asynccontextmanager
async def recording(
    folder: Path, *, audio: AudioFormat = PCMU, is_wished: bool = True, ffmpeg: str | None = FFMPEG
) -> AsyncIterator[Site]:
    """A camera with G.711 that is recorded, with its transcoder; the files are sealed when the block ends.

    Without `ffmpeg`, the test is the transcoder.
    """
    async with open_core() as core:
        kernel, clock = core.kernel, MediaClock(core.kernel.clock.mono_ns())
        hub = Hub(clock)
        reports = JournaledReports(ARCHIVE, kernel)
        archive = Archive(folder, ArchiveWriter(folder, kernel.node, kernel.new_id), reports, 0)
        kernel.emit(c.Configure("test", (replace(settings(GATE), record=RecordMode.ALWAYS),), Limits()))
        async with trio.open_nursery() as archives:
            archives.start_soon(archive.run)
            while archive.statistics().fault:
                await trio.lowlevel.checkpoint()
            async with trio.open_nursery() as recorders:
                rings = hub.audio_frames, hub.opus, hub.recorded_opus
                if ffmpeg is not None:
                    child_tools = attrs.evolve(tools(core), ffmpeg=ffmpeg)
                    recorders.start_soon(run_transcoder, GATE, *rings, hub.listeners, child_tools)
                recorders.start_soon(
                    Recorder(GATE, hub, archive, reports, kernel, lambda: RecordSettings(audio=is_wished)).run
                )
                kernel.emit(c.ConnectCamera(GATE))
                kernel.emit(c.ReportLive(GATE, PICTURE))
                hub.begin()
                hub.set_audio(audio)
                await trio.testing.wait_all_tasks_blocked()
                yield Site(core, clock, hub, folder, audio)
                recorders.cancel_scope.cancel()
            archives.cancel_scope.cancel()


def tracks(path: Path) -> tuple[list[float], list[tuple[float, float]], float | None]:
    """Times of the video; begin and end of each frame of audio; when the audio becomes loud. In seconds."""
    with av.open(str(path)) as container:
        shown = [_seconds(packet) for packet in container.demux(video=0) if packet.size]
    with av.open(str(path)) as container:
        heard, loud = list[tuple[float, float]](), None
        if not container.streams.audio:
            return shown, [], None
        for frame in container.decode(audio=0):
            begin = _seconds(frame)
            heard.append((begin, begin + frame.samples / frame.sample_rate))
            values = samples_in([frame])
            if loud is None and max(map(abs, values)) > 0.05:
                loud = begin
    return shown, heard, loud


def _seconds(of: Any) -> float:
    assert of.pts is not None
    assert of.time_base is not None
    return float(of.pts * of.time_base)


@pytest.mark.parametrize("audio", [PCMU, PCMA], ids=lambda audio: audio.codec)
async def test_g711_is_recorded_as_opus_in_step_with_the_video(tmp_path: Path, audio: AudioFormat) -> None:
    """PyAV finds a second track without holes, and the tone where the camera began it."""
    async with recording(tmp_path / "recordings", audio=audio) as site:
        for _ in range(SECONDS):
            await site.send()
    (path,) = site.files()
    with av.open(str(path)) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "opus"]
    shown, heard, loud = tracks(path)
    assert len(shown) == SECONDS * FPS
    assert loud == pytest.approx(SILENT_S, abs=IN_STEP_S)
    assert all(later[0] - earlier[1] < 0.002 for earlier, later in pairwise(heard))
    assert heard[0][0] < 1.0
    assert heard[-1][1] > SECONDS - 0.5


async def test_audio_goes_on_over_the_end_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last audio of a file, which is late by the transcoder's time, is in it."""
    monkeypatch.setattr(recorder, "Cutter", partial(Cutter, file_s=2))
    async with recording(tmp_path / "recordings") as site:
        for _ in range(SECONDS):
            await site.send()
    files = [tracks(path) for path in site.files()]
    assert [len(shown) for shown, _, _ in files] == [20, 20, 10]
    assert files[0][1][-1][1] > 2 - IN_STEP_S
    assert files[1][1][0][0] < IN_STEP_S
    assert files[1][2] == pytest.approx(0, abs=IN_STEP_S)


async def test_file_ends_when_its_last_audio_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mock_clock: MockClock
) -> None:
    """The transcoder is slower than the video: without the wait, each file would end with a hole in its audio."""
    monkeypatch.setattr(recorder, "Cutter", partial(Cutter, file_s=2))
    monkeypatch.setattr("actors.recorder.archive.SLOW_S", 1e6)
    monkeypatch.setattr("actors.recorder.archive.ABANDON_S", 1e9)
    async with recording(tmp_path / "recordings", ffmpeg=None) as site:
        for _ in range(2):
            await site.send(waits=False)
        first = site.hub.units.read_nowait(0, 1)[0].dts

        def hear(begin: int, end: int) -> None:
            for number in range(begin, end):
                site.hub.recorded_opus.append(AudioFrame(OPUS, b"\xfc" + bytes(30), first + number * 1800))

        hear(0, 85)
        await site.send(waits=False)
        hear(85, 110)
        mock_clock.jump(LATE_S)
        await trio.testing.wait_all_tasks_blocked(0.01)
    with av.open(str(site.files()[0])) as container:
        heard = [_seconds(packet) for packet in container.demux(audio=0) if packet.size]
    assert heard == pytest.approx([number * 0.02 for number in range(100)], abs=0.001)


async def test_audio_is_not_transcoded_unless_that_is_wished(tmp_path: Path) -> None:
    """The recording has video alone, and there is no child."""
    async with recording(tmp_path / "recordings", is_wished=False) as site:
        for _ in range(2):
            await site.send(waits=False)
        assert (site.hub.listeners.count, site.child()) == (0, None)
    shown, heard, _ = tracks(*site.files())
    assert (len(shown), heard) == (2 * FPS, [])


async def test_transcoder_that_crashes_ends_no_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves a gap in the audio; the video of the same file has none."""
    monkeypatch.setattr(transcoder, "backoff_s", lambda failures, jitter: 0.01)
    async with recording(tmp_path / "recordings") as site:
        await site.send()
        first = site.child()
        assert first is not None
        os.kill(first, signal.SIGKILL)
        with give_up_after(60):
            while site.child() in (None, first):
                await site.send(waits=False)
        for _ in range(2):
            await site.send()
    shown, heard, _ = tracks(*site.files())
    assert len(shown) == site.sent_s * FPS
    assert {round((later - earlier) * FPS, 3) for earlier, later in pairwise(shown)} == {1}
    assert heard[-1][1] > site.sent_s - 0.5


async def test_program_that_is_missing_ends_no_recording(tmp_path: Path) -> None:
    """The video is recorded; nobody waits for audio."""
    async with recording(tmp_path / "recordings", ffmpeg="/nowhere/ffmpeg") as site:
        for _ in range(3):
            await site.send(waits=False)
    shown, heard, _ = tracks(*site.files())
    assert (len(shown), heard) == (3 * FPS, [])


async def test_recorder_listens_only_while_it_records(tmp_path: Path) -> None:
    """A camera that is private, lost or not recorded any more keeps no transcoder."""
    async with recording(tmp_path / "recordings") as site:
        assert site.hub.listeners.count == 0
        await site.send()
        assert (site.hub.listeners.count, site.hub.listeners.recorders) == (1, 1)
        site.core.kernel.emit(c.Configure("test", (settings(GATE),), Limits()))
        site.hub.rest()
        await wait_until(lambda: site.hub.listeners.count == 0, 60)
    assert (site.hub.listeners.count, site.hub.listeners.recorders) == (0, 0)


def test_audio_that_a_track_takes_is_recorded_as_it_comes() -> None:
    """AAC is not transcoded, also if a viewer has it transcoded; the format of anything else is that of its output."""
    hub = Hub(TrioClock())
    aac = AudioFormat("aac", 48_000, 2, b"\x11\x90")
    for sent, wished, recorded in (
        (aac, True, aac),
        (OPUS, True, OPUS),
        (PCMU, True, OPUS),
        (AudioFormat("g722", 16_000, 1), True, OPUS),
        (PCMU, False, PCMU),
        (None, True, None),
    ):
        hub.audio = sent
        audio = RecordedAudio(hub, lambda wished=wished: wished)  # type: ignore[misc]
        with audio.open():
            audio.listen(records=True)
            assert (audio.format, hub.listeners.count) == (recorded, int(recorded != sent))
        assert hub.listeners.count == 0
