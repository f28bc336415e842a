"""How well cameras did over a stretch of time: how often lost, how soon back, how much of the time live."""

from collections import Counter
from collections.abc import Collection
from statistics import median

from ..domain import events as e
from ..domain.ids import CameraId
from ..domain.lifecycle import CameraPhase
from ..domain.state import State
from ..domain.values import Mode
from ..journal.reader import Query, Reader
from .finding import Finding
from .replay import event, replay, state_at

_LOST = (e.CameraWaiting, e.CameraFailed, e.CameraCrashed, e.CameraQuarantined)


class CameraStatistics(Finding, frozen=True):
    camera: CameraId
    wanted_s: float
    """For how long a daemon ran and somebody wanted the camera."""
    live_s: float
    """How much of that it was live."""
    availability: float | None
    """Live of wanted, from 0 to 1; none if nobody wanted it."""
    restarts: int
    """Attempts to open it again after it was lost."""
    restarts_per_hour: float | None
    recoveries: int
    """Losses after which it was live again."""
    recover_median_s: float | None
    recover_max_s: float | None
    errors: dict[str, int]
    """How often it was lost, by the code of the reason; the most frequent first."""


class Statistics(Finding, frozen=True):
    since_ns: int
    until_ns: int
    ran_s: float
    """For how long a daemon ran."""
    cameras: tuple[CameraStatistics, ...]


def statistics(reader: Reader, since_ns: int, until_ns: int, cameras: Collection[CameraId] | None = None) -> Statistics:
    """Of these cameras, or of all, between two times. Raises `JournalError`."""
    first, last = reader.seq_at(since_ns - 1) + 1, reader.seq_at(until_ns)
    count = _Count(since_ns)
    previous = event(reader, first - 1) if first > 1 else None
    state = state_at(reader, first - 1)
    following = reader.page(Query(after=last), 1)
    for moment in replay(reader, first, last) if last >= first else ():
        recorded = moment.recorded
        if previous is not None and previous.run == recorded.run:
            count.pass_to(state, recorded.wall_ns)
        else:
            count.new_run(recorded.wall_ns)
        count.see(moment.before, recorded)
        anew = previous is None or moment.jumped or isinstance(recorded.event, e.ConfigurationApplied)
        previous, state = recorded, moment.after
        count.look(state, recorded, everything=anew)
    if state.run is not None and not (following and previous and following[0].run != previous.run):
        count.pass_to(state, until_ns)
    count.end()
    found = [tally.result(name) for name, tally in sorted(count.tallies.items())]
    chosen = tuple(one for one in found if cameras is None or one.camera in cameras)
    return Statistics(since_ns, until_ns, round(count.ran_ns / 1e9, 3), chosen)


class _Tally:
    """What is counted of one camera."""

    def __init__(self) -> None:
        self.wanted = self.live = False
        self.since_ns = 0
        self.wanted_ns = self.live_ns = self.restarts = 0
        self.lost_ns: int | None = None
        self.recovered_s: list[float] = []
        self.errors: Counter[str] = Counter()

    def pass_to(self, now_ns: int) -> None:
        passed = max(0, now_ns - self.since_ns)
        self.wanted_ns += passed if self.wanted else 0
        self.live_ns += passed if self.wanted and self.live else 0
        self.since_ns = now_ns

    def result(self, camera: CameraId) -> CameraStatistics:
        wanted_s = self.wanted_ns / 1e9
        return CameraStatistics(
            camera,
            round(wanted_s, 3),
            round(self.live_ns / 1e9, 3),
            self.live_ns / self.wanted_ns if self.wanted_ns else None,
            self.restarts,
            self.restarts / wanted_s * 3600 if wanted_s else None,
            len(self.recovered_s),
            round(median(self.recovered_s), 3) if self.recovered_s else None,
            round(max(self.recovered_s), 3) if self.recovered_s else None,
            dict(self.errors.most_common()),
        )


class _Count:
    """Goes from event to event; between two of them of one run, time passes for those who are wanted."""

    def __init__(self, since_ns: int) -> None:
        self.tallies: dict[CameraId, _Tally] = {}
        self.ran_ns = 0
        self._now_ns = since_ns
        self._begun = False

    def pass_to(self, state: State, now_ns: int) -> None:
        if not self._begun:
            self._begin(state)
        self.ran_ns += max(0, now_ns - self._now_ns)
        self._now_ns = now_ns

    def _begin(self, state: State) -> None:
        self._begun = True
        for name in state.cameras:
            self._turn(state, name)

    def new_run(self, now_ns: int) -> None:
        """Time that nobody saw counts for nobody."""
        for tally in self.tallies.values():
            tally.pass_to(self._now_ns)
            tally.since_ns, tally.lost_ns = now_ns, None
        self._now_ns, self._begun = now_ns, True

    def see(self, before: State, recorded: e.Recorded) -> None:
        happened = recorded.event
        if not isinstance(happened, e.CameraEvent) or happened.camera not in before.cameras:
            return
        tally = self._tally(happened.camera)
        if isinstance(happened, _LOST):
            tally.errors[happened.reason.code] += 1
            tally.lost_ns = recorded.wall_ns if tally.lost_ns is None else tally.lost_ns
        elif isinstance(happened, e.CameraConnecting) and tally.lost_ns is not None:
            tally.restarts += 1
        elif isinstance(happened, e.CameraLive) and tally.lost_ns is not None:
            tally.recovered_s.append((recorded.wall_ns - tally.lost_ns) / 1e9)
            tally.lost_ns = None
        elif isinstance(happened, e.CameraIdle | e.CameraRemoved):
            tally.lost_ns = None

    def look(self, state: State, recorded: e.Recorded, everything: bool) -> None:
        """Who is live and wanted after an event."""
        named = getattr(recorded.event, "camera", None)
        for name in {*state.cameras, *self.tallies} if everything else {named} - {None}:
            assert name is not None
            self._turn(state, name)

    def _tally(self, camera: CameraId) -> _Tally:
        tally = self.tallies.get(camera)
        if tally is None:
            tally = self.tallies[camera] = _Tally()
            tally.since_ns = self._now_ns
        return tally

    def _turn(self, state: State, camera: CameraId) -> None:
        tally = self._tally(camera)
        tally.pass_to(self._now_ns)
        known = state.cameras.get(camera)
        tally.live = known is not None and known.phase is CameraPhase.LIVE
        tally.wanted = known is not None and (
            known.settings.mode is Mode.ALWAYS
            or camera in state.lent()
            or any(use.camera == camera for use in state.uses.values())
        )

    def end(self) -> None:
        for tally in self.tallies.values():
            tally.pass_to(self._now_ns)
