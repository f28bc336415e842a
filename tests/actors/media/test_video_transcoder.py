"""A camera's video to H.264 by a real ffmpeg: the output, its timing, its life, and the small effect of its faults."""

import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import attrs
import av
import imageio_ffmpeg
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.media import video_transcoder
from actors.media.bitstream import split_annexb
from actors.media.h264 import H264
from actors.media.h265 import H265
from actors.media.hub import Hub
from actors.media.jpeg import JPEG
from actors.media.media import CLOCK_RATE, AccessUnit, VideoCodec
from actors.media.mpeg4 import MPEG4, split_picture
from actors.media.rendition import Rendition
from actors.media.video_transcoder import (
    STUCK,
    UNNEEDED,
    VideoTranscoding,
    arguments_of,
    bounded,
    run_video_transcoder,
)
from supervisor.base.clock import TrioClock
from supervisor.config.config import Encoding
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.ids import CameraId, ChildId
from supervisor.domain.state import VIDEO
from supervisor.domain.values import Limits, Reason
from tests.actors.process.test_child import tools
from tests.kit.core import Core, open_core
from tests.kit.domain import GATE, YARD, settings
from tests.kit.media import coded, jpegs
from tests.kit.patience import give_up_after
from tests.kit.processes import descendants, read_process, wait_until

BUNDLED = str(imageio_ffmpeg.get_ffmpeg_exe())
PROGRAMS = sorted({BUNDLED, shutil.which("ffmpeg") or BUNDLED})
FPS = 15
TICKS = CLOCK_RATE // FPS
NAMES: dict[str, tuple[VideoCodec, str]] = {
    "h264": (H264, "libx264"), "h265": (H265, "libx265"), "mjpeg": (JPEG, "mjpeg"), "mpeg4": (MPEG4, "mpeg4"),
}  # fmt: skip


@attrs.define
class Studio:
    core: Core
    camera: CameraId
    own: Hub
    rendition: Rendition
    began: int = 0
    size: tuple[int, int] = (640, 480)
    shown: list[int] = attrs.field(factory=list)
    """The presentation times of all access units, by the hub's clock."""

    async def play(self, codec: str, count: int, size: tuple[int, int] = (128, 96), *, b_frames: int = 0) -> None:
        """Send a key frame, and when its child has started, the access units behind it."""
        self.send(codec, count, size, b_frames=b_frames, until=1)
        await self.wait_child()
        if codec != "mjpeg":
            self.send(codec, count, size, b_frames=b_frames, since=1)
            return
        for index in range(1, count):  # the hub keeps few JPEGs
            await self.take(index)
            self.send(codec, count, size, since=index, until=index + 1)

    def send(
        self,
        codec: str,
        count: int,
        size: tuple[int, int] = (128, 96),
        *,
        b_frames: int = 0,
        since: int = 0,
        until: int | None = None,
    ) -> None:
        """Send those of `count` access units of a camera, all at once; the first one is a key frame."""
        kind, encoder = NAMES[codec]
        for pts, dts, data in coded(encoder, *size, count, FPS, b_frames)[since:until]:
            units = [data] if kind is JPEG else split_picture(data) if kind is MPEG4 else list(split_annexb(data))
            self.own.publish(units, (self.began + pts) * TICKS, kind, (self.began + dts) * TICKS)
            self.shown.append(self.own.units.read_nowait(self.own.units.end - 1, 1)[0].pts)
        self.began += count if until is None else 0

    async def send_until(self, holds: Callable[[], bool]) -> None:
        """Send one JPEG after the other until `holds`."""

        def look() -> bool:
            self.send("mjpeg", 1, self.size)
            return holds()

        await wait_until(look, 60)

    async def take(self, count: int) -> list[AccessUnit]:
        """Wait until the rendition has `count` access units, and return them."""
        units = self.rendition.hub.units
        with give_up_after(60):
            while units.end < count:
                await units.wait_beyond(units.end)
        return units.read_nowait(units.start, units.end - units.start)

    def pid(self) -> int | None:
        children = self.core.kernel.state.children.values()
        return next((child.pid for child in children if child.purpose == VIDEO and child.camera == self.camera), None)

    async def wait_child(self, other_than: int | None = None) -> int:
        await wait_until(lambda: self.pid() not in (None, other_than), 60)
        pid = self.pid()
        assert pid is not None
        return pid

    async def wait_no_child(self) -> None:
        await wait_until(lambda: self.pid() is None, 60)

    async def endings(self) -> list[Reason]:
        return [row.event.reason for row in await self.core.stored() if isinstance(row.event, e.ChildEnded)]

    @property
    def alert(self) -> str:
        known = self.core.kernel.state.alerts.get(f"transcoder/{self.camera}")
        return known.text if known else ""


