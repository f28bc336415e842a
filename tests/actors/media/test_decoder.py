"""The decoder, a real child process: its output, its refusals, and the small cost of its end."""

import gc
import io
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs
import av
import pytest
import trio

from actors.media.decoder import actor, client
from actors.media.decoder.actor import ARGUMENTS, LIMITS, START, run_decoder
from actors.media.decoder.client import THUMBNAIL, Decoder
from actors.media.decoder.queue import Undecodable
from actors.media.decoder.waits import FORGET_S, Waits
from actors.media.decoder.wire import GREY_BYTES
from actors.media.h264 import H264
from actors.media.h265 import H265
from actors.media.hub import Still
from supervisor.domain import events as e
from supervisor.domain.ids import NO_CAMERA, CameraId
from supervisor.domain.state import DECODER
from tests.actors.process.test_child import tools
from tests.kit.core import Core, open_core
from tests.kit.domain import GATE, YARD
from tests.kit.media import access_units, h265_units
from tests.kit.processes import descendants, wait_until
from tests.kit.tools import JITTER

STILL = Still(H264, access_units(640, 360)[0], 1, 1, 1)
STILL_H265 = Still(H265, h265_units(64, 64)[0], 1, 1, 1)
GARBAGE = Still(H264, (*STILL.units[:2], b"\x65" + bytes(range(200))), 1, 1, 1)


@attrs.define
class Bench:
    core: Core
    decoder: Decoder

    @property
    def pid(self) -> int:
        (child,) = self.core.kernel.state.children.values()
        assert child.pid is not None
        return child.pid

    async def endings(self) -> list[str]:
        """Return the reasons of the children that have ended so far."""
        return [row.event.reason.code for row in await self.core.stored() if isinstance(row.event, e.ChildEnded)]


@asynccontextmanager
async def open_bench(*arguments: str) -> AsyncIterator[Bench]:
    """Run a decoder, with its own program or another."""
    async with open_core(GATE, YARD) as core:
        decoder = Decoder()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_decoder, decoder, tools(core), arguments or ARGUMENTS)
            yield Bench(core, decoder)
            nursery.cancel_scope.cancel()
        assert not core.kernel.state.children


def stand_in(folder: Path, code: str) -> tuple[str, ...]:
    """Return the command of a fake decoder that says hello and then runs `code`; `read()` returns the next request."""
    program = folder / "stand_in.py"
    root = Path(__file__).parents[3]
    program.write_text(f"""
import os, sys, time, signal
sys.path.insert(0, {str(root)!r})
from actors.media.decoder import wire
reader = wire.RequestReader()
def send(answer): os.write(1, wire.encode_answer(answer))
def read():
    while chunk := os.read(0, 1 << 20):
        for request in reader.feed(chunk):
            return request
    sys.exit(0)
{code}
""")
    return sys.executable, "-I", str(program)


GREETS = "send(wire.DecoderAnswer(0, wire.HELLO))\n"
SERVES = "    send(wire.DecoderAnswer(request.number, wire.DONE, b'JPEG'))\n"


def size_of(jpeg: bytes) -> tuple[int, int]:
    with av.open(io.BytesIO(jpeg), "r", format="mjpeg") as container:
        (frame,) = container.decode(video=0)
        assert isinstance(frame, av.VideoFrame)
        return frame.width, frame.height


async def test_key_frames_become_jpegs_thumbnails_and_looks_in_one_child() -> None:
    """H.264 and H.265 share one child, which belongs to no camera and stays for the next request."""
    async with open_bench() as bench:
        decoder = bench.decoder
        assert size_of(await decoder.jpeg(GATE, STILL)) == (640, 360)
        assert size_of(await decoder.jpeg(YARD, STILL_H265)) == (64, 64)
        assert size_of(await decoder.thumbnail(GATE, STILL)) == THUMBNAIL
        first = await decoder.look(GATE, STILL, b"")
        assert (first.share, len(first.grey)) == (0.0, GREY_BYTES)
        again = await decoder.look(GATE, STILL, first.grey)
        other = await decoder.look(GATE, STILL, bytes(value ^ 0x80 for value in first.grey))
        assert (again.share, other.share, other.box) == (0.0, 1.0, (0.0, 0.0, 1.0, 1.0))
        (child,) = bench.core.kernel.state.children.values()
        assert (child.camera, child.purpose) == (NO_CAMERA, DECODER)
        assert bench.core.types("child/") == ["ChildStarting", "ChildStarted"]


async def test_undecodable_key_frame_is_refused_and_the_child_goes_on() -> None:
    """The same child decodes the next key frame."""
    async with open_bench() as bench:
        with pytest.raises(Undecodable, match="key frame"):
            await bench.decoder.jpeg(GATE, GARBAGE)
        pid = bench.pid
        await bench.decoder.jpeg(GATE, STILL)
        assert bench.pid == pid


