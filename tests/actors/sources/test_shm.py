"""Shared memory that other programs write: real segments in /dev/shm, in virtual time unless a writer is a program."""

import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path

import attrs
import pytest
import trio
from trio.abc import Instrument
from trio.testing import MockClock

from actors.media.bitstream import join_annexb
from actors.media.h264 import H264
from actors.media.hub import Hub
from actors.media.media import CLOCK_RATE, AccessUnit, VideoCodec
from actors.sources import KINDS
from actors.sources.shm import CHECK_S, SETTLE_S
from actors.tools import Tools
from supervisor.base.clock import Clock
from supervisor.config.config import Source, Timeouts
from supervisor.config.load import parse
from supervisor.config.problem_text import ConfigError
from supervisor.domain import events as e
from supervisor.domain.health import health
from supervisor.domain.restart import SHARED_MEMORY_S
from supervisor.domain.state import State
from supervisor.domain.values import Fault, Reason
from supervisor.domain.verdict import Verdict
from tests.actors.process.test_child import tools
from tests.kit.core import open_core
from tests.kit.domain import GATE
from tests.kit.media import access_units
from tests.kit.shared_memory import BRIGHTNESS, OFFSETS, PLAIN, SEMAPHORE, SHM, SharedRing, shared_ring
from tests.kit.torn import count_torn
from tests.kit.world import hangs, open_world

NAME = f"/banken-test-{os.getpid()}"
PICTURES = [join_annexb(units) for units in access_units(count=41, fps=20)]
SECOND = 1_000_000_000
FPS = 30
FRAMES = 500


