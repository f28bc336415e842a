"""Sends video and audio from one hub to all its peers: shared data is computed once, and one task sends to all.

Rules of this file:
- The fan-out never waits for a peer. A peer that cannot keep up misses access units, alone, and resumes at the next
  key frame.
- A peer's phase decides what it gets (`fanout_peer`). One that catches up, because it is new or has lost a key frame,
  gets the cached access units, paced, and never delays the live ones.
- The task yields to the event loop at least every `SLICE_S`.
- A peer that takes Opus counts as a listener, from `add` to `remove`: only then is audio transcoded. Video never waits
  for audio.
- A bug in the handling of one peer ends that peer: its exception is raised in its own actor. A bug in the packetizing
  of an access unit ends the peers that were to get it.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar
from weakref import WeakKeyDictionary

import trio

from supervisor.base.clock import Clock
from supervisor.base.ring_buffer import RingBuffer
from supervisor.base.supervision import attempt
from supervisor.domain.values import Fault, Reason, name_of

from ..media.hub import Hub
from ..media.media import AccessUnit, AudioFrame
from .bursts import Burst, make_bursts
from .fanout_peer import FanoutPeer, Phase, Signal

if TYPE_CHECKING:  # both need aiortc, which is imported after the start
    from .runs import Runs
    from .sender import Sender

SLICE_S = 0.003
LIVE_PACE = 16_000_000
"""Bytes per second of a large access unit to the live peers: at least this, and all in half a frame interval."""
LEAST_COST = 1200
"""Bytes that a run costs at least: a system call for a small packet takes as long as for a full one."""
TICK_S = 0.005
"""Seconds between two bursts to a peer that is behind."""
CATCH_UP = (5_000_000, 8)
"""The pace to a peer that is behind: at least these bytes per second, or this multiple of the stream's rate."""
NARROW_SHARE = 0.8
"""Share of a narrow path's known capacity that is used."""
KEY_DUE_S = 2.0
"""Seconds that a request for a key frame waits for the camera's next one, before the cached one is sent."""
NARROW_LEAST = 30_000
"""Bytes per second that are tried on any path."""
REPORT_EVERY_S = 1.0
MEASURE_EVERY_S = 1.0
"""How often the latency of an access unit is measured."""

