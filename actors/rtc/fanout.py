"""From one camera's hub to all its viewers: what is the same for all is made once, and one task sends to all.

Rules of this file:
- Nobody is waited for. Who cannot take a picture misses it, alone, and goes on with the next key frame.
- A viewer is either live, at the end of the tape with all the others, or behind, being brought there: a new one, or
  one that has lost a key frame. Who is behind is sent what is cached, paced, and never in the way of the live ones.
- The loop is given back at least every `SLICE_S`.
- Who takes Opus listens, from `add` to `remove`: only then is AAC made into it. No picture waits for any sound.
- A bug in what one viewer asks for ends that viewer: its exception is raised in its own actor.
"""

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import trio

from supervisor.clock import Clock
from supervisor.domain.values import Fault, Reason, name_of
from supervisor.gateway import PeerStatistics
from supervisor.supervision import attempt
from supervisor.tape import Tape

from ..hub import Hub, Subscription
from ..media import AccessUnit, AudioFrame
from .bursts import make_bursts

if TYPE_CHECKING:  # both need aiortc, which is imported after the start
    from .runs import Run, Runs
    from .sender import Sender

SLICE_S = 0.003
LIVE_PACE = 16_000_000
"""Bytes a second of a large picture to those who are live: at least so many, and all of it in half a picture's time."""
LEAST_COST = 1200
"""Bytes that a run costs at least: a call of the kernel for a small packet takes as long as for a full one."""
TICK_S = 0.005
"""Between two bursts to one that is behind."""
CATCH_UP = (5_000_000, 8)
"""Bytes a second to one that is behind: at least so many, or so many times the stream's own rate."""
THIN_SHARE = 0.8
"""Of what a narrow path has shown to carry, so much is used."""
THIN_LEAST = 30_000
"""Bytes a second that any path is tried with."""
REPORT_EVERY_S = 1.0

Shapes = dict[tuple[int, int], "Runs"]
"""The packets of one access unit, for each shape that some viewer needs."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Viewer:
    """One viewer's place in the fan-out."""

    def __init__(self, sender: "Sender", place: Subscription) -> None:
        self.sender, self.place = sender, place
        self.live = True
        self.hungry = True
        """It can go on only with a key frame."""
        self.due: tuple[AccessUnit, Iterator[Run], int] | None = None
        """What it is to be sent next while it is behind."""
        self.credit = 0.0
        """Bytes that it may be sent now while it is behind; below zero after a run that was larger."""
        self.skipped = 0
        self.begun = 0
        """How often it has started anew: what was meant for it before that is of no use to it any more."""
        self.pts = 0
        """When to show what it is being sent."""
        self._ended = trio.Event()
        self._reason: Reason | None = None
        self._crash: Exception | None = None

    def end(self, reason: Reason) -> None:
        self._reason = reason
        self._ended.set()

    def crash(self, error: Exception) -> None:
        self.live, self._crash = False, error
        self._ended.set()

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    async def wait_end(self) -> Reason:
        """Why this viewer can be sent nothing any more. Raises the exception of a bug that it met."""
        await self._ended.wait()
        if self._crash is not None:
            raise self._crash
        assert self._reason is not None
        return self._reason

    def statistics(self) -> PeerStatistics:
        return self.sender.statistics(self.skipped)


