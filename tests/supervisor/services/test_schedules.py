"""Schedules of privacy over a kernel whose clock is set: borders, switches by persons, restarts and clock jumps."""

from datetime import datetime
from zoneinfo import ZoneInfo

import attrs
import pytest
from msgspec.structs import replace

from supervisor.base.clock import Clock
from supervisor.domain import commands as c
from supervisor.domain.events import PrivacyBegan, PrivacyEnded, Recorded
from supervisor.domain.ids import NodeId, RunId
from supervisor.domain.state import State
from supervisor.domain.values import Limits, Mode
from supervisor.runtime.kernel import Kernel
from supervisor.services.schedules import Schedules
from tests.kit.domain import GATE, YARD, settings

BERLIN, TOKYO = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
NIGHT = ("22:00-06:00",)


@attrs.define
class SetClock(Clock):
    now_ns: int = 0

    def wall_ns(self) -> int:
        return self.now_ns

    def mono_ns(self) -> int:
        return self.now_ns


class Site:
    """A kernel and the service, at local times of Berlin."""

    def __init__(self, *texts: str, now: str = "2026-11-18T12:00", state: State | None = None) -> None:
        self.clock = SetClock()
        self.set(now)
        self.rows: list[Recorded] = []
        self.kernel = Kernel(state or State(), self, self.clock, NodeId("node"), RunId("run"))
        self.service = Schedules(self.kernel, BERLIN)
        if state is None:
            self.kernel.emit(c.StartRun(RunId("run"), NodeId("node"), "0", 1))
            self.configure(*texts)

    def append_nowait(self, recorded: Recorded, state: State) -> None:
        self.rows.append(recorded)

    async def wait_committed(self, seq: int) -> bool:
        return True

    def set(self, text: str) -> None:
        self.clock.now_ns = int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()) * 10**9

    def configure(self, *texts: str) -> None:
        cameras = (replace(settings(GATE), privacy=texts), settings(YARD))
        self.kernel.emit(c.Configure("test", cameras, Limits()))

    def switch(self, on: bool, until_ns: int | None = None) -> None:
        self.kernel.emit(c.SetPrivacy(GATE, on, "anna", until_ns))

    def look(self, now: str | None = None) -> bool:
        """Whether the gate is private after a look at `now`."""
        if now is not None:
            self.set(now)
        self.service.look()
        return self.kernel.state.private(GATE) is not None

    def told(self) -> list[str]:
        return [row.type for row in self.rows if isinstance(row.event, PrivacyBegan | PrivacyEnded)]


def test_camera_is_private_between_the_borders_of_its_schedule() -> None:
    """By the principal `system`, with the end; one event at each border, and none between."""
    site = Site(*NIGHT)
    assert not site.look()
    assert site.look("2026-11-18T22:00")
    began = site.rows[-1]
    assert isinstance(began.event, PrivacyBegan)
    assert (began.principal, began.event.reason.text) == ("system", "switched off by its schedule")
    assert began.event.until_ns == int(datetime(2026, 11, 19, 6, tzinfo=BERLIN).timestamp()) * 10**9
    assert site.look("2026-11-19T05:59")
    assert not site.look("2026-11-19T06:00")
    assert site.told() == ["PrivacyBegan", "PrivacyEnded"]
    assert site.kernel.state.private(YARD) is None


def test_switch_of_a_person_holds_until_the_next_border() -> None:
    """On by day until the end of the night; off by night until the next one begins."""
    site = Site(*NIGHT)
    site.look()
    site.switch(on=True)
    assert site.look("2026-11-18T21:59")
    assert site.look("2026-11-18T23:00")
    site.switch(on=False)
    assert not site.look("2026-11-19T05:00")
    assert not site.look("2026-11-19T21:59")
    assert site.look("2026-11-19T22:00")
    assert not site.look("2026-11-20T06:00")


def test_switch_of_a_person_ends_with_the_night_that_follows() -> None:
    """Nobody has to switch it back."""
    site = Site(*NIGHT)
    site.switch(on=True)
    assert site.look("2026-11-19T05:59")
    assert not site.look("2026-11-19T06:00")