@asynccontextmanager
async def open_studio(ffmpeg: str = BUNDLED) -> AsyncIterator[Studio]:
    async with open_core() as core:
        async with open_camera(core, GATE, ffmpeg) as studio:
            yield studio
        assert not core.kernel.state.children


@asynccontextmanager
async def open_camera(core: Core, camera: CameraId, ffmpeg: str = BUNDLED) -> AsyncIterator[Studio]:
    own = Hub(core.kernel.clock)
    own.begin()
    studio = Studio(core, camera, own, Rendition(own, core.kernel.clock))
    child_tools = attrs.evolve(tools(core), ffmpeg=ffmpeg)
    async with trio.open_nursery() as nursery:
        work = (camera, own, studio.rendition, trio.sleep_forever, child_tools)
        nursery.start_soon(run_video_transcoder, *work)
        await trio.testing.wait_all_tasks_blocked()
        yield studio
        nursery.cancel_scope.cancel()


def make_program(folder: Path, does: str) -> str:
    program = folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out no access unit, and take no child for a stuck one, however slow the machine is."""
    monkeypatch.setattr(video_transcoder, "STUCK_S", 600)
    monkeypatch.setattr(video_transcoder, "LATE_S", 600)
    monkeypatch.setattr(video_transcoder, "SLOWER_S", 600)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten intervals of seconds to moments."""
    monkeypatch.setattr(video_transcoder, "LINGER_S", 0.05)
    monkeypatch.setattr(video_transcoder, "STUCK_S", 0.5)
    monkeypatch.setattr(video_transcoder, "AGAIN_S", 0.05)


def frames_of(units: Sequence[AccessUnit]) -> list[av.VideoFrame]:
    """Decode H.264."""
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    return [*frames, *decoder.decode(None)]


@pytest.mark.parametrize("ffmpeg", PROGRAMS)
@pytest.mark.parametrize("codec", NAMES)
async def test_video_of_every_codec_becomes_h264_with_the_same_times(patient: None, ffmpeg: str, codec: str) -> None:
    """One picture for each, in its order, with the presentation time of the camera's hub."""
    async with open_studio(ffmpeg) as studio:
        with studio.rendition.needs.listen():
            await studio.play(codec, 40)
            out = await studio.take(30)
            shown = sorted(studio.shown)
    assert {unit.codec for unit in out} == {H264}
    assert [unit.pts for unit in out] == shown[: len(out)]
    assert out[0].key
    assert len(frames_of(out)) == len(out)
    assert studio.rendition.hub.picture is not None
    assert (studio.rendition.hub.picture.width, studio.rendition.hub.picture.height) == (128, 96)


@pytest.mark.parametrize("is_script", [False, True])
async def test_child_has_a_lower_priority_than_the_daemon(patient: None, tmp_path: Path, is_script: bool) -> None:
    """So has what a script starts."""
    program = make_program(tmp_path, f'{BUNDLED} "$@"') if is_script else BUNDLED
    async with open_studio(program) as studio:
        with studio.rendition.needs.listen():
            await studio.send_until(lambda: studio.rendition.hub.units.end > 0)
            pid = await studio.wait_child()
            found = [read_process(pid), *descendants(pid)]
            nice = [each.nice for each in found if each is not None and each.cmdline[:1] == (BUNDLED,)]
    assert nice == [min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)]


@pytest.mark.parametrize("codec", ["h264", "h265"])
async def test_b_frames_are_put_in_order(patient: None, codec: str) -> None:
    """The camera decodes them in another order than they are presented; the rendition does not."""
    async with open_studio() as studio:
        with studio.rendition.needs.listen():
            await studio.play(codec, 60, b_frames=3)
            assert studio.own.has_b_frames
            out = await studio.take(40)
    assert all(one.pts < two.pts and two.pts == two.dts for one, two in pairwise(out))
    assert not studio.rendition.hub.has_b_frames
    bright = [bytes(frame.planes[0])[0] for frame in frames_of(out)]
    assert bright == sorted(bright)