async def test_all_limits_of_the_child_are_set_here() -> None:
    """No alert is raised; it would name limits that this machine does not allow."""
    async with open_bench() as bench:
        await bench.decoder.jpeg(GATE, STILL)
        assert LIMITS not in bench.core.kernel.state.alerts


async def test_limits_that_could_not_be_set_are_an_alert_until_they_are(tmp_path: Path) -> None:
    """Health shows each alert; the next child with all limits clears it."""
    lacking = (
        "send(wire.DecoderAnswer(0, wire.HELLO, b'seccomp: no\\nRLIMIT_AS: no'))\nwhile request := read():\n" + SERVES
    )
    async with open_core() as core:
        decoder = Decoder()
        for arguments, stands in ((stand_in(tmp_path, lacking), True), (ARGUMENTS, False)):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run_decoder, decoder, tools(core), arguments)
                await decoder.jpeg(GATE, STILL)
                nursery.cancel_scope.cancel()
            alert = core.kernel.state.alerts.get(LIMITS)
            assert (alert is not None) == stands
            assert alert is None or "seccomp: no; RLIMIT_AS: no" in alert.text


async def test_child_that_is_not_needed_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends without a signal, and the next key frame starts another."""
    monkeypatch.setattr(actor, "IDLE_S", 0.05)
    async with open_bench() as bench:
        await bench.decoder.jpeg(GATE, STILL)
        await wait_until(lambda: not bench.core.kernel.state.children)
        assert await bench.endings() == ["unused"]
        assert "ChildStopping" not in bench.core.types("child/")
        await bench.decoder.jpeg(GATE, STILL)


async def test_child_that_has_used_its_cpu_time_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is replaced between two key frames, without an error."""
    monkeypatch.setattr(actor, "RETIRE_CPU_S", 0.0)
    async with open_bench() as bench:
        for _ in range(2):
            await bench.decoder.jpeg(GATE, STILL)
        await wait_until(lambda: not bench.core.kernel.state.children)
        assert await bench.endings() == ["retired", "retired"]