class Recorder(Hub):
    """Keeps all that was published."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.published: list[AccessUnit] = []

    def publish(self, units: Iterable[bytes], pts: int, codec: VideoCodec = H264, dts: int | None = None) -> None:
        before = self.units.end
        super().publish(units, pts, codec, dts)
        self.published += self.units.read_nowait(before, 1)


@attrs.define
class Reading:
    """A running source and its hub."""

    hub: Recorder
    reason: Reason | None = None
    """Why it ended."""


@asynccontextmanager
async def reading(source: Source | None = None, hub: Recorder | None = None) -> AsyncIterator[Reading]:
    async with open_core() as core, trio.open_nursery() as nursery:
        found = Reading(hub or Recorder(core.kernel.clock))
        found.hub.begin()
        nursery.start_soon(_read, source or Source("shm", f"shm:{NAME}"), found, tools(core))
        await trio.sleep(0.02)
        yield found
        nursery.cancel_scope.cancel()


async def _read(source: Source, found: Reading, with_tools: Tools) -> None:
    found.reason = await KINDS["shm"].run(GATE, source, found.hub, with_tools)


async def write(ring: SharedRing, count: int = 41, first: int = 0) -> None:
    """Write `count` pictures in real time, with a key frame every two seconds at 20 pictures a second."""
    for number in range(first, first + count):
        ring.write(PICTURES[number % 40], time_ns=number * SECOND // FPS)
        await trio.sleep(1 / FPS)


async def ended(found: Reading) -> Reason:
    """Wait until the source has ended."""
    with trio.fail_after(60):
        while found.reason is None:  # noqa: ASYNC110 - virtual time
            await trio.sleep(0.1)
    return found.reason


@pytest.mark.parametrize("size", OFFSETS)
async def test_frames_of_each_layout_are_published_as_they_were_written(size: int, autojump_clock: MockClock) -> None:
    """The size of the segment selects the layout. Times are those of the writer."""
    with shared_ring(NAME, size) as ring:
        async with reading() as found:
            await write(ring, 39)
            await trio.sleep(1)
            units = found.hub.published
            assert [unit.data for unit in units] == PICTURES[:39]
            assert {later.pts - earlier.pts for earlier, later in pairwise(units)} == {CLOCK_RATE // FPS}
            assert found.hub.loss.lost == found.hub.loss.skipped == found.hub.loss.malformed == 0
            assert found.hub.about().transport == "shared memory"


async def test_semaphore_keeps_its_posts_for_the_reader_that_waits_for_it(autojump_clock: MockClock) -> None:
    """Its 32 bytes stay as the writer left them."""
    with shared_ring(NAME, SEMAPHORE) as ring:
        ring.put(8, bytes(range(32)))
        async with reading() as found:
            await write(ring, 10)
            assert found.hub.picture is not None
        assert ring.path.read_bytes()[8:40] == bytes(range(32))


@pytest.mark.parametrize("size", [1, 4096, PLAIN - 1, BRIGHTNESS + 1])
async def test_another_size_is_refused_with_the_sizes_that_are_known(size: int) -> None:
    """A newer release of the writer may have another layout: nothing is guessed."""
    with shared_ring(NAME) as ring:
        os.truncate(ring.path, size)
        async with reading() as found:
            reason = await ended(found)
    assert (reason.code, reason.fault) == ("unknown-layout", Fault.FATAL)
    for each in (size, PLAIN, SEMAPHORE, BRIGHTNESS):
        assert f"{each:,}" in reason.text


@pytest.mark.parametrize(("kind", "name"), [(0, "JPEG"), (1, "NV12"), (2, "RGB"), (7, "format 7")])
async def test_other_formats_are_refused_by_name(kind: int, name: str, autojump_clock: MockClock) -> None:
    """banken decodes nothing here, and says what it found."""
    with shared_ring(NAME) as ring:
        async with reading() as found:
            for _ in range(3):
                ring.write(b"picture", kind=kind)
                await trio.sleep(1 / FPS)
            reason = await ended(found)
    assert (reason.code, reason.fault) == ("unsupported-codec", Fault.FATAL)
    assert name in reason.text


async def test_frames_of_another_format_among_h264_are_left_out(autojump_clock: MockClock) -> None:
    """The ring is filtered, and nothing is lost."""
    with shared_ring(NAME) as ring:
        async with reading() as found:
            for number, picture in enumerate(PICTURES[:20]):
                ring.write(picture, number)
                ring.write(b"picture", number, kind=1)
                await trio.sleep(1 / FPS)
            assert found.reason is None
            assert [unit.data for unit in found.hub.published] == PICTURES[:20]


@pytest.mark.parametrize("size", [0, 3_110_401, 1 << 63])
async def test_size_that_is_a_lie_is_counted_and_video_goes_on_at_the_next_key_frame(
    size: int, autojump_clock: MockClock
) -> None:
    """Nothing beyond the slot is read, and nothing that depends on the frame is shown."""
    with shared_ring(NAME) as ring:
        async with reading() as found:
            await write(ring, 10)
            ring.write(PICTURES[10], size=size)
            await write(ring, 34, first=11)
            await trio.sleep(1)
            assert [unit.data for unit in found.hub.published] == [*PICTURES[:10], *PICTURES[:5]]
            assert (found.hub.loss.malformed, found.hub.loss.skipped) == (1, 29)


@pytest.mark.parametrize(
    "data", [b"\xff" * 1000, b"\0" * 3_000_000, b"\0\0\x01" * 2000, b"\0\0\0\x01", b"x\0\0\x01\x65"]
)
async def test_data_that_is_no_annex_b_is_counted_and_left_out(data: bytes, autojump_clock: MockClock) -> None:
    """Zeros, noise, thousands of start codes."""
    with shared_ring(NAME) as ring:
        async with reading() as found:
            await write(ring, 10)
            ring.write(data)
            await write(ring, 30, first=11)
            assert [unit.data for unit in found.hub.published] == PICTURES[:10]
            assert found.hub.loss.malformed == 1


async def test_newest_frame_is_not_taken_while_it_is_written(autojump_clock: MockClock) -> None:
    """The index says that it exists before it does: half of a frame is never published."""
    with shared_ring(NAME) as ring:
        async with reading() as found:
            await write(ring, 5)
            await trio.sleep(1)
            assert len(found.hub.published) == 5
            at, header, picture = ring.begin(), ring.header(5, len(PICTURES[5])), PICTURES[5]
            await trio.sleep(1)  # its slot has no new header yet
            ring.put(at, header)
            for half in range(0, len(picture), len(picture) // 3):
                ring.put(at + len(header) + half, picture[half : half + len(picture) // 3])
                assert len(found.hub.published) == 5
                await trio.sleep(SETTLE_S * 0.9)
            await trio.sleep(2 * SETTLE_S)
            assert [unit.data for unit in found.hub.published] == PICTURES[:6]


async def test_newest_frame_is_taken_when_no_newer_one_comes(autojump_clock: MockClock) -> None:
    """At two frames a second, nobody waits for the next one."""
    with shared_ring(NAME) as ring:
        ring.every_ms(500)
        async with reading() as found:
            for picture in PICTURES[:6]:
                ring.write(picture)
                await trio.sleep(0.5)
                assert found.hub.published[-1].data == picture


async def test_reader_that_falls_behind_skips_to_the_newest_key_frame(autojump_clock: MockClock) -> None:
    """The frames that it missed are counted as lost."""
    with shared_ring(NAME) as ring:
        async with reading() as found:
            await write(ring, 10)
            for number in range(10, 100):
                ring.write(PICTURES[number % 40])
            await write(ring, 10, first=100)
            await trio.sleep(1)
            assert [unit.data for unit in found.hub.published][9:] == [PICTURES[n % 40] for n in range(80, 110)]
            assert found.hub.loss.lost == 71


async def test_index_that_jumps_far_counts_no_lost_frames(autojump_clock: MockClock) -> None:
    """Two billion would not be a figure. Video goes on at the next key frame."""
    with shared_ring(NAME) as ring:
        async with reading() as found:
            await write(ring, 10)
            ring.index = 2_000_000_000
            await write(ring, 10, first=80)
            await trio.sleep(1)
            assert found.hub.loss.lost == 0
            assert len(found.hub.published) > 10


async def test_gap_in_the_numbers_of_the_writer_is_lost(autojump_clock: MockClock) -> None:
    """The writer itself has dropped frames."""
    with shared_ring(NAME) as ring:
        async with reading() as found:
            for number in (0, 1, 2, 5, 6):
                ring.write(PICTURES[number], number)
            await trio.sleep(1)
            assert (len(found.hub.published), found.hub.loss.lost) == (5, 2)


async def test_frames_of_a_dead_writer_are_not_shown(autojump_clock: MockClock) -> None:
    """They would look like live video. A writer that comes back is followed from its newest key frame."""
    with shared_ring(NAME) as ring:
        for picture in PICTURES[:20]:
            ring.write(picture)
        async with reading() as found:
            await trio.sleep(5)
            assert found.hub.picture is None
            await write(ring, 35, first=20)
            assert found.hub.published[0].data == PICTURES[0]


@pytest.mark.parametrize("written", [0, 3])
async def test_shared_memory_without_a_writer_is_named_as_such(written: int, autojump_clock: MockClock) -> None:
    """It is another trouble than a camera that does not answer."""
    source = Source("shm", f"shm:{NAME}", timeouts=Timeouts(first_picture_s=7))
    with shared_ring(NAME) as ring:
        for picture in PICTURES[:written]:
            ring.write(picture)
        async with reading(source) as found:
            reason = await ended(found)
    empty = "" if written else ", which is empty,"
    assert reason == Reason(
        "no-writer", f"nothing was written to shared memory {NAME}{empty} within 7 s; timeouts: first_picture"
    )


def remove(ring: SharedRing) -> None:
    ring.unlink()


def replace(ring: SharedRing) -> None:
    ring.unlink()
    SharedRing(NAME).close()


def truncate(ring: SharedRing) -> None:
    os.truncate(ring.path, 4096)


def grow(ring: SharedRing) -> None:
    os.truncate(ring.path, BRIGHTNESS)


@pytest.mark.parametrize(
    ("act", "text"),
    [(remove, "was removed"), (replace, "was replaced"), (truncate, "now has 4,096"), (grow, "now has")],
)
async def test_segment_that_changes_ends_the_connection(
    act: Callable[[SharedRing], None], text: str, autojump_clock: MockClock
) -> None:
    """The daemon lives, and the reason is plain."""
    with shared_ring(NAME) as ring:
        async with reading() as found:
            await write(ring, 10)
            act(ring)
            with trio.fail_after(CHECK_S + 1):
                reason = await ended(found)
            assert reason.code == "shared-memory-gone"
            assert text in reason.text
            assert reason.fault is Fault.TEMPORARY


async def test_truncated_segment_is_read_short_between_two_looks(autojump_clock: MockClock) -> None:
    """A slot beyond the new end is read short: no signal is sent for it."""
    with shared_ring(NAME) as ring:
        async with reading() as found:
            await write(ring, 10)
            os.truncate(ring.path, OFFSETS[PLAIN][0] + 5 * OFFSETS[PLAIN][2])
            assert "now has" in (await ended(found)).text


async def test_two_writers_are_named(autojump_clock: MockClock) -> None:
    """Each has its own index, and its own count."""
    with shared_ring(NAME) as ring:
        async with reading() as found:
            for turn in range(40):
                ring.index = 1000 if turn % 2 else 10
                ring.write(PICTURES[0], turn)
                ring.write(PICTURES[0], turn)
                await trio.sleep(1 / FPS)
            assert (await ended(found)).code == "two-writers"


async def test_two_writers_that_share_the_index_are_named(autojump_clock: MockClock) -> None:
    """Only their counts differ."""
    with shared_ring(NAME) as ring:
        async with reading() as found:
            for turn in range(40):
                ring.write(PICTURES[0], turn + (50_000 if turn % 2 else 0))
                await trio.sleep(1 / FPS)
            assert (await ended(found)).code == "two-writers"


async def test_writer_that_begins_again_is_followed(autojump_clock: MockClock) -> None:
    """The same segment, from index 0 and frame 0; and the second camera of a pair, which has its own count."""
    with shared_ring(NAME) as ring:
        async with reading() as found:
            await write(ring, 50)
            ring.index = 0
            await write(ring, 30)
            assert found.reason is None
            assert found.hub.published[-1].data == PICTURES[28]


def test_malformed_name_is_a_problem_of_its_line() -> None:
    """In both forms of a camera; the name itself is hidden nowhere."""
    text = 'cameras:\n  one: shm:/good\n  two: shm:bad\n  three: {source: "shm:/a/b", mode: on_demand}\n'
    with pytest.raises(ConfigError) as error:
        parse(text, "banken.yaml", {}, {name: kind.check for name, kind in KINDS.items()})
    two, three = error.value.complaints
    assert two.startswith("banken.yaml:3: camera 'two': the name behind shm: must be one slash")
    assert three.startswith("banken.yaml:4: camera 'three': the name behind shm: must be one slash")


def test_name_without_a_slash_is_refused() -> None:
    """POSIX: one slash, then a name. No name leads out of /dev/shm."""
    check = KINDS["shm"].check
    assert check(Source("shm", "shm:/pet_camera_stream")) is None
    for name in ("", "/", "stream", "/a/b", "//a", "/..", "/.", "/../etc/passwd", f"/{'a' * 256}", f"/{'é' * 128}"):
        assert "must be one slash" in (check(Source("shm", f"shm:{name}")) or ""), name


@contextmanager
def nobody() -> Iterator[None]:
    """Files with mode 0 are not readable, also not for root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_segment_that_may_not_be_read_names_its_owner() -> None:
    """The permissions are the operator's to change."""
    with shared_ring(NAME) as ring:
        ring.path.chmod(0)
        with nobody():
            async with reading() as found:
                reason = await ended(found)
    assert (reason.code, reason.fault) == ("forbidden", Fault.FATAL)
    assert "(mode 0000)" in reason.text


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/etc/passwd")])
async def test_links_pipes_and_folders_are_refused(make: Callable[[Path], object]) -> None:
    """A link, a pipe or a folder in /dev/shm is not read, and nothing blocks."""
    path = SHM / NAME[1:]
    make(path)
    try:
        async with reading() as found:
            reason = await ended(found)
    finally:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    assert (reason.code, reason.fault) == ("bad-data", Fault.FATAL)