async def test_key_frame_comes_every_two_seconds_with_its_parameter_sets(patient: None) -> None:
    """A new viewer waits no longer for the next one."""
    async with open_studio() as studio:
        with studio.rendition.needs.listen():
            await studio.play("mjpeg", 5 * FPS)
            out = await studio.take(5 * FPS - 1)
    keys = [unit for unit in out if unit.key]
    assert len(keys) == 2
    assert keys[1].pts - keys[0].pts <= 2.1 * CLOCK_RATE
    assert all({7, 8} <= {each[0] & 31 for each in unit.units} for unit in keys)


async def test_without_a_need_there_is_no_child(hasty: None) -> None:
    """The child starts with the first need and ends after the last; the journal names its purpose."""
    async with open_studio() as studio:
        studio.send("mjpeg", 5, (640, 480))
        await trio.testing.wait_all_tasks_blocked()
        assert studio.pid() is None
        with studio.rendition.needs.listen():
            pid = await studio.wait_child()
            await studio.take(1)
        await studio.wait_no_child()
        assert read_process(pid) is None
        assert [reason.code for reason in await studio.endings()] == ["unused"]


async def test_child_that_is_killed_is_replaced(hasty: None) -> None:
    """After a backoff; from its end until there is video again, an alert and the rendition say so."""
    async with open_studio() as studio:
        with studio.rendition.needs.listen():
            studio.send("mjpeg", 5, (640, 480))
            await studio.take(1)
            first = await studio.wait_child()
            os.kill(first, signal.SIGKILL)
            await wait_until(lambda: studio.alert != "", 60)
            assert studio.rendition.failure is not None
            assert studio.rendition.failure.code == "killed"
            await studio.wait_child(other_than=first)
            before = studio.rendition.hub.units.end
            await studio.send_until(lambda: studio.rendition.hub.units.end > before)
            await wait_until(lambda: studio.alert == "", 60)
            assert studio.rendition.failure is None


@pytest.mark.parametrize(
    ("does", "code"),
    [
        ("cat >/dev/null", "stuck"),
        ("exec sleep 60", "stuck"),
        ("head -c 1000000 /dev/urandom", "bad-data"),
        ("exit 3", "ended"),
        ("echo \"Unknown encoder 'libx264'\" >&2; exit 1", "no-encoder"),
        ("echo \"Unrecognized option 'fps_mode'.\" >&2; exit 1", "old-ffmpeg"),
    ],
)
async def test_child_that_is_of_no_use_is_ended_and_named(hasty: None, tmp_path: Path, does: str, code: str) -> None:
    """One that hangs, writes something else, or lacks what it needs."""
    async with open_studio(make_program(tmp_path, does)) as studio:
        with studio.rendition.needs.listen():
            await studio.send_until(lambda: studio.alert != "")
            assert studio.rendition.failure is not None
            assert studio.rendition.failure.code == code
            assert studio.rendition.failure.text in studio.alert


OTHER_CODEC = f"exec {BUNDLED} -v error -f lavfi -i testsrc=size=128x96:rate=15 -c:v {{}} -g 5 -t 60 -f flv pipe:1"


@pytest.mark.parametrize(
    ("does", "code", "says"),
    [
        (OTHER_CODEC.format("libx265 -x265-params log-level=none"), "bad-data", "H.265"),
        (OTHER_CODEC.format("flv"), "unsupported-codec", "h263"),
        ("yes noise | head -c 20000000 >&2; exit 3", "ended", "ended with 3"),
    ],
)
async def test_child_that_misbehaves_affects_no_other(
    patient: None, tmp_path: Path, does: str, code: str, says: str
) -> None:
    """One that writes another codec, or floods its standard error: the alert says why. Another camera's goes on."""
    async with open_studio() as good, open_camera(good.core, YARD, make_program(tmp_path, does)) as bad:
        with good.rendition.needs.listen(), bad.rendition.needs.listen():
            good.send("mjpeg", 1, good.size)
            pid = await good.wait_child()

            def is_named() -> bool:
                good.send("mjpeg", 1, good.size)
                return bad.alert != ""

            await bad.send_until(is_named)
            assert bad.rendition.failure is not None
            assert bad.rendition.failure.code == code
            assert says in bad.alert
            assert bad.rendition.hub.units.end == 0
            before = good.rendition.hub.units.end
            await good.send_until(lambda: good.rendition.hub.units.end > before)
            assert (good.pid(), good.alert) == (pid, "")
        ended = [row.event for row in await good.core.stored() if isinstance(row.event, e.ChildEnded)]
    assert all(sum(map(len, event.stderr_tail)) < 10_000 for event in ended if event.camera == YARD)