class Fanout:
    """All viewers of one camera. Somebody has to `run` it."""

    def __init__(self, hub: Hub, clock: Clock) -> None:
        self.hub, self._clock = hub, clock
        self._viewers: dict[Viewer, None] = {}
        self._runs: WeakKeyDictionary[AccessUnit, Shapes] = WeakKeyDictionary()
        """What was made of a unit goes with the unit, and so must not hold it."""
        self._arrived, self._fell_behind = trio.lowlevel.ParkingLot(), trio.lowlevel.ParkingLot()
        self._slice = perf_counter()
        self._served: Viewer
        """The one who is being sent to."""

    def add(self, sender: "Sender") -> Viewer:
        """A viewer that is connected. It starts at the cached key frame, or at the next one."""
        viewer = Viewer(sender, self.hub.subscribe())
        self._viewers[viewer] = None
        sender.restart = lambda: self._restart(viewer)
        if sender.takes_opus:
            self.hub.listeners.join()
        self._begin(viewer)
        self._arrived.unpark_all()
        return viewer

    def remove(self, viewer: Viewer) -> None:
        del self._viewers[viewer]
        viewer.live = False
        if viewer.sender.takes_opus:
            self.hub.listeners.leave()
        viewer.due = None
        viewer.sender.close()

    async def run(self) -> None:
        """Send to all viewers, until it is cancelled. Holds nothing that would have to be given back."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_pictures)
            nursery.start_soon(self._send_sounds, self.hub.sounds)
            nursery.start_soon(self._send_sounds, self.hub.opus)
            nursery.start_soon(self._bring_up)
            nursery.start_soon(self._report)

    def _restart(self, viewer: Viewer) -> None:
        """The viewer asks for a key frame; on a narrow path none is begun again while one is on its way."""
        if viewer.live or not viewer.sender.congestion.thin:
            self._begin(viewer)

    def _begin(self, viewer: Viewer) -> None:
        """Let a viewer start anew, from the newest key frame that there is."""
        viewer.due = None
        viewer.hungry = True
        viewer.begun += 1
        viewer.live = not viewer.place.begin()
        if not viewer.live:
            self._fell_behind.unpark_all()

    # ── live ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _send_pictures(self) -> None:
        tape = self.hub.units
        while True:
            while not self._viewers:
                await self._arrived.park()
            position = tape.end
            while self._viewers:
                position = max(position, tape.start)
                await tape.wait_beyond(position)
                while position < tape.end and position >= tape.start:
                    (unit,) = tape.read_nowait(position, 1)
                    await self._send_live(unit, position)
                    position += 1
                    if position < tape.end:  # small ones may come faster than they leave
                        await self._breathe()

    async def _send_live(self, unit: AccessUnit, position: int) -> None:
        """One access unit to all who are live. A large one leaves as several bursts, paced by their bytes."""
        wanting = (viewer for viewer in self._viewers if viewer.live and self._wants(viewer, unit, position))
        ready = {viewer: viewer.begun for viewer in wanting}
        if not ready:
            return
        began, shapes = trio.current_time(), self._shapes(unit)
        runs = _runs_for(next(iter(ready)), unit, shapes)  # as many for all: shapes differ in headers alone
        pace = max(LIVE_PACE, 2 * unit.size / max(self.hub.gap_s(), 0.001))
        for burst in make_bursts(runs):
            if burst.before:
                await trio.sleep_until(began + burst.before / pace)
            queue = iter([viewer for viewer, begun in ready.items() if viewer.begun == begun])
            while self._send_runs(queue, unit, shapes, burst.numbers):
                await trio.lowlevel.checkpoint()

    def _wants(self, viewer: Viewer, unit: AccessUnit, position: int) -> bool:
        """Move a viewer on past this unit, and say whether it is to be sent it."""
        if viewer.place.at != position:
            if viewer.place.at < position:
                self._begin(viewer)
            return False
        viewer.place.at = position + 1
        sender = viewer.sender
        thin = sender.congestion.thin
        if unit.key:
            if not self._takes(viewer, unit):  # with a key frame the codec may change, and only there
                return False
            if thin:
                self._begin(viewer)  # paced, for as long as it takes
                return False
        viewer.hungry = not unit.key and (viewer.hungry or sender.full or thin)
        sender.full = False
        if viewer.hungry:
            viewer.skipped += 1
            self.hub.skipped += 1
            return False
        viewer.pts = viewer.place.show(position, unit)
        return True

    def _takes(self, viewer: Viewer, unit: AccessUnit) -> bool:
        """Whether the viewer takes such pictures; one that does not is at its end."""
        takes = viewer.sender.takes(unit.codec)
        if not takes:
            text = f"the camera sends {name_of(unit.codec.name)}, which this viewer did not offer"
            viewer.end(Reason("unsupported-codec", text, Fault.FATAL))
        return takes

    def _send_runs(self, queue: Iterator[Viewer], unit: AccessUnit, shapes: Shapes, numbers: range) -> bool:
        """Send some runs to the next viewers of the queue, for `SLICE_S`; whether there may be more of them.

        A bug that shows is the end of the viewer who was being served, and nobody else's.
        """
        more, crash = attempt(self._serve, queue, unit, shapes, numbers)
        if crash is not None:
            self._served.crash(crash)
        return more is not False

    def _serve(self, queue: Iterator[Viewer], unit: AccessUnit, shapes: Shapes, numbers: range) -> bool:
        until = perf_counter() + SLICE_S
        for viewer in queue:
            if viewer.live:
                self._served = viewer
                runs = _runs_for(viewer, unit, shapes)
                for number in numbers:
                    viewer.sender.send(unit, runs[number], viewer.pts)
                if perf_counter() > until:
                    return True
        return False

    async def _send_sounds(self, tape: Tape[AudioFrame]) -> None:
        """Each frame to all who take its codec: AAC is none that anybody takes, and what is made of it is on a tape of
        its own."""
        while True:
            while not any(viewer.sender.audio for viewer in self._viewers):
                await self._arrived.park()
            position = tape.end
            while any(viewer.sender.audio for viewer in self._viewers):
                await tape.wait_beyond(position)
                position = max(position, tape.start)
                for frame in tape.read_nowait(position, 1):
                    position += 1
                    for viewer in list(self._viewers):
                        if viewer.sender.audio and viewer in self._viewers:
                            _guarded(viewer, viewer.sender.send_sound, frame)
                        await self._breathe()

    # ── behind ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _bring_up(self) -> None:
        """Send to those who are behind what they lack, a burst at a time, until they are live."""
        while True:
            behind = [viewer for viewer in self._viewers if not viewer.live and not viewer.has_ended]
            if not behind:
                await self._fell_behind.park()
                continue
            rate = self.hub.statistics().bitrate / 8
            for viewer in behind:
                if viewer in self._viewers and not viewer.live:
                    _guarded(viewer, self._send_burst, viewer, rate)
                await self._breathe()
            await trio.sleep(TICK_S)

    def _send_burst(self, viewer: Viewer, rate: float) -> None:
        """What one tick has room for. `rate` is the stream's, in bytes a second."""
        congestion, (least, times) = viewer.sender.congestion, CATCH_UP
        pace = max(least, times * rate)
        if congestion.thin:
            pace = max(THIN_LEAST, THIN_SHARE * congestion.carried * rate)
        viewer.credit = min(viewer.credit, 0.0) + pace * TICK_S
        while viewer.credit > 0:
            if viewer.due is None:
                viewer.hungry = viewer.hungry or viewer.place.at < self.hub.units.start
                following = viewer.place.take_nowait()
                if following is None or viewer.has_ended:
                    viewer.live = True
                    return
                unit, pts = following
                viewer.hungry = not unit.key and (viewer.hungry or viewer.sender.congestion.thin)
                if viewer.hungry or not self._takes(viewer, unit):
                    continue
                viewer.due = unit, iter(_runs_for(viewer, unit, self._shapes(unit))), pts
            unit, runs, pts = viewer.due
            run = next(runs, None)
            if run is None:
                viewer.due = None
                continue
            viewer.sender.send(unit, run, pts)
            viewer.credit -= max(len(run.template), LEAST_COST)
            if viewer.sender.full:
                viewer.sender.full, viewer.hungry = False, True
                viewer.skipped += next(runs, None) is not None
                viewer.due = None
                return

    # ── all ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _report(self) -> None:
        while True:
            while not self._viewers:
                await self._arrived.park()
            for viewer in list(self._viewers):
                if viewer in self._viewers:
                    _guarded(viewer, viewer.sender.send_report, self.hub.pts_now(), self._clock.wall_ns())
                await self._breathe()
            await trio.sleep(REPORT_EVERY_S)

    def _shapes(self, unit: AccessUnit) -> Shapes:
        return self._runs.setdefault(unit, {})

    async def _breathe(self) -> None:
        if perf_counter() - self._slice > SLICE_S:
            await trio.lowlevel.checkpoint()
            self._slice = perf_counter()


def _runs_for(viewer: Viewer, unit: AccessUnit, shapes: Shapes) -> "Runs":
    """Made when the first viewer of such a shape needs them, and shared by all others."""
    shape = viewer.sender.shape
    runs = shapes.get(shape)
    if runs is None:
        from .runs import Runs  # there is a viewer, so it is imported

        runs = shapes[shape] = Runs(unit, *shape)
    return runs


def _guarded(
    viewer: Viewer, act: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result | None:
    """Do something for one viewer. A bug that shows here is that viewer's end, and nobody else's."""
    result, crash = attempt(act, *args, **kwargs)
    if crash is not None:
        viewer.crash(crash)
    return result