async def test_camera_waits_for_its_shared_memory_and_goes_live_when_it_comes(autojump_clock: MockClock) -> None:
    """The state says so at once, health after 30 s. Each segment is a connection, and its removal is a loss."""
    async with open_world({GATE: [hangs]}) as world:
        world.vault.take({GATE: Source("shm", f"shm:{NAME}")})

        def state() -> State:
            return world.core.kernel.state

        def verdict() -> Verdict:
            return next(part.verdict for part in health(state(), None).parts if part.part == "camera/gate")

        await world.until(lambda: world.camera() == "waiting", 1)
        reason = state().why(GATE, 0)
        assert reason is not None and reason.text == f"shared memory {NAME} does not exist yet"
        await trio.sleep(SHARED_MEMORY_S - 2)
        assert verdict() is Verdict.OK
        await trio.sleep(4)
        assert verdict() is Verdict.DEGRADED
        for _ in range(2):
            with shared_ring(NAME) as ring:
                await write(ring, 150)
                assert world.camera() == "live", state().why(GATE, 0)
            await world.until(lambda: world.camera() == "waiting", 2)
        await world.until(lambda: (state().why(GATE, 0) or reason).code == "no-shared-memory", 60)
        live = [row for row in await world.core.stored() if isinstance(row.event, e.CameraLive)]
        assert len(live) == 2