Shapes = dict[tuple[int, int], "Runs"]
"""The packets of one access unit, for each shape that a peer needs."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Joinable(Protocol):
    """Takes the peers of a camera: a fan-out, or `Streams`."""

    hub: Hub
    """The hub of the camera."""

    def add(self, sender: "Sender") -> FanoutPeer:
        """Add a connected peer."""
        ...

    def remove(self, peer: FanoutPeer) -> None:
        """Remove a peer and close its sender."""
        ...


class Fanout:
    """All peers of one camera. A task has to `run` it."""

    def __init__(self, hub: Hub, clock: Clock) -> None:
        self.hub, self._clock = hub, clock
        self._peers: dict[FanoutPeer, None] = {}
        self._runs: WeakKeyDictionary[AccessUnit, Shapes] = WeakKeyDictionary()
        """The packets of a unit live as long as the unit, and therefore must not reference it."""
        self._arrived, self._fell_behind = trio.lowlevel.ParkingLot(), trio.lowlevel.ParkingLot()
        self._slice = perf_counter()
        self._measure_at = 0.0
        self._served: FanoutPeer
        """The peer in progress."""
        self.spares: Callable[[Sender], bool] = lambda sender: False
        """Whether a peer that does not take the codec is moved to another fan-out, and not ended."""

    def add(self, sender: "Sender") -> FanoutPeer:
        """Add a connected peer. It starts at the cached key frame, or at the next one."""
        peer = FanoutPeer(sender, self.hub.subscribe())
        self._peers[peer] = None
        sender.restart = lambda: self._answer(peer)
        if sender.takes_opus:
            self.hub.listeners.join()
        self._restart(peer)
        self._arrived.unpark_all()
        return peer

    def hand_over(self, peer: FanoutPeer, to: "Fanout") -> None:
        """Move a peer to another fan-out with the same clock and the same audio. It continues at a key frame there."""
        del self._peers[peer]
        to._take_over(peer)

    def _take_over(self, peer: FanoutPeer) -> None:
        peer.move(self.hub.subscribe())
        self._peers[peer] = None
        peer.sender.restart = lambda: self._answer(peer)
        self._restart(peer)
        self._arrived.unpark_all()

    def remove(self, peer: FanoutPeer) -> None:
        """Remove a peer and close its sender."""
        del self._peers[peer]
        if peer.sender.takes_opus:
            self.hub.listeners.leave()
        peer.leave()

    async def run(self) -> None:
        """Send to all peers until cancelled.

        Cancellation: at any time. Cleanup: nothing is held.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_pictures)
            nursery.start_soon(self._send_audio, self.hub.audio_frames)
            nursery.start_soon(self._send_audio, self.hub.opus)
            nursery.start_soon(self._bring_up)
            nursery.start_soon(self._report)

    def _answer(self, peer: FanoutPeer) -> None:
        """The peer requests a key frame, by PLI or FIR. The first case that applies is the answer:

        1. The peer is catching up: a key frame is already on its way.
        2. The camera's next key frame is due within `KEY_DUE_S`, which is the usual case: that one is the answer, and
           nothing is sent twice. If it is late, the next access unit repeats the request for the peer.
        3. The path is narrow: the cached key frame alone, at the pace that the path carries.
        4. The GOP is long, or the first of its connection: the cached key frame and the access units since, at the pace
           of `CATCH_UP`; nothing less can be decoded. So the peer is live again well before the next key frame. This
           happens once for each key frame of the camera. The peer requests lost packets of that answer by NACK, and a
           later request in the same GOP waits for the camera's next key frame.

        Requests therefore never make a stream larger than twice the camera's stream, whatever its GOP. The access units
        that a peer got when it joined do not count as an answer. The sender passes on one request per `KEY_EVERY_S`,
        or per `KEY_EVERY_NARROW_S` on a narrow path.
        """
        newest = self.hub.newest_key()
        if newest is None or peer.phase in (Phase.CATCHING_UP, Phase.ENDED):
            return
        narrow = peer.sender.congestion.narrow
        peer.key_requested = not narrow and self.hub.key_due_s() <= KEY_DUE_S
        if peer.key_requested:
            return
        if narrow or peer.answered != newest:
            peer.answered = newest
            self._restart(peer)

    def _restart(self, peer: FanoutPeer) -> None:
        """Restart a peer at the newest key frame, if there is one."""
        peer.restart()
        if peer.phase is Phase.CATCHING_UP:
            self._fell_behind.unpark_all()

    # ── live ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _send_pictures(self) -> None:
        ring = self.hub.units
        while True:
            while not self._peers:
                await self._arrived.park()
            position = ring.end
            while self._peers:
                position = max(position, ring.start)
                await ring.wait_beyond(position)
                while position < ring.end and position >= ring.start:
                    (unit,) = ring.read_nowait(position, 1)
                    await self._send_live(unit, position)
                    position += 1
                    if position < ring.end:  # small units may arrive faster than they leave
                        await self._breathe()

    async def _send_live(self, unit: AccessUnit, position: int) -> None:
        """Send one access unit to all live peers. A large one leaves as several bursts, paced by their bytes."""
        ready = {peer: peer.restarts for peer in list(self._peers) if _guarded(peer, self._wants, peer, unit, position)}
        if not ready:
            return
        began, shapes = trio.current_time(), self._shapes(unit)
        bursts = _bursts_for(next(iter(ready)), unit, shapes)  # the same for all: only headers differ
        pace = max(LIVE_PACE, 2 * unit.size / max(self.hub.gap_s(), 0.001))
        while (burst := self._next_burst(bursts, ready)) is not None:
            if burst.before:
                await trio.sleep_until(began + burst.before / pace)
            queue = iter([peer for peer, restarts in ready.items() if peer.restarts == restarts])
            if began >= self._measure_at:
                self._measure_at, queue = began + MEASURE_EVERY_S, self._measured(queue, unit)
            while self._send_runs(queue, unit, shapes, burst.numbers):
                await trio.lowlevel.checkpoint()

    def _measured(self, queue: Iterator[FanoutPeer], unit: AccessUnit) -> Iterator[FanoutPeer]:
        """The peers of `queue`. When the first of them was served, the latency of the unit is known."""
        yield from islice(queue, 1)
        self.hub.latency.add((self._clock.mono_ns() - unit.arrived_ns) / 1e9)
        yield from queue

    def _next_burst(self, bursts: Iterator[Burst], ready: dict[FanoutPeer, int]) -> Burst | None:
        """Return the next burst of a unit. A bug while its packets are made ends those who were to get them."""
        burst, crash = attempt(lambda: next(bursts, None))
        if crash is not None:
            for peer, restarts in ready.items():
                if peer.restarts == restarts and peer.phase is Phase.LIVE and peer in self._peers:
                    peer.crash(crash)
        return burst

    def _wants(self, peer: FanoutPeer, unit: AccessUnit, position: int) -> bool:
        """Move a peer that is not catching up past this unit. Returns whether the unit is to be sent to it."""
        if peer.phase is Phase.CATCHING_UP or peer.phase is Phase.ENDED:
            return False
        place, sender, restarts = peer.place, peer.sender, peer.restarts
        if place.at != position:
            if place.at < position:
                self._restart(peer)
            return False
        place.at = position + 1
        narrow = sender.congestion.narrow
        if unit.key:
            if not self._takes(peer, unit):  # the codec may change at a key frame only
                return False
            if narrow:
                self._restart(peer)  # paced, for as long as it takes
                return False
            signal, peer.key_requested = Signal.KEY_FRAME, False
        else:
            if peer.key_requested:
                self._answer(peer)  # the key frame that was due may not have arrived
                if peer.restarts != restarts:
                    return False
            signal = Signal.NARROW if narrow else Signal.REFUSED if sender.full else Signal.ACCESS_UNIT
        sender.full = False
        if peer.take(signal) is Phase.LIVE:
            peer.pts = place.show(position, unit)
            return True
        peer.skipped += 1
        self.hub.skipped += 1
        return False

    def _takes(self, peer: FanoutPeer, unit: AccessUnit) -> bool:
        """Return whether the peer takes the unit's codec. One that does not waits to be moved, or is ended."""
        takes = peer.sender.takes(unit.codec)
        if not takes and self.spares(peer.sender):
            peer.skip(Signal.REFUSED)  # the access units behind this one are of no use to it, too
        elif not takes:
            text = f"the camera sends {name_of(unit.codec.name)}, which this viewer did not offer"
            peer.end(Reason("unsupported-codec", text, Fault.FATAL))
        return takes

    def _send_runs(self, queue: Iterator[FanoutPeer], unit: AccessUnit, shapes: Shapes, numbers: range) -> bool:
        """Send some runs to the next peers of the queue, for `SLICE_S`. Returns whether peers may be left.

        A bug ends only the peer in progress.
        """
        more, crash = attempt(self._serve, queue, unit, shapes, numbers)
        if crash is not None:
            self._served.crash(crash)
        return more is not False

    def _serve(self, queue: Iterator[FanoutPeer], unit: AccessUnit, shapes: Shapes, numbers: range) -> bool:
        until = perf_counter() + SLICE_S
        for peer in queue:
            if peer.phase is Phase.LIVE and peer in self._peers:
                self._served = peer
                runs = _runs_for(peer, unit, shapes)
                for number in numbers:
                    peer.sender.send(unit, runs[number], peer.pts)
                if perf_counter() > until:
                    return True
        return False

    async def _send_audio(self, ring: RingBuffer[AudioFrame]) -> None:
        """Send each frame to all peers that take its codec. Transcoded frames have a separate ring buffer."""
        while True:
            while not any(peer.sender.audio for peer in self._peers):
                await self._arrived.park()
            position = ring.end
            while any(peer.sender.audio for peer in self._peers):
                await ring.wait_beyond(position)
                position = max(position, ring.start)
                for frame in ring.read_nowait(position, 1):
                    position += 1
                    for peer in list(self._peers):
                        if peer.sender.audio and peer in self._peers:
                            _guarded(peer, peer.sender.send_audio, frame)
                        await self._breathe()

    # ── catching up ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _bring_up(self) -> None:
        """Send the missing access units to the peers that are catching up, a burst at a time."""
        while True:
            behind = [peer for peer in self._peers if peer.phase is Phase.CATCHING_UP]
            if not behind:
                await self._fell_behind.park()
                continue
            rate = self.hub.statistics().bitrate / 8
            for peer in behind:
                if peer.phase is Phase.CATCHING_UP and peer in self._peers:
                    _guarded(peer, self._send_burst, peer, rate)
                await self._breathe()
            await trio.sleep(TICK_S)

    def _send_burst(self, peer: FanoutPeer, rate: float) -> None:
        """Send the bytes of one tick. `rate` is the stream's, in bytes per second."""
        congestion, (least, times) = peer.sender.congestion, CATCH_UP
        pace = max(least, times * rate)
        if congestion.narrow:
            pace = max(NARROW_LEAST, NARROW_SHARE * congestion.carried * rate)
        peer.credit = min(peer.credit, 0.0) + pace * TICK_S
        while peer.credit > 0 and (peer.due is not None or self._take_next(peer)):
            assert peer.due is not None
            unit, runs, pts = peer.due
            run = next(runs, None)
            if run is None:
                peer.due = None
                continue
            peer.sender.send(unit, run, pts)
            peer.credit -= max(len(run.template), LEAST_COST)
            if peer.sender.full:
                peer.sender.full = False
                peer.skipped += next(runs, None) is not None
                peer.skip(Signal.REFUSED)
                return

    def _take_next(self, peer: FanoutPeer) -> bool:
        """Make the next cached access unit of a peer due. Returns False when it is not catching up any more."""
        following = peer.take_cached()
        if following is None:
            return False
        unit, pts = following
        if unit.key:
            if not self._takes(peer, unit):
                return False
        elif peer.sender.congestion.narrow:
            peer.skip(Signal.NARROW)
            return peer.phase is Phase.CATCHING_UP and self._take_next(peer)
        peer.due = unit, iter(_runs_for(peer, unit, self._shapes(unit))), pts
        return True

    # ── all ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _report(self) -> None:
        while True:
            while not self._peers:
                await self._arrived.park()
            for peer in list(self._peers):
                if peer in self._peers:
                    _guarded(peer, peer.sender.send_report, self.hub.pts_now(), self._clock.wall_ns())
                await self._breathe()
            await trio.sleep(REPORT_EVERY_S)

    def _shapes(self, unit: AccessUnit) -> Shapes:
        return self._runs.setdefault(unit, {})

    async def _breathe(self) -> None:
        if perf_counter() - self._slice > SLICE_S:
            await trio.lowlevel.checkpoint()
            self._slice = perf_counter()


def _runs_for(peer: FanoutPeer, unit: AccessUnit, shapes: Shapes) -> "Runs":
    """Return the runs of the peer's shape. They are made for the first peer that needs them, and shared."""
    shape = peer.sender.shape
    runs = shapes.get(shape)
    if runs is None:
        from .runs import Runs  # there is a peer, so it is imported

        runs = shapes[shape] = Runs(unit, *shape)
    return runs


def _bursts_for(peer: FanoutPeer, unit: AccessUnit, shapes: Shapes) -> Iterator[Burst]:
    yield from make_bursts(_runs_for(peer, unit, shapes))


def _guarded(
    peer: FanoutPeer, act: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result | None:
    """Call `act` for one peer. A bug in it ends only that peer."""
    result, crash = attempt(act, *args, **kwargs)
    if crash is not None:
        peer.crash(crash)
    return result
