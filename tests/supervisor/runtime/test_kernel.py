"""The kernel: decisions, their order and their causes; and which of them are acknowledged."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from supervisor.base.context import in_empty_context
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Rejected
from supervisor.domain.events import Recorded
from supervisor.domain.evolve import fold
from supervisor.domain.ids import ChildId, PeerId, camera_stream
from supervisor.domain.state import AUDIO, state_hash
from supervisor.domain.values import Limits
from supervisor.journal.errors import JournalReplaced
from supervisor.journal.retention import Removal
from supervisor.journal.writer import KEEP_EVERY_S, PENDING
from supervisor.ports.decisions import Origin
from supervisor.runtime.kernel import _drawn, new_id, random_bits
from tests.kit.core import open_core
from tests.kit.domain import ASKED, FATAL, GATE, PICTURE, TEMPORARY, child, peer


async def test_replay_equals_the_live_state_after_a_lively_run(autojump_clock: MockClock) -> None:
    """At every point of a run with thousands of events."""
    async with open_core() as core:
        states = {core.kernel.state.seq: state_hash(core.kernel.state)}
        for number in range(1000):
            core.kernel.emit(c.ConnectCamera(GATE))
            core.kernel.emit(peer(f"peer-{number}"))
            core.kernel.emit(c.ReportLive(GATE, PICTURE))
            core.kernel.emit(c.ReportPeerClosed(PeerId(f"peer-{number}"), ASKED))
            core.kernel.emit(c.ReportLoss(GATE, TEMPORARY, 0.1))
            states[core.kernel.state.seq] = state_hash(core.kernel.state)
            await trio.lowlevel.checkpoint()
        rows = await core.stored()
    state = fold([])
    for recorded in rows:
        state = fold([recorded], state)
        if recorded.seq in states:
            assert state_hash(state) == states[recorded.seq]
    assert len(rows) > 4000


async def test_the_journal_is_gapless_and_streams_count_their_own(autojump_clock: MockClock) -> None:
    """Numbers run from 1, and each stream has its own versions from 1."""
    async with open_core() as core:
        core.kernel.emit(peer())
        core.kernel.emit(c.ConnectCamera(GATE))
        core.kernel.emit(c.ReportPeerConnected(PeerId("peer-1")))
        rows = await core.stored()
    assert [recorded.seq for recorded in rows] == list(range(1, len(rows) + 1))
    versions: dict[str, int] = {}
    for recorded in rows:
        versions[recorded.stream] = versions.get(recorded.stream, 0) + 1
        assert recorded.stream_version == versions[recorded.stream]


async def test_causes_lead_to_the_root(autojump_clock: MockClock) -> None:
    """An event names the one it follows from and shares its correlation; what came from outside has no cause."""
    async with open_core() as core:
        kernel = core.kernel
        granted, opened = kernel.emit(peer(), origin=Origin("client:192.0.2.9", "request-1")).events
        connected = kernel.emit(c.ReportPeerConnected(PeerId("peer-1")), after=opened).last
        assert connected is not None
        assert (granted.cause, granted.correlation, granted.principal) == (None, "request-1", "client:192.0.2.9")
        assert (opened.cause, opened.correlation) == (granted.seq, "request-1")
        assert (connected.cause, connected.correlation, connected.principal) == (opened.seq, *(
            "request-1", "client:192.0.2.9"))  # fmt: skip
        applied, added = core.disk.rows[1:3]
        assert (applied.type, added.type, added.cause) == ("ConfigurationApplied", "CameraAdded", applied.seq)
        assert kernel.latest(camera_stream(GATE)) == added


async def test_carried_cause_applies_inside_its_block_and_in_the_tasks_that_it_starts() -> None:
    """It ends with the block, also after an error; `carry` advances it for all; an origin or a cause precedes."""
    async with open_core() as core:
        kernel, causes = core.kernel, {}

        def raise_alert(name: str, **arguments: Any) -> Recorded:
            recorded = kernel.emit(c.RaiseAlert(f"test/{name}", name), **arguments).last
            assert recorded is not None
            causes[name] = recorded.cause
            return recorded

        async def actor() -> None:
            raise_alert("in an actor")

        async def child(task_status: trio.TaskStatus[None]) -> None:
            kernel.carry(raise_alert("in a task"))
            raise_alert("later in the task")
            task_status.started()

        root = raise_alert("root")
        with suppress(ZeroDivisionError), kernel.following(root):
            first = raise_alert("inside")
            async with trio.open_nursery() as nursery:
                await nursery.start(child)
                await in_empty_context(actor)
            raise_alert("after the task")
            assert kernel.advance(c.RaiseAlert("test/advanced", "advanced"), kernel.fault()) == kernel.carried()
            raise_alert("after the advance")
            raise_alert("of an origin", origin=kernel.fault())
            raise_alert("with a cause", after=first)
            kernel.carry(first)
            kernel.carry(None)
            raise_alert("carried on")
            with kernel.following(None):
                raise_alert("without")
            raise ZeroDivisionError
        raise_alert("afterwards")
    assert causes == {
        "root": None,
        "inside": root.seq,
        "in a task": root.seq,
        "later in the task": first.seq + 1,
        "in an actor": None,
        "after the task": first.seq + 1,
        "after the advance": first.seq + 5,
        "of an origin": None,
        "with a cause": first.seq,
        "carried on": first.seq,
        "without": None,
        "afterwards": None,
    }


async def test_event_of_the_audio_child_is_not_a_cause_for_the_camera() -> None:
    """It is not in the camera's stream; its actor carries it as the cause of what becomes of the audio."""
    async with open_core() as core:
        kernel = core.kernel
        started = kernel.emit(child("child-1")).last
        kernel.emit(child("child-2", purpose=AUDIO))
        kernel.emit(c.ReportChildEnded(ChildId("child-2"), 0, None, ASKED))
        assert kernel.latest(camera_stream(GATE)) == started


