"""The keeper of leases: who is heard of keeps his, who vanishes loses it and what lived under it, in bounded time."""

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import CameraId, DetectionId, LeaseId
from supervisor.domain.lifecycle import PeerPhase
from supervisor.domain.values import Limits, Reason
from supervisor.ports.decisions import Origin
from supervisor.runtime import kernel
from supervisor.services.detections import PER_CAMERA_BURST, PER_CAMERA_S, Detections
from supervisor.services.leases import SWEEP_S, Leases
from tests.kit.core import Core, open_core
from tests.kit.domain import GATE, YARD, lease, peer
from tests.supervisor.domain.test_lease import MINE, under

HERE, THERE = Origin("client:192.0.2.9"), Origin("client:198.51.100.7")


def keep(core: Core) -> Leases:
    keeper = Leases(core.kernel)
    core.nursery.start_soon(keeper.run)
    return keeper


async def test_lease_of_a_vanished_client_ends_with_its_peer_within_ttl_and_a_sweep(autojump_clock: MockClock) -> None:
    """Between 30 s and one sweep more; the cause of the end is the grant."""
    async with open_core() as core:
        keeper = keep(core)
        await trio.sleep(3.21)
        keeper.grant(lease(ttl_s=30))
        core.kernel.emit(under("lease-1"))
        vanished = trio.current_time()
        while MINE in core.kernel.state.leases:
            await core.kernel.wait_change(core.kernel.state.seq)
        assert 30 <= trio.current_time() - vanished <= 30 + SWEEP_S
        assert core.kernel.state.peers["peer-1"].phase is PeerPhase.CLOSING  # type: ignore[index]
        rows = await core.stored()
        ended = next(row for row in rows if isinstance(row.event, e.LeaseEnded))
        assert rows[(ended.cause or 0) - 1].type == "LeaseGranted"


async def test_renewed_lease_lasts_for_months_without_an_event(autojump_clock: MockClock) -> None:
    """Wherever he is heard from: a network may change under a page."""
    async with open_core() as core:
        keeper = keep(core)
        core.kernel.emit(lease(ttl_s=30))
        before = core.kernel.state
        for number in range(1000):
            keeper.renew(MINE, "mine", 0.0, THERE if number % 2 else HERE)
            await trio.sleep(29.9)
        assert core.kernel.state is before
        await trio.sleep(30 + SWEEP_S)
        assert not core.kernel.state.leases


async def test_lease_of_the_state_that_was_granted_elsewhere_expires(autojump_clock: MockClock) -> None:
    """The sweep reads the leases of the state, not only those granted through the keeper."""
    async with open_core() as core:
        keep(core)
        core.kernel.emit(lease(ttl_s=30))
        await trio.sleep(30 + 2 * SWEEP_S)
        assert not core.kernel.state.leases


async def test_lease_of_an_open_connection_does_not_expire(autojump_clock: MockClock) -> None:
    """After an hour the lease of a peer and that of an MJPEG stream still have 20 s each."""
    async with open_core() as core:
        keeper = keep(core)
        core.kernel.emit(peer("peer-1"))
        core.kernel.emit(lease("row-1", ttl_s=0))
        await trio.sleep(3600)
        assert sorted(core.kernel.state.leases) == ["peer-1", "row-1"]
        left_ns = {keeper.expires_ns(held) - core.kernel.clock.wall_ns() for held in core.kernel.state.leases.values()}
        assert left_ns == {20_000_000_000}, "it lives on while the connection does"


async def test_the_table_forgets_what_has_ended(autojump_clock: MockClock) -> None:
    """A hundred leases, granted and ended, leave no entry after one sweep."""
    async with open_core(limits=Limits(journaled_burst=100)) as core:
        keeper = keep(core)
        for number in range(100):
            keeper.grant(lease(f"lease-{number}"))
            core.kernel.emit(c.EndLease(LeaseId(f"lease-{number}"), Reason("released", "done")))
        await trio.sleep(SWEEP_S + 1)
        assert keeper.statistics() == 0