async def test_camera_is_opened_at_once_when_removed_shared_memory_exists_again(autojump_clock: MockClock) -> None:
    """Its program was restarted, for the sixth time within a minute: the backoff of the losses does not hold it up."""
    async with open_world({GATE: [hangs]}) as world:
        world.vault.take({GATE: Source("shm", f"shm:{NAME}")})
        for _ in range(6):
            with shared_ring(NAME) as ring:
                await write(ring, 60)
                assert world.camera() == "live", world.core.kernel.state.why(GATE, 0)
            await world.until(lambda: world.camera() == "waiting", 2)
            await trio.sleep(0.5)


async def test_camera_of_replaced_shared_memory_waits_out_its_backoff(autojump_clock: MockClock) -> None:
    """A program that replaces it again and again causes no attempt for each of them."""
    async with open_world({GATE: [hangs]}) as world:
        world.vault.take({GATE: Source("shm", f"shm:{NAME}")})
        for _ in range(60):
            with shared_ring(NAME):
                SHM.joinpath(NAME[1:]).rename(SHM / f"{NAME[1:]}-old")
                with shared_ring(NAME):
                    await trio.sleep(1)
                SHM.joinpath(f"{NAME[1:]}-old").rename(SHM / NAME[1:])
        tried = [row for row in await world.core.stored() if isinstance(row.event, e.CameraConnecting)]
        assert len(tried) < 20


