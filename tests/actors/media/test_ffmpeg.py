"""ffmpeg's errors as text for people, and its output, which takes no more than a camera's share of the loop."""

from itertools import islice, pairwise

import pytest
import trio
from trio.testing import MockClock

from actors.cpu_share import AT_ONCE, BURST_S, OF_VIDEO, RATE, CpuShare
from actors.media import ffmpeg
from actors.media.ffmpeg import explain, publish_flv
from actors.media.hub import Hub
from actors.process.child import ChildExit
from supervisor.base.clock import TrioClock
from supervisor.domain.values import Fault
from tests.kit.media import flv, video_tag


@pytest.mark.parametrize(
    ("line", "code", "fault"),
    [
        ("[rtsp @ 0x1] method DESCRIBE failed: 401 Unauthorized", "unauthorized", Fault.FATAL),
        ("[rtsp @ 0x1] method DESCRIBE failed: 403 Forbidden", "forbidden", Fault.FATAL),
        ("[rtsp @ 0x1] method DESCRIBE failed: 404 Not Found", "not-found", Fault.FATAL),
        ("[rtsp @ 0x1] method DESCRIBE failed: 404 Stream Not Found", "not-found", Fault.FATAL),
        ("[rtsp @ 0x1] method SETUP failed: 453 Not Enough Bandwidth", "full", Fault.TEMPORARY),
        ("[rtsp @ 0x1] method DESCRIBE failed: 503 Service Unavailable", "full", Fault.TEMPORARY),
        ("[tcp @ 0x1] Connection to tcp://192.0.2.1:554 failed: Connection refused", "unreachable", Fault.TEMPORARY),
        ("[tcp @ 0x1] Connection to tcp://192.0.2.1:554 failed: No route to host", "unreachable", Fault.TEMPORARY),
        ("[tcp @ 0x1] Failed to resolve hostname nowhere: Name or service not known", "unreachable", Fault.TEMPORARY),
        ("pipe:0: Connection timed out", "timeout", Fault.TEMPORARY),
        ("[flv @ 0x1] Video codec hevc not compatible with flv", "unsupported-codec", Fault.FATAL),
        ("[flv @ 0x1] Audio codec opus not compatible with flv", "unsupported-sound", Fault.FATAL),
        ("Output file #0 does not contain any stream", "no-video", Fault.FATAL),
        ("Stream map '0:v:0' matches no streams.", "no-video", Fault.FATAL),
        ("/nowhere.mp4: No such file or directory", "not-found", Fault.FATAL),
        ("Unrecognized option 'nonsense'.", "bad-settings", Fault.FATAL),
        ("pipe:0: Invalid argument", "ended", Fault.TEMPORARY),
        ("clip.mp4: Invalid data found when processing input", "bad-data", Fault.TEMPORARY),
        ("[rtsp @ 0x1] method SETUP failed: 461 Unsupported transport", "unsupported-transport", Fault.FATAL),
        ("[rtsp @ 0x1] method PLAY failed: 454 Session Not Found", "refused", Fault.TEMPORARY),
        ("[rtsp @ 0x1] method PLAY failed: 500 Internal Server Error", "camera-error", Fault.TEMPORARY),
    ],
)
def test_complaints_are_understood(line: str, code: str, fault: Fault) -> None:
    """A fatal fault is one that a new attempt cannot repair; everything else is temporary."""
    reason = explain(ChildExit(1, ("something before", line)))
    assert (reason.code, reason.fault) == (code, fault)


def test_the_last_complaint_that_is_understood_counts() -> None:
    """The 401 after a refused connection counts, and the unknown line after it does not."""
    lines = ("Connection refused", "[rtsp @ 0x1] method DESCRIBE failed: 401 Unauthorized", "Conversion failed!")
    assert explain(ChildExit(1, lines)).code == "unauthorized"


async def test_b_frames_have_the_decode_time_and_the_presentation_time_of_the_stream(
    autojump_clock: MockClock,
) -> None:
    """The composition offset is their distance."""
    hub = Hub(TrioClock())
    hub.begin()
    publisher = ffmpeg.FlvPublisher(hub)
    place = hub.subscribe()
    for chunk in flv(count=7, b_frames=True):
        list(publisher.feed(chunk))
    units = [taken[0] for taken in iter(place.take_nowait, None)]
    assert [unit.dts - units[0].dts for unit in units] == [9000 * index for index in range(7)]
    assert [unit.pts - units[0].pts for unit in units] == [0, 27_000, 9000, 18_000, 54_000, 36_000, 45_000]
    assert all(unit.pts >= unit.dts for unit in units)


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (ChildExit(-9, ()), "ffmpeg was ended by SIGKILL"),
        (ChildExit(-11, ()), "ffmpeg was ended by SIGSEGV"),
        (ChildExit(0, ()), "the stream ended"),
        (ChildExit(1, ("Something new",)), "ffmpeg ended with 1: Something new"),
        (ChildExit(1, ()), "ffmpeg ended with 1: it said nothing"),
    ],
)
def test_unknown_line_of_ffmpeg_is_quoted(ending: ChildExit, text: str) -> None:
    """A signal is named, an unknown line is quoted, and the fault is temporary."""
    reason = explain(ending)
    assert (reason.text, reason.fault) == (text, Fault.TEMPORARY)


class Whole:
    """A stream that delivers everything at once."""

    def __init__(self, data: bytes) -> None:
        self._pieces = [b"", data]

    async def receive_some(self, _most: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._pieces.pop()


async def test_pictures_that_come_at_once_leave_others_their_turn() -> None:
    """64 kB may be 2,000 small access units; other tasks run in between."""
    count, seen, turns = 40 * AT_ONCE // OF_VIDEO, 0, []
    hub = Hub(TrioClock())

    def publish(_units: object, _pts: int, _codec: object, _dts: int) -> None:
        nonlocal seen
        seen += 1

    hub.publish = publish  # type: ignore[assignment, method-assign]
    stream = b"".join(islice(flv(count=1), 2)) + video_tag(0, b"\x27\x01\x00\x00\x00\x00\x00\x00\x01\x41") * count
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            assert await publish_flv(Whole(stream), hub) is None  # type: ignore[arg-type]
            nursery.cancel_scope.cancel()

        nursery.start_soon(run)
        while True:
            turns.append(seen)
            await trio.lowlevel.checkpoint()
    assert seen == count
    assert max(after - before for before, after in pairwise([*turns, seen])) <= 2 * AT_ONCE // OF_VIDEO


async def test_pictures_without_end_are_read_with_pauses(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overdrawn time is waited for; ffmpeg is blocked meanwhile."""
    spent = 0.0
    monkeypatch.setattr(ffmpeg, "CpuShare", lambda now: CpuShare(now, lambda: spent))
    hub = Hub(TrioClock())

    def publish(_units: object, _pts: int, _codec: object, _dts: int) -> None:
        nonlocal spent
        spent += 0.1

    hub.publish = publish  # type: ignore[assignment, method-assign]
    stream = b"".join(islice(flv(count=1), 2)) + video_tag(0, b"\x27\x01\x00\x00\x00\x00\x00\x00\x01\x41") * 30
    assert await publish_flv(Whole(stream), hub) is None  # type: ignore[arg-type]
    assert trio.current_time() == pytest.approx((30 * 0.1 - BURST_S) / RATE, rel=0.2)
