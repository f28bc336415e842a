"""Clients that ask too often: each path of the kernel refuses them, and the journal hears of it once a minute."""

import pytest
import trio
from trio.testing import MockClock

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import LeaseId, PeerId, UseId
from supervisor.domain.values import Limits, RefusedClient, UseKind
from supervisor.ports.decisions import Origin
from supervisor.services.refusals import run_refusals
from tests.kit.core import Core, open_core
from tests.kit.domain import ASKED, GATE, lease

FEW = Limits(journaled_burst=5, journaled_rate=1.0, leases=10_000, leases_per_client=10_000)
ME = Origin("client:192.0.2.9")


def flood(core: Core, count: int, origin: Origin = ME) -> int:
    """Ask for `count` leases. Returns how many were granted."""
    made = 0
    for number in range(count):
        try:
            core.kernel.emit(lease(f"{core.kernel.state.seq}-{number}"), origin=origin)
            made += 1
        except Rejected as refused:
            if refused.refusal is not Refusal.RATE_LIMITED:
                raise
    return made


async def test_every_kind_of_request_shares_one_allowance(autojump_clock: MockClock) -> None:
    """Snapshots, leases and rooms of one client count together; nobody else's do."""
    async with open_core(limits=FEW) as core:
        for number in range(5):
            core.kernel.emit(c.BeginUse(UseId(f"use-{number}"), GATE, UseKind.SNAPSHOT, "192.0.2.9"), origin=ME)
        assert flood(core, 1) == 0
        assert flood(core, 1, Origin("client:192.0.2.10")) == 1
        assert flood(core, 9, Origin("patrol")) == 9, "banken itself is no client"
        await trio.sleep(2.0)
        assert flood(core, 5) == 2


async def test_request_that_is_refused_for_another_reason_costs_nothing(autojump_clock: MockClock) -> None:
    """Only what the journal keeps is charged."""
    async with open_core(limits=FEW) as core:
        for _ in range(50):
            with pytest.raises(Rejected) as refused:
                core.kernel.emit(c.ClosePeer(PeerId("none"), ASKED), origin=ME)
            assert refused.value.refusal is Refusal.UNKNOWN
            core.kernel.emit(c.EndLease(LeaseId("none"), ASKED), origin=ME)
        assert flood(core, 9) == 5


async def test_refusals_are_journaled_once_a_minute_with_their_clients(autojump_clock: MockClock) -> None:
    """A thousand refusals a second are one event within a second, and one a minute after it; none is forgotten."""
    async with open_core(limits=FEW) as core:
        core.nursery.start_soon(run_refusals, core.kernel)
        await trio.sleep(0.5)
        for _ in range(150):
            flood(core, 20)
            flood(core, 20, Origin("client:2001:db8::1"))
            await trio.sleep(1)
        await trio.sleep(60)
        rows = [row for row in await core.stored() if isinstance(row.event, e.RequestsRefused)]
        assert [round((row.wall_ns - rows[0].wall_ns) / 1e9) for row in rows] == [0, 60, 120, 180]
        assert {row.principal for row in rows} == {"actor"}
        first = rows[0].event
        assert isinstance(first, e.RequestsRefused)
        assert first.clients == (RefusedClient("192.0.2.9", 15), RefusedClient("2001:db8::/64", 15))
        counted = sum(each.requests for row in rows for each in row.event.clients)  # type: ignore[attr-defined]
        assert counted == core.kernel.allowance.refused_in_all
