"""Healthy cameras next to a series of faulty neighbors: measurements by the viewers of the healthy ones.

Rules of this file:
1. Quiet and loud phases of equal length alternate in one run; each loud phase is compared with the quiet ones.
2. Senders run in a separate process, and each access unit carries its time of sending. This distinguishes delays of a
   sender from delays in banken.
3. A phase begins when no child process of the previous phase is left.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import attrs
import trio

from actors.media.hub import Hub
from actors.media.media import CLOCK_RATE
from actors.process.process import Process, RealProcess
from supervisor.config.config import Source
from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId
from supervisor.domain.lifecycle import CameraPhase
from supervisor.domain.values import Limits
from supervisor.runtime import collector

from .habits import Behaviour, Then
from .media import follow
from .rtp import stamped_at
from .senders import open_senders
from .stage import address_among, by_ffmpeg, stand_in_environment, write_stand_in
from .yard import Yard, open_yard

FPS = 25
HEALTHY = tuple(CameraId(f"steady-{number}") for number in range(3))
TURNS_AFTER_S = 1.0
"""Of a stream that is good at first: sooner than elsewhere, a phase is short."""
INVALID_REDIRECT = "rtsp://127.0.0.1:1/"
"""Where the cameras of children that play a part would be."""
STARTS_PER_S = 4
READY_S, GONE_S = 20.0, 15.0
TICK_S = 0.005
QUIET = "quiet"


@attrs.frozen
class Neighbour:
    """One fault: what a scripted camera does, or the part that a child plays instead of ffmpeg."""

    name: CameraId
    behaviour: Behaviour | None = None

    def at_once(self) -> Behaviour | None:
        if self.behaviour is None or self.behaviour.then is Then.GOES_ON:
            return self.behaviour
        amidst = 0.2 if self.behaviour.then is Then.DRIPS else 0.0
        return attrs.evolve(self.behaviour, after_s=TURNS_AFTER_S + amidst)


@attrs.frozen
class Spread:
    """Milliseconds."""

    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        ordered = sorted(values)
        return cls(*(round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) for share in (0.5, 0.99, 1)))


@attrs.frozen
class Phase:
    """One phase. `intervals` are those between two pictures of one camera as a viewer gets them; `corrected` the same
    without what the sender was late; `transit` is from the sender to the viewer; `gaps` what a task of the loop waits
    beyond its time. `missed` counts the pictures that a camera sent and its viewer never got.
    """

    neighbours: tuple[str, ...]
    intervals: Spread
    corrected: Spread
    transit: Spread
    gaps: Spread
    pictures: int
    missed: int
    values: tuple[float, ...] = attrs.field(repr=False)
    """All of `corrected`."""

    @property
    def loud(self) -> bool:
        return bool(self.neighbours)


@attrs.define
class Recorder:
    """The measurements since the last report."""

    arrivals: dict[CameraId, list[tuple[int, int]]] = attrs.field(factory=dict)
    """Times of arrival and of sending of each access unit."""
    late_ms: list[float] = attrs.field(factory=list)
    missed: int = 0

    def clear(self) -> None:
        self.arrivals = {name: [] for name in HEALTHY}
        self.late_ms = []
        self.missed = 0

    async def watch(self, name: CameraId, hub: Hub) -> None:
        place = hub.subscribe()
        place.begin()
        due = None
        while True:
            unit, _ = await follow(hub, place)
            sent = stamped_at(unit.data)
            assert sent is not None
            if due is not None:
                self.missed += round((unit.pts - due) * FPS / CLOCK_RATE)
            due = unit.pts + CLOCK_RATE // FPS
            self.arrivals[name].append((time.monotonic_ns(), sent))

    async def tick(self) -> None:
        while True:
            due = trio.current_time() + TICK_S
            await trio.sleep_until(due)
            self.late_ms.append((trio.current_time() - due) * 1e3)

    def phase(self, neighbours: Sequence[Neighbour]) -> Phase:
        intervals, corrected, transit = list[float](), list[float](), list[float]()
        for seen in self.arrivals.values():
            transit += [(at - sent) / 1e6 for at, sent in seen]
            for (at, sent), (next_at, next_sent) in pairwise(seen):
                intervals.append((next_at - at) / 1e6)
                corrected.append((next_at - at - (next_sent - sent)) / 1e6 + 1000 / FPS)
        return Phase(
            tuple(each.name for each in neighbours),
            Spread.of(intervals),
            Spread.of(corrected),
            Spread.of(transit),
            Spread.of(self.late_ms),
            len(transit),
            self.missed,
            tuple(corrected),
        )


async def run_isolation(
    folder: Path, groups: Sequence[Sequence[Neighbour]], phase_s: float, report: Callable[[Phase], None]
) -> list[Phase]:
    """A quiet phase, then each group's loud one with a quiet one behind it."""
    healthy = [Behaviour(size=(320, 240), fps=FPS, key_every=FPS, stamps=True)] * len(HEALTHY)
    scripted = {each.name: at_once for group in groups for each in group if (at_once := each.at_once()) is not None}
    stand_in = str(write_stand_in(folder))
    collector.settle()  # as the daemon does

    def open_process(
        arguments: Sequence[str], environment: Mapping[str, str], stdin: bytes | None, guarded: bool
    ) -> Process:
        part = stand_in_environment(folder, address_among(arguments).removeprefix(INVALID_REDIRECT))
        return RealProcess((stand_in, *arguments[1:]), {**environment, **part}, stdin, True)

    async with open_senders(healthy) as urls, open_senders(list(scripted.values())) as bad_urls:
        addresses = dict(zip(scripted, bad_urls, strict=True))
        steady = {name: Source("rtsp", url) for name, url in zip(HEALTHY, urls, strict=True)}
        async with (
            open_yard(steady, starts_per_s=STARTS_PER_S, open_process=open_process) as yard,
            trio.open_nursery() as nursery,
        ):
            assert await yard.until(lambda: all_live(yard), READY_S), "the healthy cameras are not live"
            recorder = Recorder()
            recorder.clear()
            for name in HEALTHY:
                nursery.start_soon(recorder.watch, name, yard.hub(name))
            nursery.start_soon(recorder.tick)
            await trio.sleep(1)  # what was cached has passed
            phases = []
            for group in alternate(groups):
                sources = {
                    each.name: Source("rtsp", addresses[each.name])
                    if each.name in addresses
                    else by_ffmpeg(INVALID_REDIRECT + each.name)
                    for each in group
                }
                await yard.core.kernel.submit(c.Configure("test", yard.vault.take(steady | sources), Limits()))
                recorder.clear()
                await trio.sleep(phase_s)
                phases.append(recorder.phase(group))
                report(phases[-1])
                await yard.core.kernel.submit(c.Configure("test", yard.vault.take(steady), Limits()))
                assert await yard.until(lambda: only_healthy(yard), GONE_S), "a neighbour's child was left"
            assert all_live(yard)
            nursery.cancel_scope.cancel()
    return phases


def alternate(groups: Sequence[Sequence[Neighbour]]) -> Iterator[Sequence[Neighbour]]:
    yield ()
    for group in groups:
        yield group
        yield ()


def all_live(yard: Yard) -> bool:
    return all(yard.camera(name).phase is CameraPhase.LIVE for name in HEALTHY)


def only_healthy(yard: Yard) -> bool:
    return all(child.camera in HEALTHY for child in yard.core.kernel.state.children.values())


@attrs.frozen
class Comparison:
    """The p99 of `corrected`, in milliseconds: medians over the phases, and between which quarters quiet ones vary."""

    quiet: float
    loud: float
    varies: float
    all_quiet: Spread
    all_loud: Spread

    @property
    def moved(self) -> float:
        return self.loud - self.quiet


def compare(phases: Sequence[Phase]) -> Comparison:
    quiet = [phase for phase in phases if not phase.loud]
    loud = [phase for phase in phases if phase.loud]
    low, middle, high = statistics.quantiles((phase.corrected.p99 for phase in quiet), n=4)
    every = (Spread.of([value for phase in kind for value in phase.values]) for kind in (quiet, loud))
    return Comparison(middle, statistics.median(phase.corrected.p99 for phase in loud), high - low, *every)