async def test_concurrent_offers_never_exceed_the_cap(autojump_clock: MockClock) -> None:
    """A hundred at once for three places: three get one, whatever the order in which they run."""
    async with open_core(limits=Limits(peers=3)) as core:
        outcomes = []

        async def ask(number: int) -> None:
            try:
                await core.kernel.submit(peer(f"peer-{number}", client=str(number)))
                outcomes.append(True)
            except Rejected:
                outcomes.append(False)

        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(ask, number)
        assert sum(outcomes) == len(core.kernel.state.peers) == 3


async def test_nothing_is_acknowledged_before_it_is_stored(autojump_clock: MockClock) -> None:
    """A receipt that says durable names only events that the disk holds."""
    async with open_core() as core:
        receipt = await core.kernel.submit(peer())
        assert receipt.durable
        assert core.disk.rows[-1] == receipt.last
        core.disk.broken = True
        receipt = await core.kernel.submit(peer("peer-2"))
        assert not receipt.durable
        assert core.journal.fault == "database or disk is full"
        core.disk.broken = False
        await trio.sleep(2)
        assert core.journal.fault is None
        assert core.disk.rows[-1] == receipt.last


async def test_batch_stored_before_an_error_is_not_stored_twice(autojump_clock: MockClock) -> None:
    """The disk reports an error after it has written; the retry finds the batch already there."""
    async with open_core() as core:
        core.disk.broken_after = True
        core.kernel.emit(peer())
        await trio.sleep(3)
        rows = await core.stored()
        assert [recorded.seq for recorded in rows] == list(range(1, len(rows) + 1))
        assert core.journal.fault is None


async def test_events_beyond_the_backlog_are_a_gap_of_exactly_their_number(autojump_clock: MockClock) -> None:
    """A disk that writes nothing for long stops no camera; what it led to is stored, and how much was not."""
    async with open_core() as core:
        core.disk.broken = True
        first = core.kernel.state.seq + 1
        for _ in range(PENDING):
            core.kernel.emit(c.ConnectCamera(GATE))
            core.kernel.emit(c.ReportLoss(GATE, TEMPORARY, 0.0))
        lost = core.kernel.emit(peer()).last
        assert lost is not None
        state = core.kernel.state
        assert not await core.journal.wait_committed(lost.seq)
        core.disk.broken = False
        await trio.sleep(2)
        rows = await core.stored()
        assert core.journal.fault is None
        assert not await core.journal.wait_committed(lost.seq), "what was lost is never promised"
        kept = [row for row in rows if row.seq >= first]
        assert [row.seq for row in kept] == [*range(first, first + PENDING), state.seq + 1]
        assert kept[-1].event == e.EventsLost(first + PENDING, state.seq, state.seq - first - PENDING + 1)
        assert core.journal.statistics().lost == state.seq - first - PENDING + 1
        assert core.disk.state == core.kernel.state
        assert fold(kept[-1:], state) == core.kernel.state
        page = await core.feed.next_page(state.seq)
        assert page[0] == kept[-1]
        assert (await core.feed.next_page(first + PENDING))[0] == kept[-1], "followers go on behind the gap"