def test_camera_without_a_schedule_is_switched_by_persons_only() -> None:
    """However long it takes."""
    site = Site()
    site.switch(on=True)
    assert site.look("2027-11-18T12:00")
    assert site.told() == ["PrivacyBegan"]


@pytest.mark.parametrize(("now", "private"), [("2026-11-19T03:00", True), ("2026-11-19T12:00", False)])
def test_restart_applies_the_borders_that_passed_meanwhile(now: str, private: bool) -> None:
    """A schedule that began or ended while no daemon ran."""
    site = Site(*NIGHT, now="2026-11-18T23:00")
    assert site.look()
    assert Site(now=now, state=site.kernel.state).look() is private
    later = Site(*NIGHT, now="2026-11-18T12:00")
    assert not later.look()
    assert Site(now=now, state=later.kernel.state).look() is private


def test_restart_keeps_the_switch_of_a_person() -> None:
    """On or off, in the same stretch of the schedule."""
    site = Site(*NIGHT, now="2026-11-18T23:00")
    site.look()
    site.switch(on=False)
    again = Site(now="2026-11-19T01:00", state=site.kernel.state)
    assert not again.look()
    assert again.look("2026-11-19T22:00")


def test_new_schedule_makes_private_at_once_and_shows_nothing_at_once() -> None:
    """A border that passed before the schedule existed switches no camera on that a person has switched off."""
    site = Site()
    site.switch(on=True)
    site.look("2026-11-19T12:00")
    site.configure(*NIGHT)
    assert site.look()
    assert site.look("2026-11-20T05:59")
    assert not site.look("2026-11-20T06:00")
    site.switch(on=False)
    site.configure("05:00-12:00")
    assert site.look()


def test_schedule_that_is_gone_ends_the_time_that_it_began() -> None:
    """A person's switch stays."""
    site = Site(*NIGHT, now="2026-11-18T23:00")
    assert site.look()
    site.configure()
    assert not site.look()
    site.switch(on=True)
    assert site.look()


@pytest.mark.parametrize("to", ["2026-11-18T12:00", "2026-11-25T12:00", "2020-01-01T12:00"])
def test_clock_that_jumps_over_a_border_is_right_at_the_next_look(to: str) -> None:
    """Forwards and back."""
    site = Site(*NIGHT, now="2026-11-18T23:00")
    assert site.look()
    assert not site.look(to)
    assert site.look("2026-11-18T23:00")


def test_switch_of_a_person_survives_a_clock_that_is_set_back() -> None:
    """It holds until the next border of the clock as it is then, and not for the years between."""
    site = Site(*NIGHT, now="2030-01-01T12:00")
    site.switch(on=True, until_ns=1)
    assert site.look("2026-11-18T12:00")
    assert site.look("2026-11-18T21:00")
    assert site.look("2026-11-19T05:00")
    assert not site.look("2026-11-19T06:00")


def test_zone_that_changes_is_right_at_the_next_look() -> None:
    """In Tokyo it is night already."""
    site = Site(*NIGHT, now="2026-11-18T15:00")
    assert not site.look()
    site.service = Schedules(site.kernel, TOKYO)
    assert site.look()


def test_end_that_moves_is_reported_once() -> None:
    """The page shows it; the beginning and the reason stay."""
    site = Site(*NIGHT, now="2026-11-18T23:00")
    site.look()
    site.configure("22:00-07:00")
    site.look()
    site.look()
    assert site.told() == ["PrivacyBegan", "PrivacyBegan"]
    assert site.look("2026-11-19T06:30")


def test_thousand_cameras_with_one_schedule_are_looked_at_in_some_milliseconds() -> None:
    """The times of a schedule are computed once a day."""
    site = Site()
    cameras = tuple(
        replace(settings(type(GATE)(f"camera-{number}"), mode=Mode.ON_DEMAND), privacy=NIGHT) for number in range(1000)
    )
    site.kernel.emit(c.Configure("test", cameras, Limits()))
    from supervisor.domain import schedule

    schedule._times.cache_clear()
    site.service.look()
    assert schedule._times.cache_info().misses == 1
