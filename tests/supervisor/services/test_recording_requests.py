"""The ends of requests to record: by their time, also across a restart."""

import attrs
import trio
from msgspec.structs import replace
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisor.base.clock import Clock
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.ids import NodeId, RunId
from supervisor.domain.state import State
from supervisor.domain.values import Limits, Mode, RecordMode
from supervisor.runtime.kernel import Kernel
from supervisor.services.recording_requests import RecordingRequests
from tests.kit.core import open_core
from tests.kit.domain import GATE, SECOND, settings

START_NS = 1_800_000_000 * SECOND


@attrs.define
class SetClock(Clock):
    now_ns: int = START_NS

    def wall_ns(self) -> int:
        return self.now_ns

    def mono_ns(self) -> int:
        return self.now_ns


class Site:
    """A kernel and the service."""

    def __init__(self, state: State | None = None, now_ns: int = START_NS) -> None:
        self.clock, self.rows = SetClock(now_ns), list[e.Recorded]()
        self.kernel = Kernel(state or State(), self, self.clock, NodeId("node"), RunId("run"))
        self.service = RecordingRequests(self.kernel)
        self.kernel.emit(c.StartRun(RunId("run"), NodeId("node"), "0", 1))
        if state is None:
            gate = replace(settings(GATE, mode=Mode.ON_DEMAND), record=RecordMode.DEMAND)
            self.kernel.emit(c.Configure("test", (gate,), Limits()))

    def append_nowait(self, recorded: e.Recorded, state: State) -> None:
        self.rows.append(recorded)

    async def wait_committed(self, seq: int) -> bool:
        return True

    def ends(self) -> list[str]:
        """The correlation of each end."""
        return [row.correlation for row in self.rows if isinstance(row.event, e.RecordingRequestEnded)]

    def request(self, lasts_s: float) -> str:
        """Request for a time; the correlation."""
        last = self.kernel.emit(c.RequestRecording(GATE, lasts_s, "kim")).last
        assert last is not None
        return last.correlation


def test_request_ends_when_its_time_is_up() -> None:
    """Not before; with the correlation of the last request."""
    site = Site()
    site.request(60.0)
    correlation = site.request(600.0)
    assert site.service.look() == START_NS + 600 * SECOND
    site.clock.now_ns += 599 * SECOND
    assert site.service.look() is not None
    site.clock.now_ns += SECOND
    assert site.service.look() is None
    assert site.ends() == [correlation]


def test_request_goes_on_after_a_restart() -> None:
    """One whose time has come meanwhile ends at the first look."""
    site = Site()
    correlation = site.request(600.0)
    early, late = (Site(site.kernel.state, START_NS + after_s * SECOND) for after_s in (599, 601))
    assert early.service.look() == START_NS + 600 * SECOND
    assert late.service.look() is None
    assert (early.ends(), late.ends()) == ([], [correlation])


async def test_service_ends_a_request_in_time(mock_clock: MockClock) -> None:
    """It waits for a request that comes while it runs, and for its end; a longer one holds longer."""
    async with open_core() as core, trio.open_nursery() as nursery:
        kernel = core.kernel
        nursery.start_soon(RecordingRequests(kernel).run)
        kernel.emit(c.Configure("test", (replace(settings(GATE), record=RecordMode.DEMAND),), Limits()))
        for lasts_s in (20.0, 60.0):
            kernel.emit(c.RequestRecording(GATE, lasts_s, "kim"))
        for passed_s, is_requested in ((21.0, True), (38.0, True), (2.0, False)):
            mock_clock.jump(passed_s)
            await wait_all_tasks_blocked()
            assert (GATE in kernel.state.recording_requests) is is_requested
        nursery.cancel_scope.cancel()