async def test_events_go_on_being_lost_until_the_line_is_empty(autojump_clock: MockClock) -> None:
    """No event is stored whose forerunner is neither stored nor told to be lost."""
    async with open_core() as core:
        core.disk.broken = True
        for _ in range(PENDING):
            core.kernel.emit(c.ConnectCamera(GATE))
            core.kernel.emit(c.ReportLoss(GATE, TEMPORARY, 0.0))
        core.disk.broken = False
        while core.journal.statistics().pending > PENDING // 2:
            await trio.sleep(0.1)
            core.kernel.emit(c.ConnectCamera(GATE))
            core.kernel.emit(c.ReportLoss(GATE, TEMPORARY, 0.0))
        rows = await core.stored()
        gaps = [row.event for row in rows if isinstance(row.event, e.EventsLost)]
        missing = set(range(1, core.kernel.state.seq + 1)) - {row.seq for row in rows}
        assert missing == {seq for gap in gaps for seq in range(gap.first, gap.last + 1)}


async def test_commits_are_grouped(autojump_clock: MockClock) -> None:
    """Events that gather during a commit become one transaction."""
    async with open_core(limits=Limits(peers_per_camera=64)) as core:
        before = len(core.disk.batches)
        async with trio.open_nursery() as nursery:
            for number in range(60):
                nursery.start_soon(core.kernel.submit, peer(f"peer-{number}", client=str(number)))
        assert len(core.disk.batches) - before <= 3


async def test_new_chain_begins_with_an_event_that_names_the_old_one(autojump_clock: MockClock) -> None:
    """Events that waited were never acknowledged and are a gap; decisions made during the fault are stored."""
    async with open_core() as core:
        core.journal.on_chain = lambda old, why: core.kernel.emit(c.ReportChain(old.seq, old.digest.hex(), why))
        begun: list[int] = []
        core.journal.on_begun = lambda: begun.append(core.kernel.state.seq)
        before = core.kernel.state.seq
        core.disk.replaced = True
        lost = await core.kernel.submit(peer())
        assert not lost.durable
        assert core.journal.fault == "another file is there"
        await trio.sleep(5)
        later = core.kernel.emit(peer("peer-2")).last
        assert later is not None
        core.disk.replaced = False
        await trio.sleep(2)
        rows = [row for row in await core.stored() if row.seq > before]
        assert core.journal.fault is None
        assert [row.type for row in rows] == [
            "ChainBegan",
            "EventsLost",
            *["LeaseGranted", "PeerOpened"][-len(rows) + 2 :],
        ]
        assert rows[0].event == e.ChainBegan(before, "", "another file is there")
        assert lost.last is not None
        assert rows[1].event == e.EventsLost(before + 1, lost.last.seq, lost.last.seq - before)
        assert not await core.journal.wait_committed(lost.last.seq), "what was lost is never acknowledged"
        assert await core.journal.wait_committed(later.seq)
        assert len(begun) == 1
        assert core.disk.state == core.kernel.state


async def test_files_that_are_replaced_while_nothing_is_written_begin_a_new_chain(autojump_clock: MockClock) -> None:
    """The thread that looks tells the loop; nothing waited, so nothing is lost."""
    async with open_core() as core:
        core.journal.on_chain = lambda old, why: core.kernel.emit(c.ReportChain(old.seq, old.digest.hex(), why))
        before = core.kernel.state.seq
        core.disk.on_replaced(JournalReplaced("the lock is gone"))
        assert core.journal.fault == "the lock is gone"
        await trio.sleep(1)
        assert core.journal.fault is None
        assert [row.type for row in await core.stored() if row.seq > before] == ["ChainBegan"]


async def test_segments_are_removed_when_the_event_that_says_so_is_durable(autojump_clock: MockClock) -> None:
    """A disk that cannot write keeps its old segments."""
    async with open_core() as core:
        removal = Removal(("segment-0000000001.sqlite",), 1, 10, 4096, "1 older than 90 days")
        core.journal.on_removal = lambda found: (
            core.kernel.emit(c.ReportRemoval(found.segments, found.first, found.last, found.bytes, found.why)).last
        )
        core.disk.expendable, core.disk.broken = removal, True
        await trio.sleep(KEEP_EVERY_S + 1)
        assert core.disk.removed == ()
        core.disk.broken = False
        await trio.sleep(2 * KEEP_EVERY_S)
        assert core.disk.removed == removal.segments
        told = [row.event for row in core.disk.rows if isinstance(row.event, e.SegmentsRemoved)]
        assert told[0] == e.SegmentsRemoved(removal.segments, 1, 10, 4096, "1 older than 90 days")


