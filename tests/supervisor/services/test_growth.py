"""Growth of the journal: who is named for it, who is slowed, and when that ends."""

from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.allowance import MOST_BUCKETS, MOST_NAMED
from supervisor.domain.errors import Rejected
from supervisor.domain.growth import WINDOW_S, Keeping, Traffic, Window, project, slows
from supervisor.domain.ids import LeaseId
from supervisor.domain.tally import MOST_CLIENTS, MOST_CORRELATIONS, Tally
from supervisor.domain.values import Limits
from supervisor.ports.decisions import Origin
from supervisor.services.growth import EVERY_S, FEW_EVENTS, THRESHOLDS, USUAL_BYTES, GrowthMonitor, bytes_per_event
from supervisor.services.monitors import Monitor, run_monitors
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
    return Traffic(events, by_client, {names[who]: count for who, count in asked.items()}, {})


def test_growth_within_the_retention_names_no_client() -> None:
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
    """The rate without the slowing counts: the growth has stopped only because it is slowed."""
    slowed = frozenset({BUSY})
    floods = Traffic(300, {BUSY: 120}, {BUSY: 60}, {BUSY: 60_000})
    found = project(floods, 500.0, DEFAULT, LIMITS, slowed)
    would_write = 180 / WINDOW_S + 2 * LIMITS.journaled_rate
    assert (found.clients, found.bytes_per_s) == ((BUSY,), 500.0 * would_write)
    assert project(attrs.evolve(floods, prevented={}), 500.0, DEFAULT, LIMITS, slowed).clients == ()
    unknown = Traffic(180, {}, {}, {BUSY: 60_000})
    assert project(unknown, 500.0, DEFAULT, LIMITS, slowed).clients == (BUSY,), "no event tells what a request leads to"


@pytest.mark.parametrize(
    ("rest", "busy", "is_slowed", "stays_slowed"),
    [
        (0.5, 0.2, False, False),  # history is kept
        (0.5, 0.4, False, True),  # it is kept, but hardly
        (0.5, 0.6, True, True),  # it would be cut, and not without them
        (0.0, 1.0, True, True),
        (0.99, 0.1, True, True),
        (1.0, 0.5, False, True),  # others cut it, but hardly
        (1.3, 0.7, False, False),  # others cut it, and they alone would not
        (1.3, 0.9, False, True),
        (1.3, 1.0, True, True),  # others cut it, and they alone would as well
        (9.0, 9.0, True, True),
        (9.0, 0.0, False, False),
        (0.0, 0.0, False, False),
    ],
)
def test_busy_clients_are_slowed_if_history_lasts_without_them_or_is_cut_by_them_alone(
    rest: float, busy: float, is_slowed: bool, stays_slowed: bool
) -> None:
    """The rule, and how much better things must be before it is given up."""
    assert (slows(rest, busy, False), slows(rest, busy, True)) == (is_slowed, stays_slowed)


def test_clients_that_are_slowed_stay_so_at_every_growth_that_slowed_them() -> None:
    """At every limit there is room between being slowed and being released, so no small change goes to and fro."""
    grid = [number / 40 for number in range(80)]
    for rest, busy in ((rest, busy) for rest in grid for busy in grid):
        if slows(rest, busy, False):
            for change in (0.88, 1.0, 1.12):
                assert slows(rest * change, busy, True) and slows(rest, busy * change, True), (rest, busy, change)