async def test_child_that_floods_its_standard_error_and_works_is_kept(patient: None, tmp_path: Path) -> None:
    """Its messages hold up neither its video nor banken."""
    flood = make_program(tmp_path, f'yes noise | head -c 20000000 >&2\nexec {BUNDLED} "$@"')
    async with open_studio(flood) as studio:
        with studio.rendition.needs.listen():
            await studio.send_until(lambda: studio.rendition.hub.units.end > 3)
            assert studio.alert == ""


@pytest.mark.parametrize("silent", [True, False])
async def test_child_of_a_camera_that_is_away_ends(hasty: None, monkeypatch: pytest.MonkeyPatch, silent: bool) -> None:
    """After `AWAY_S` without video, and at once for a camera that was removed. The transcoder is not at fault."""
    async with open_studio() as studio:
        with studio.rendition.needs.listen():
            studio.send("mjpeg", 5, studio.size)
            await studio.take(1)
            first = await studio.wait_child()
            if silent:
                monkeypatch.setattr(video_transcoder, "AWAY_S", 0.2)
                studio.send("mjpeg", 1, studio.size)
            else:
                studio.own.close()
            await studio.wait_no_child()
            assert read_process(first) is None
            assert studio.alert == ""
            if silent:
                await studio.send_until(lambda: studio.pid() not in (None, first))


@pytest.mark.parametrize("then", [("mjpeg", (192, 128)), ("h264", (128, 96))])
async def test_camera_that_changes_its_format_gets_another_child(
    hasty: None, then: tuple[str, tuple[int, int]]
) -> None:
    """It ends by itself, without an alert; the next one has the new format."""
    codec, size = then
    async with open_studio() as studio:
        with studio.rendition.needs.listen():
            studio.send("mjpeg", 5, (640, 480))
            await studio.take(1)
            first = await studio.wait_child()
            studio.send(codec, 5, size)
            await studio.wait_child(other_than=first)
            await wait_until(
                lambda: studio.rendition.hub.picture is not None and studio.rendition.hub.picture.width == size[0], 60
            )
            assert studio.alert == ""


def test_size_of_the_output_is_bounded_and_even() -> None:
    """With the same proportions."""
    assert bounded(1920, 1080, 1080) == (1920, 1080)
    assert bounded(3840, 2160, 1080) == (1920, 1080)
    assert bounded(641, 361, 1080) == (640, 360)
    assert bounded(2160, 3840, 1080) == (608, 1080)
    assert bounded(100, 4000, 128) == (16, 128)


def test_arguments_name_no_address() -> None:
    """The child reads standard input, and each bound is among its arguments."""
    arguments = arguments_of("h264", 1920, 1080, Encoding(height=720, fps=10, bitrate=900_000, threads=2))
    assert arguments[arguments.index("-i") + 1] == "pipe:0"
    assert arguments[-1] == "pipe:1"
    assert {"900000", "2"} <= set(arguments)
    assert "scale=1280:720" in arguments[arguments.index("-vf") + 1]