async def test_removal_that_fails_is_reported_once_with_its_failure(autojump_clock: MockClock) -> None:
    """A file that cannot be deleted is tried each minute, and fills no journal. A larger removal is another one."""
    async with open_core() as core:
        removals: list[Removal] = []
        failures: list[str] = []

        def report(found: Removal) -> Recorded | None:
            removals.append(found)
            return core.kernel.emit(
                c.ReportRemoval(found.segments, found.first, found.last, found.bytes, found.why)
            ).last

        core.journal.on_removal, core.journal.on_not_removed = report, failures.append
        first = Removal(("segment-0000000001.sqlite",), 1, 10, 4096, "1 older than 90 days")
        core.disk.expendable, core.disk.refused = first, PermissionError(1, "Operation not permitted")
        await trio.sleep(60 * KEEP_EVERY_S)
        assert removals == [first]
        assert failures == ["old segments were not removed: [Errno 1] Operation not permitted"]
        larger = Removal((*first.segments, "segment-0000000011.sqlite"), 1, 20, 8192, "2 older than 90 days")
        core.disk.expendable = larger
        await trio.sleep(10 * KEEP_EVERY_S)
        assert removals == [first, larger]
        core.disk.refused = None
        await trio.sleep(2 * KEEP_EVERY_S)
        assert core.disk.removed == larger.segments
        assert removals == [first, larger]


async def test_end_of_a_fault_is_reported_once_a_minute_at_most(autojump_clock: MockClock) -> None:
    """Each such event is a separate write: a disk that flaps gets few of them."""
    async with open_core() as core:
        told: list[tuple[str, float]] = []
        core.journal.on_recovered = lambda why, lasted_s: told.append((why, lasted_s))
        for _ in range(10):
            core.disk.broken = True
            await core.kernel.submit(c.ConnectCamera(GATE))
            await core.kernel.submit(c.ReportLoss(GATE, TEMPORARY, 0.0))
            core.disk.broken = False
            await trio.sleep(1)
        assert [why for why, _ in told] == ["database or disk is full"]
        assert 0 < told[0][1] < 2


@pytest.mark.parametrize("error", [MemoryError(), OSError(11, "the system refuses another thread")])
async def test_refused_resource_is_a_fault_of_the_journal(autojump_clock: MockClock, error: Exception) -> None:
    """It is tried again, and ends nothing."""
    async with open_core() as core:
        core.disk.error = error
        receipt = await core.kernel.submit(peer())
        assert not receipt.durable
        assert core.journal.fault
        core.disk.error = None
        await trio.sleep(2)
        assert core.journal.fault is None
        assert receipt.last == (await core.stored())[-1]


def test_ids_of_several_threads_are_all_different() -> None:
    """They are drawn from one stock, from which each number is taken once."""
    with ThreadPoolExecutor(4) as pool:
        found = [one for each in pool.map(lambda _: [random_bits() for _ in range(3000)], range(4)) for one in each]
    assert len(set(found)) > len(found) - 10, "12,000 of 32 bits: a pair in sixty such tests is chance"


def test_child_of_a_fork_draws_its_own_ids() -> None:
    """Random bits left in the parent's pool would otherwise be used twice."""
    random_bits()
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writer, b"%d" % len(_drawn))
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 10) == b"0"
    assert _drawn
    os.close(reader)
    os.close(writer)


def test_ids_grow_with_time_and_have_16_digits() -> None:
    """Those of one moment stand side by side in an index."""
    first, time_bits = new_id(), 41
    assert len(first) == 16
    assert 0 <= (int(new_id(), 16) >> (64 - time_bits)) - (int(first, 16) >> (64 - time_bits)) < 2**20


async def test_wait_retry_ends_for_a_request_since_the_loss_and_for_no_earlier_one(autojump_clock: MockClock) -> None:
    """Between a loss and the wait others run: what is asked for then is not missed."""
    async with open_core() as core:
        kernel = core.kernel
        kernel.emit(c.ConnectCamera(GATE))
        lost = kernel.emit(c.ReportLoss(GATE, FATAL, 0.5)).last
        await trio.sleep(2)
        asked = kernel.emit(c.RetryCamera(GATE, "192.0.2.9")).last
        assert lost is not None
        assert asked is not None
        await kernel.wait_retry(GATE, lost.seq)
        with trio.move_on_after(5) as wait:
            await kernel.wait_retry(GATE, asked.seq)
        assert wait.cancelled_caught
