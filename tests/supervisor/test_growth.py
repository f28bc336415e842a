"""Growth of the journal: who is named for it, who is slowed, and when that ends."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.allowance import MOST_BUCKETS, MOST_NAMED
from supervisor.domain.errors import Rejected
from supervisor.domain.growth import WINDOW_S, Keeping, Traffic, Window, project
from supervisor.domain.ids import LeaseId
from supervisor.domain.tally import MOST_CLIENTS, MOST_CORRELATIONS, Tally
from supervisor.domain.values import Limits
from supervisor.growth import EVERY_S, FEW_EVENTS, THRESHOLDS, USUAL_BYTES, GrowthMonitor, bytes_per_event
from supervisor.kernel import Origin
from supervisor.monitors import Monitor, run_monitors
from tests.kit.core import Core, open_core
from tests.kit.domain import ASKED, lease

DAY_S = 86400.0
DEFAULT = Keeping(90 * DAY_S, 4 * 1024**3)
LIMITS = Limits()
NOBODY: frozenset[str] = frozenset()
BUSY, CALM = "192.0.2.9", "192.0.2.10"


def traffic(events: int, **asked: int) -> Traffic:
    """Of two clients, `busy` and `calm`, and of cameras."""
    names = {"busy": BUSY, "calm": CALM}
    by_client = {names[who]: min(events, 2 * count) for who, count in asked.items()}
    return Traffic(events, by_client, {names[who]: count for who, count in asked.items()})


def test_growth_that_keeps_history_names_nobody() -> None:
    """At the default settings half a kilobyte a second is what 90 days have room for."""
    found = project(traffic(600, busy=500), 500.0, DEFAULT, LIMITS, NOBODY)
    assert (found.bytes_per_s, found.ratio < 1, found.clients, found.level) == (500.0, True, (), 0.0)
    assert found.kept_s == pytest.approx(99.4 * DAY_S, rel=0.01)


def test_growth_that_cuts_history_names_the_busy_client_alone() -> None:
    """A client that has opened a wall or two is no cause, nor is a camera; those may write what they must."""
    found = project(traffic(3000, busy=1200, calm=100), 500.0, DEFAULT, LIMITS, NOBODY)
    assert (found.clients, found.level > 1) == ((BUSY,), True)
    cameras = project(traffic(9000, calm=100), 500.0, DEFAULT, LIMITS, NOBODY)
    assert (cameras.ratio > 1, cameras.clients, cameras.level) == (True, (), 0.0)


def test_slowed_client_that_goes_on_asking_stays_slowed() -> None:
    """What it would write counts: the growth has only stopped because it is slowed."""
    slowed = frozenset({BUSY})
    assert project(traffic(300, busy=60_000), 500.0, DEFAULT, LIMITS, slowed).clients == (BUSY,)
    assert project(traffic(300, busy=60_000), 500.0, DEFAULT, LIMITS, NOBODY).clients == ()
    assert project(traffic(300, busy=30), 500.0, DEFAULT, LIMITS, slowed).clients == ()


def test_client_is_not_named_for_growth_that_cameras_cause() -> None:
    """Slowing a client that is busy would not keep history: cameras write too much without it."""
    own = Traffic(2500, {BUSY: 500}, {BUSY: 250})
    found = project(own, 500.0, DEFAULT, LIMITS, NOBODY)
    assert (found.ratio > 1, found.clients) == (True, ())
    assert project(own, 500.0, DEFAULT, LIMITS, frozenset({BUSY})).clients == ()
    helped = Traffic(1000, {BUSY: 500}, {BUSY: 250})
    assert project(helped, 500.0, DEFAULT, LIMITS, NOBODY).clients == (BUSY,)


def test_every_busy_client_is_slowed_whatever_number_a_report_names() -> None:
    """The bound of a text is no bound of who is slowed."""
    many = {f"192.0.2.{number}": 500 for number in range(3 * MOST_NAMED)}
    found = project(Traffic(1000 * len(many), dict.fromkeys(many, 1000), many), 500.0, DEFAULT, LIMITS, NOBODY)
    assert {*found.clients} == {*many}


def test_window_sums_the_last_readings_only_and_forgets_names_without_a_count() -> None:
    """A reading that leaves the window is subtracted, with the names that only it had."""
    window = Window(2)
    window.add(5, {BUSY: 3}, {BUSY: 2})
    assert window.add(4, {BUSY: 1, CALM: 1}, {CALM: 1}) == Traffic(9, {BUSY: 4, CALM: 1}, {BUSY: 2, CALM: 1})
    assert window.add(1, {}, {}) == Traffic(5, {BUSY: 1, CALM: 1}, {CALM: 1})
    assert window.add(0, {}, {}) == Traffic(1, {}, {})


def test_window_holds_a_bounded_number_of_names_in_all_readings() -> None:
    """Each reading may bring new names; those that are in the table are counted on."""
    window = Window(60)
    for turn in range(120):
        asked = {f"{turn}-{number}": 1 for number in range(MOST_BUCKETS // 2)} | {BUSY: 1}
        found = window.add(1, asked, asked)
        assert max(len(found.by_client), len(found.asked)) <= MOST_BUCKETS
        assert found.asked[BUSY] == min(turn + 1, 60)
    for _ in range(60):
        found = window.add(0, {}, {})
    assert found == Traffic(0, {}, {})


def test_events_are_counted_for_the_client_whose_request_they_follow_from() -> None:
    """By principal or by correlation; IPv6 by /64; and in tables that do not grow."""
    tally = Tally()
    tally.count("client:2001:db8::1", "a")
    tally.count("client:2001:db8::2", "b")
    tally.count("actor", "a")
    tally.count("actor", "fault")
    assert tally.take() == (4, {"2001:db8::/64": 3})
    for number in range(3 * MOST_CORRELATIONS):
        tally.count(f"client:10.{number >> 16}.{number >> 8 & 255}.{number & 255}", str(number))
    events, by_client = tally.take()
    assert (events, len(by_client), len(tally._client_of)) == (3 * MOST_CORRELATIONS, MOST_CLIENTS, MOST_CORRELATIONS)
    tally.count("actor", "a")
    assert tally.take() == (1, {})


def test_bytes_of_an_event_come_from_the_folder(tmp_path: Path) -> None:
    """A folder that is small, gone or foreign says nothing."""
    (tmp_path / "segment-0000001001.sqlite").write_bytes(bytes(600_000))
    (tmp_path / "segment-0000002001.sqlite").write_bytes(bytes(300_000))
    (tmp_path / "manifest.jsonl").write_bytes(bytes(100_000))
    assert bytes_per_event(tmp_path, 1000 + FEW_EVENTS) == 900_000 / FEW_EVENTS
    assert bytes_per_event(tmp_path, 1500) == USUAL_BYTES
    assert bytes_per_event(tmp_path / "nothing", 1500) == USUAL_BYTES
    assert bytes_per_event(tmp_path / "none", 10**6) == USUAL_BYTES
    (tmp_path / "segment-x.sqlite").touch()
    assert bytes_per_event(tmp_path, 10**6) == USUAL_BYTES


def ask(core: Core, client: str) -> bool:
    """One lease, given back at once."""
    name = LeaseId(f"{client}-{core.kernel.state.seq}")
    try:
        core.kernel.emit(lease(name, client=client), origin=Origin(f"client:{client}"))
    except Rejected:
        return False
    core.kernel.emit(c.EndLease(name, ASKED, core.kernel.state.leases[name].owner), origin=Origin(f"client:{client}"))
    return True


async def flood(core: Core, client: str, seconds: float, a_second: int = 10) -> int:
    """How many leases a client got that asks all the time."""
    got = 0
    for _ in range(round(seconds)):
        got += sum(ask(core, client) for _ in range(a_second))
        await trio.sleep(1)
    return got


async def test_report_of_growth_names_some_and_slows_all() -> None:
    """Thirty floods are thirty slowed clients; the sentence has twenty of them."""

    async def usual(last_seq: int) -> float:
        return USUAL_BYTES

    async with open_core(limits=Limits(journaled_burst=10, leases=9000, leases_per_client=9000)) as core:
        monitor = GrowthMonitor(core.kernel, Keeping(90 * DAY_S, 512 * 1024**2), usual)
        floods = [f"198.51.100.{number}" for number in range(30)]
        for _ in range(40):
            for client in floods:
                ask(core, client)
        text = (await monitor.read()).text
        assert core.kernel.allowance.slowed == {*floods}
        assert (text.count("requests)"), " and 10 more in" in text) == (MOST_NAMED, True)


async def test_client_that_fills_the_journal_is_named_slowed_and_released(autojump_clock: MockClock) -> None:
    """The alert names it; it gets a request in ten seconds while it floods; others are served; quiet ends it."""

    async def usual(last_seq: int) -> float:
        return USUAL_BYTES

    async with open_core() as core:
        monitor = Monitor(GrowthMonitor(core.kernel, DEFAULT, usual).read, EVERY_S, THRESHOLDS)
        core.nursery.start_soon(run_monitors, {"growth": monitor}, {}, core.kernel)
        await trio.sleep(0.5)
        assert await flood(core, BUSY, 600) > 300
        assert core.kernel.allowance.slowed == {BUSY}
        assert "growth-warning" in core.kernel.state.alerts
        (raised,) = [row.event for row in await core.stored() if isinstance(row.event, e.AlertRaised)]
        assert f"slowed to one request in 10 s: {BUSY} (" in raised.text
        assert 150 <= await flood(core, BUSY, 1800) <= 185
        assert sum(ask(core, CALM) for _ in range(30)) == 30, "others have their burst"
        assert "growth-warning" in core.kernel.state.alerts, "it goes on asking"
        await trio.sleep(WINDOW_S + 3 * EVERY_S)
        assert (core.kernel.allowance.slowed, [*core.kernel.state.alerts]) == (NOBODY, [])
        assert await flood(core, BUSY, 1, 100) == LIMITS.journaled_burst
        said = [row.type for row in await core.stored() if row.type.startswith("Alert")]
        assert said == ["AlertRaised", "AlertCleared"]