async def test_child_that_is_too_slow_gets_fewer_pictures_and_not_older_ones(
    hasty: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that takes 40 kB a second of an MJPEG camera with many times that: it gets the newest ones."""
    program = make_program(tmp_path, "while dd bs=4096 count=1 2>/dev/null >&2; do sleep 0.1; done")
    monkeypatch.setattr(video_transcoder, "STUCK_S", 600)
    monkeypatch.setattr(video_transcoder, "LATE_S", 0.1)
    async with open_studio(program) as studio:
        with studio.rendition.needs.listen():
            studio.size = (1920, 1080)
            studio.send("mjpeg", 1, studio.size)
            await studio.wait_child()
            await studio.send_until(lambda: studio.rendition.skipped > 50)
            assert studio.alert == ""


class Held(trio.abc.SendStream):
    """A pipe to a child that takes nothing until `takes` is set."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.takes = trio.Event()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))
        await self.wait_send_all_might_not_block()

    async def wait_send_all_might_not_block(self) -> None:
        await self.takes.wait()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_child_that_is_too_slow_gets_the_newer_of_two_late_pictures(autojump_clock: MockClock) -> None:
    """Also while it is still cached, and not as late as one that is left out without a newer one."""
    clock, pipe = TrioClock(), Held()
    own = Hub(clock)
    own.begin()
    rendition = Rendition(own, clock)
    first, old, new = jpegs()
    own.publish([first], 0, JPEG)
    work = VideoTranscoding(own, rendition, Encoding(), clock, lambda: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work.feed, pipe)
        await trio.testing.wait_all_tasks_blocked()
        own.publish([old], TICKS, JPEG)
        await trio.sleep(2 * video_transcoder.LATE_S)
        own.publish([new], 2 * TICKS, JPEG)
        pipe.takes.set()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert rendition.skipped == 2
    assert new in pipe.sent[-1]
    assert not any(late in data for data in pipe.sent for late in (first, old))


async def test_child_that_takes_no_video_is_of_no_use(autojump_clock: MockClock) -> None:
    """However few access units it has got: one that it does not take is enough."""
    clock, pipe = TrioClock(), Held()
    own = Hub(clock)
    own.begin()
    own.publish([jpegs()[0]], 0, JPEG)
    work = VideoTranscoding(own, Rendition(own, clock), Encoding(), clock, lambda: None)
    silent, output = trio.testing.memory_stream_one_way_pair()
    async with trio.open_nursery() as nursery:
        pipe.takes.set()
        nursery.start_soon(work.feed, pipe)
        await trio.testing.wait_all_tasks_blocked()
        pipe.takes = trio.Event()
        own.publish([jpegs()[1]], TICKS, JPEG)
        with trio.fail_after(4 * video_transcoder.STUCK_S):
            assert await work.consume(output) == STUCK
        nursery.cancel_scope.cancel()
    await silent.aclose()


async def test_only_so_many_cameras_are_transcoded_at_once(hasty: None) -> None:
    """Another one says why it waits, and starts when one of them ends."""
    async with open_studio() as studio:
        kernel = studio.core.kernel
        kernel.emit(c.Configure("one", (settings(GATE), settings(YARD)), Limits(transcoders=1)))
        other = ChildId("video-of-yard")
        kernel.emit(c.PrepareChild(other, YARD, VIDEO, ()))
        with studio.rendition.needs.listen():
            studio.send("mjpeg", 1, studio.size)
            await wait_until(lambda: studio.alert != "", 60)
            assert "the video of 1 camera is transcoded already; transcoder: at_once" in studio.alert
            assert studio.rendition.failure is not None
            kernel.emit(c.ReportChildEnded(other, 0, None, UNNEEDED))
            await studio.wait_child()
            await studio.send_until(lambda: studio.alert == "")


async def test_camera_that_reconnected_while_it_waited_for_a_transcoder_is_transcoded(hasty: None) -> None:
    """There is no key frame to start with when the other transcoder ends; its next one starts the child."""
    async with open_studio() as studio:
        kernel = studio.core.kernel
        kernel.emit(c.Configure("one", (settings(GATE), settings(YARD)), Limits(transcoders=1)))
        other = ChildId("video-of-yard")
        kernel.emit(c.PrepareChild(other, YARD, VIDEO, ()))
        with studio.rendition.needs.listen():
            studio.send("mjpeg", 1, studio.size)
            await wait_until(lambda: studio.alert != "", 60)
            studio.own.begin()
            kernel.emit(c.ReportChildEnded(other, 0, None, UNNEEDED))
            await trio.testing.wait_all_tasks_blocked()
            assert studio.pid() is None
            studio.send("mjpeg", 1, studio.size)
            await studio.wait_child()
            await studio.send_until(lambda: studio.alert == "")