@pytest.mark.parametrize("per_request", [1, 2, 10])
@pytest.mark.parametrize("cameras", [0.0, 0.5, 0.97, 1.0, 1.03, 3.0])
@pytest.mark.parametrize("floods", [0.3, 0.97, 1.0, 1.03, 2.0])
def test_client_that_goes_on_is_slowed_once(per_request: int, cameras: float, floods: float) -> None:
    """Growth that shakes about a limit slows a client once and releases it never: what it writes, when slowed, is
    counted as what it would write."""
    readings = int(WINDOW_S / EVERY_S)
    whole = 20_000.0 * per_request  # events of a reading that `keep` has just room for
    keeping = Keeping(DAY_S, round(DAY_S * whole / EVERY_S))
    limits = Limits(journaled_burst=40, journaled_rate=1e6)
    window, slowed, changes = Window(readings), NOBODY, 0
    for _ in range(readings):
        window.add(round(whole * cameras), {}, {}, {})
    for turn in range(6 * readings):
        shake = 1 + 0.02 * (-1) ** (turn // readings)
        wants = round(20_000 * floods * shake)
        granted = 1 if BUSY in slowed else wants
        events = round(whole * cameras * shake) + granted * per_request
        prevented = {BUSY: wants - granted} if slowed else {}
        found = project(
            window.add(events, {BUSY: granted * per_request}, {BUSY: granted}, prevented), 1.0, keeping, limits, slowed
        )
        changes += frozenset(found.clients) != slowed
        slowed = frozenset(found.clients)
    assert changes <= 1
    assert (slowed == {BUSY}) is (floods >= 1 or (cameras <= 1 and cameras + floods > 1))


def test_client_is_slowed_for_its_own_growth_whatever_cameras_do() -> None:
    """One that alone would cut history is slowed where cameras cut it already; one that would not is let be."""
    own = Traffic(2500, {BUSY: 500}, {BUSY: 250}, {})
    found = project(own, 500.0, DEFAULT, LIMITS, NOBODY)
    assert (found.ratio > 1, found.clients, found.level) == (True, (), 0.0)
    flood = Traffic(5000, {BUSY: 2000}, {BUSY: 1000}, {})
    assert project(flood, 500.0, DEFAULT, LIMITS, NOBODY).clients == (BUSY,)
    helped = Traffic(1000, {BUSY: 500}, {BUSY: 250}, {})
    assert project(helped, 500.0, DEFAULT, LIMITS, NOBODY).clients == (BUSY,)


def test_every_busy_client_is_slowed_whatever_number_a_report_names() -> None:
    """The bound of a text is no bound of who is slowed."""
    many = {f"192.0.2.{number}": 500 for number in range(3 * MOST_NAMED)}
    found = project(Traffic(1000 * len(many), dict.fromkeys(many, 1000), many, {}), 500.0, DEFAULT, LIMITS, NOBODY)
    assert {*found.clients} == {*many}


def test_window_sums_the_last_readings_only_and_forgets_names_without_a_count() -> None:
    """A reading that leaves the window is subtracted, with the names that only it had."""
    window = Window(2)
    window.add(5, {BUSY: 3}, {BUSY: 2}, {BUSY: 1})
    both = window.add(4, {BUSY: 1, CALM: 1}, {CALM: 1}, {})
    assert both == Traffic(9, {BUSY: 4, CALM: 1}, {BUSY: 2, CALM: 1}, {BUSY: 1})
    assert window.add(1, {}, {}, {}) == Traffic(5, {BUSY: 1, CALM: 1}, {CALM: 1}, {})
    assert window.add(0, {}, {}, {}) == Traffic(1, {}, {}, {})


def test_window_holds_a_bounded_number_of_names_in_all_readings() -> None:
    """Each reading may bring new names; those that are in the table are counted on."""
    window = Window(60)
    for turn in range(120):
        asked = {f"{turn}-{number}": 1 for number in range(MOST_BUCKETS // 2)} | {BUSY: 1}
        found = window.add(1, asked, asked, asked)
        assert max(len(found.by_client), len(found.granted), len(found.prevented)) <= MOST_BUCKETS
        assert found.granted[BUSY] == min(turn + 1, 60)
    quiet = [window.add(0, {}, {}, {}) for _ in range(60)]
    assert quiet[-1] == Traffic(0, {}, {}, {})


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
    for name in ("segment-x.sqlite", "segment-1001.sqlite"):
        (tmp_path / name).write_bytes(bytes(10**6))
    assert bytes_per_event(tmp_path, 1000 + FEW_EVENTS) == 900_000 / FEW_EVENTS


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


async def test_report_of_growth_names_some_and_slows_all(autojump_clock: MockClock) -> None:
    """Thirty floods are thirty slowed clients; the sentence has twenty of them."""

    async def usual(last_seq: int) -> float:
        return USUAL_BYTES

    async with open_core(limits=Limits(journaled_burst=10, leases=9000, leases_per_client=9000)) as core:
        monitor = GrowthMonitor(core.kernel, Keeping(90 * DAY_S, 512 * 1024**2), usual)
        floods = [f"198.51.100.{number}" for number in range(30)]
        for _ in range(40):
            for client in floods:
                ask(core, client)
            await trio.sleep(1)
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