async def test_ends_that_are_kept_in_memory_are_bounded(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest is forgotten first."""
    monkeypatch.setattr(kernel, "ENDED", 10)
    async with open_core(limits=Limits(journaled_burst=100)) as core:
        for number in range(12):
            core.kernel.emit(lease(f"lease-{number}"))
            core.kernel.emit(c.EndLease(LeaseId(f"lease-{number}"), Reason("released", "done")))
        assert [*core.kernel.ended] == [f"lease-{number}" for number in range(2, 12)]


async def test_refusals_are_journaled_once_a_second_and_counted(autojump_clock: MockClock) -> None:
    """A thousand a second are two lines in the journal, and none is forgotten."""
    async with open_core(limits=Limits(leases=1, peers=1)) as core:
        keeper = Leases(core.kernel)
        keeper.grant(lease())
        keeper.grant(peer())
        for _ in range(1000):
            with pytest.raises(Rejected):
                keeper.grant(lease("lease-2"))
            await trio.sleep(0.0009)
        await trio.sleep(0.5)
        for wish in (peer("peer-2"), peer("peer-3", YARD)):
            with pytest.raises(Rejected):
                keeper.grant(wish)
        said = [row.event for row in await core.stored() if isinstance(row.event, e.LeaseRefused)]
        assert [event.suppressed for event in said] == [0, 999]
        assert {event.reason.code for event in said} == {"not-lent"}


async def test_a_suggestion_ends_to_the_moment_and_not_at_the_next_sweep(autojump_clock: MockClock) -> None:
    """Within 1 ms of `shown_s`, three times, at times unlike those of the sweep."""
    async with open_core() as core:
        keep(core)
        for number in range(3):
            await trio.sleep(71.3)
            began, ids = trio.current_time(), (DetectionId(f"seen-{number}"), LeaseId(f"lease-{number}"))
            core.kernel.emit(c.ReportDetection(*ids, GATE, core.kernel.clock.wall_ns(), "person", 0.9, "192.0.2.5"))
            assert core.kernel.state.suggestion is not None
            while core.kernel.state.suggestion is not None:
                await core.kernel.wait_change(core.kernel.state.seq)
            assert abs(trio.current_time() - began - core.kernel.state.policy.shown_s) < 0.001
            assert not core.kernel.state.leases


async def test_suggestion_whose_lease_cannot_be_ended_delays_no_other_task(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end is asked for once; other tasks run meanwhile, and the sweep asks again."""
    async with open_core() as core:
        asked, emit = list[c.Command](), core.kernel.emit

        def ignores(command: c.Command, **more: object) -> object:
            if not isinstance(command, c.EndLease):
                return emit(command, **more)  # type: ignore[arg-type]
            asked.append(command)
            assert len(asked) < 100, "it is asked for without end"
            return None

        monkeypatch.setattr(core.kernel, "emit", ignores)
        keep(core)
        ids = DetectionId("seen"), LeaseId("lease")
        await trio.sleep(0.37 * SWEEP_S)  # so that it ends between two sweeps
        emit(c.ReportDetection(*ids, GATE, core.kernel.clock.wall_ns(), "person", 0.9, "192.0.2.5"))
        await trio.sleep(core.kernel.state.policy.shown_s + 2 * SWEEP_S)
        assert len(asked) == 1
        assert not core.kernel.state.suggestions


async def test_flood_of_detections_of_one_camera_does_not_delay_another(autojump_clock: MockClock) -> None:
    """Of 1000 reports a second, the burst and the rate are taken; another camera's report is taken at once."""
    async with open_core(GATE, YARD) as core:
        detections = Detections(core.kernel)

        def report(camera: CameraId) -> bool:
            ids = (DetectionId(""), LeaseId(""))
            seen = c.ReportDetection(*ids, camera, core.kernel.clock.wall_ns(), "person", 0.9, "192.0.2.5")
            with suppress(Rejected):
                return bool(detections.report(seen))
            return False

        taken = 0
        for _ in range(10_000):
            taken += report(GATE)
            await trio.sleep(0.001)
        assert 0 <= PER_CAMERA_BURST + 10 * PER_CAMERA_S - taken <= 1
        assert report(YARD)
        assert len([row for row in await core.stored() if row.type == "DetectionMade"]) == taken + 1