@pytest.mark.slow
@pytest.mark.parametrize("size", [PLAIN, BRIGHTNESS])
async def test_no_frame_is_torn_while_a_program_writes_at_full_speed(size: int) -> None:
    """Of a writer that laps the ring many times a second. `ops/torn.py` looks at 20,000 of its frames."""
    hub = await count_torn(size, FRAMES, 60)
    assert hub.torn == 0
    assert hub.loss.lost > 0


class Steps(Instrument):
    """The longest step of any task, in seconds of processor time."""

    longest = began = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.began = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if "shm" in task.name:
            self.longest = max(self.longest, time.thread_time() - self.began)


@pytest.mark.alone
@pytest.mark.parametrize(
    "data",
    [
        PICTURES[0] + b"\x01" * 3_000_000,
        b"\0" * 3_100_000,
        PICTURES[0] + b"\0\0\x01\x41" * 700_000,
        b"\0\0\1" * 1_000_000,
    ],
)
async def test_largest_slot_does_not_stop_the_loop(data: bytes) -> None:
    """Noise, zeros or start codes: no step takes 5 ms."""
    steps = Steps()
    with shared_ring(NAME) as ring:
        async with reading():
            ring.write(PICTURES[0])
            await trio.sleep(0.3)
            trio.lowlevel.add_instrument(steps)
            for _ in range(6):
                ring.write(data)
                await trio.sleep(0.05)
            trio.lowlevel.remove_instrument(steps)
    assert 0 < steps.longest < 0.005