class ForwardedWaits(Waits):
    """Waits on a clock that is `ahead_s` ahead. `given` are those of cameras, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0
        self.given: list[float] = []

    def check(self, camera: CameraId, now: float) -> None:
        super().check(camera, now + self.ahead_s)

    def blame(self, camera: CameraId, now: float, jitter: float, raised: e.Recorded | None) -> None:
        super().blame(camera, now + self.ahead_s, jitter, raised)
        self.given.append(self.next_forgotten() - FORGET_S - now - self.ahead_s)


async def test_key_frame_that_ends_the_child_costs_its_own_camera_only(tmp_path: Path) -> None:
    """The camera gets one 503 and an alert, and has to wait; others are served by the next child at once."""
    kills = GREETS + "while request := read():\n    if request.codec == 'h265': os.kill(os.getpid(), 11)\n" + SERVES
    async with open_bench(*stand_in(tmp_path, kills)) as bench:
        bench.decoder.waits = waits = ForwardedWaits()
        for _ in range(2):
            with pytest.raises(Undecodable, match="ended while it decoded"):
                await bench.decoder.jpeg(YARD, STILL_H265)
            assert await bench.decoder.jpeg(GATE, STILL) == b"JPEG"
            with pytest.raises(Undecodable, match="its last key frame ended the decoder"):
                await bench.decoder.jpeg(YARD, STILL)
            alert = bench.core.kernel.state.alerts[f"decoder/{YARD}"]
            assert "SIGSEGV" in alert.text
            waits.ahead_s += 60.0
        assert waits.given == [pytest.approx(1 + JITTER), pytest.approx(1 + 2 * JITTER)]
        assert await bench.endings() == ["ended", "ended"]
        assert await bench.decoder.jpeg(YARD, STILL) == b"JPEG"
        assert f"decoder/{YARD}" not in bench.core.kernel.state.alerts


async def test_child_killed_from_outside_is_replaced_with_the_next_picture() -> None:
    """Between two key frames it costs nothing."""
    async with open_bench() as bench:
        await bench.decoder.jpeg(GATE, STILL)
        os.kill(bench.pid, signal.SIGKILL)
        await wait_until(lambda: not bench.core.kernel.state.children)
        await bench.decoder.jpeg(GATE, STILL)
        assert not bench.core.kernel.state.alerts


@pytest.mark.parametrize(
    ("does", "code"),
    [
        ("time.sleep(60)", "stuck"),
        ("os.write(1, b'x' * 100)", "bad-data"),
        ("send(wire.DecoderAnswer(request.number + 1, wire.DONE))", "bad-data"),
        ("send(wire.DecoderAnswer(request.number, wire.HELLO))", "bad-data"),
        ("os.write(1, 2 * wire.encode_answer(wire.DecoderAnswer(request.number, wire.DONE, b'JPEG')))", "bad-data"),
        ("sys.exit(3)", "ended"),
        ("send(wire.DecoderAnswer(request.number, wire.DONE, b'short'))", "bad-data"),
        (f"send(wire.DecoderAnswer(request.number, wire.DONE, b'\\x7f' * {20 + GREY_BYTES}))", "bad-data"),
    ],
)
async def test_child_that_breaks_the_protocol_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, code: str
) -> None:
    """The child hangs, writes noise, answers without a request or twice, leaves, or sends an invalid result."""
    monkeypatch.setattr(actor, "REQUEST_S", 0.5)
    odd = GREETS + f"while request := read():\n    if request.codec == 'h265': {does}\n    else:\n    {SERVES}"
    async with open_bench(*stand_in(tmp_path, odd)) as bench:
        with pytest.raises(Undecodable):
            await bench.decoder.look(YARD, STILL_H265, b"")
        await wait_until(lambda: f"decoder/{YARD}" in bench.core.kernel.state.alerts)
        assert (await bench.endings())[0] == code
        assert await bench.decoder.jpeg(GATE, STILL) == b"JPEG"


@pytest.mark.parametrize("code", ["sys.exit(1)", "time.sleep(60)", "send(wire.DecoderAnswer(1, wire.DONE))"])
async def test_child_that_does_not_begin_refuses_every_picture_until_its_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """All waiting requests are rejected at once with the reason, nothing starts meanwhile, and an alert is raised."""
    monkeypatch.setattr(actor, "HELLO_S", 0.5)
    async with open_bench(*stand_in(tmp_path, code)) as bench:
        for _ in range(2):
            with pytest.raises(Undecodable, match="the decoder cannot be started"):
                await bench.decoder.jpeg(GATE, STILL)
        assert START in bench.core.kernel.state.alerts
        assert bench.core.types("child/").count("ChildStarting") == 1


async def test_look_that_may_not_be_taken_yet_starts_no_child() -> None:
    """A camera that has used its share starts no child; one that has not starts a child for its frame."""
    async with open_bench() as bench:
        bench.decoder.queue.charge(GATE, 60.0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.decoder.look, GATE, STILL, b"")
            await trio.testing.wait_all_tasks_blocked()
            assert bench.core.types("child/") == []
            await bench.decoder.look(YARD, STILL, b"")
            assert bench.core.types("child/") == ["ChildStarting", "ChildStarted"]
            nursery.cancel_scope.cancel()


@pytest.mark.slow
async def test_too_large_key_frame_starts_no_child() -> None:
    """It is rejected from its parameter sets."""
    large = Still(H264, access_units(8192, 8192, 1)[0], 1, 1, 1)
    async with open_bench() as bench:
        with pytest.raises(Undecodable, match=r"coded as 8192x8192; up to 16\.8 megapixels"):
            await bench.decoder.jpeg(GATE, large)
        assert bench.core.types("child/") == []


async def test_verdict_on_a_key_frame_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key frame is judged once, however often it is requested; the verdict is forgotten with the key frame."""
    read: list[int] = []

    def refuse(codec: object, units: object) -> str:
        read.append(1)
        return "too large"

    monkeypatch.setattr(client, "refusal", refuse)
    large, decoder = Still(H264, access_units()[0], 1, 1, 1), Decoder()
    for _ in range(10):
        with pytest.raises(Undecodable, match="too large"):
            await decoder.jpeg(GATE, large)
    assert len(read) == 1
    del large
    gc.collect()
    assert len(decoder._refusals) == 0


async def test_cancelled_callers_leave_nothing_behind() -> None:
    """Nothing stays in the queue or in the child: the next key frame is decoded as usual."""
    async with open_bench() as bench:
        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(bench.decoder.jpeg, GATE, STILL)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        await bench.decoder.jpeg(GATE, STILL)
        assert not bench.decoder.queue._snapshots


async def test_end_of_the_daemon_refuses_waiting_requests_and_leaves_no_process() -> None:
    """This holds for a cancellation during decoding."""
    async with open_core() as core:
        decoder = Decoder()
        async with trio.open_nursery() as outer:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run_decoder, decoder, tools(core))
                await decoder.jpeg(GATE, STILL)

                async def ask() -> None:
                    with suppress(Undecodable):
                        while True:
                            await decoder.jpeg(GATE, STILL)

                for _ in range(3):
                    outer.start_soon(ask)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        assert not descendants(os.getpid())
