"""The kernel: what was decided, in which order, from which cause; and what is promised."""

import pytest
import trio
from trio.testing import MockClock

from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.evolve import fold
from supervisor.domain.ids import PeerId, camera_stream
from supervisor.domain.state import state_hash
from supervisor.domain.values import Limits
from supervisor.journal.errors import JournalUnavailable
from supervisor.journal.writer import PENDING
from supervisor.kernel import HASH_EVERY, Origin
from tests.kit.core import open_core
from tests.kit.domain import ASKED, GATE, PICTURE, TEMPORARY, peer


async def test_replay_equals_the_live_state_after_a_lively_run(autojump_clock: MockClock) -> None:
    """At every point of a run with thousands of events, and the hashes written on the way prove it."""
    async with open_core() as core:
        states = {core.kernel.state.seq: state_hash(core.kernel.state)}
        for number in range(HASH_EVERY):
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
    assert core.disk.hashes == {seq: state_hash(fold(rows[:seq])) for seq in range(1000, len(rows) + 1, 1000)}
    assert len(core.disk.hashes) >= 4


async def test_the_journal_is_gapless_and_streams_count_their_own(autojump_clock: MockClock) -> None:
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
        opened = kernel.emit(peer(), origin=Origin("client:192.0.2.9", "request-1")).last
        assert opened is not None
        connected = kernel.emit(c.ReportPeerConnected(PeerId("peer-1")), after=opened).last
        assert connected is not None
        assert (opened.cause, opened.correlation, opened.principal) == (None, "request-1", "client:192.0.2.9")
        assert (connected.cause, connected.correlation, connected.principal) == (opened.seq, *(
            "request-1", "client:192.0.2.9"))  # fmt: skip
        applied, added = core.disk.rows[1:3]
        assert (applied.type, added.type, added.cause) == ("ConfigurationApplied", "CameraAdded", applied.seq)
        assert kernel.latest(camera_stream(GATE)) == added


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


async def test_nothing_is_promised_before_it_is_stored(autojump_clock: MockClock) -> None:
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


async def test_what_was_stored_before_the_error_is_not_stored_twice(autojump_clock: MockClock) -> None:
    async with open_core() as core:
        core.disk.broken_after = True
        core.kernel.emit(peer())
        await trio.sleep(3)
        rows = await core.stored()
        assert [recorded.seq for recorded in rows] == list(range(1, len(rows) + 1))
        assert core.journal.fault is None


async def test_a_full_buffer_refuses_before_anything_changes(autojump_clock: MockClock) -> None:
    """What could not be stored any more is not decided either: the live state never runs ahead for good."""
    async with open_core() as core:
        core.disk.broken = True
        for _ in range(PENDING // 2):
            core.kernel.emit(c.ConnectCamera(GATE))
            core.kernel.emit(c.ReportLoss(GATE, TEMPORARY, 0.0))
        state = core.kernel.state
        with pytest.raises(JournalUnavailable):
            core.kernel.emit(peer())
        assert core.kernel.state is state
        core.disk.broken = False
        await trio.sleep(2)
        rows = await core.stored()
        assert state_hash(fold(rows)) == state_hash(core.kernel.state)
        assert [recorded.seq for recorded in rows] == list(range(1, len(rows) + 1))


async def test_commits_are_grouped(autojump_clock: MockClock) -> None:
    """What gathers while a commit is under way is one transaction."""
    async with open_core(limits=Limits(peers_per_camera=64)) as core:
        before = len(core.disk.batches)
        async with trio.open_nursery() as nursery:
            for number in range(60):
                nursery.start_soon(core.kernel.submit, peer(f"peer-{number}", client=str(number)))
        assert len(core.disk.batches) - before <= 3
