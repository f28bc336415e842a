"""The actor of one camera: its source, its hub and its peers in one nursery.

The loss of the source ends none of the peers; the removal of the camera ends everything. The domain decides how long to
wait after each loss; this actor reports and obeys.
"""

import logging
import math
from types import UnionType

import trio
from msgspec.structs import replace

from supervisor.base.redact import redact_words
from supervisor.config.config import Timeouts
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Rejected
from supervisor.domain.events import CameraFailed, CameraWaiting, Recorded
from supervisor.domain.ids import SYSTEM, CameraId, camera_stream, demand_stream, device_stream
from supervisor.domain.lifecycle import LOST
from supervisor.domain.restart import NO_SHARED_MEMORY, SHARED_MEMORY_GONE
from supervisor.domain.state import USES, Privacy, State
from supervisor.domain.values import CameraSettings, Fault, Reason, Transcode, UseKind
from supervisor.ports.decisions import CancelReason, Origin, newest_of, why_cancelled

from ..media.hub import STALL_S, Hub, Still
from ..media.oddities import Oddity
from ..media.rendition import Rendition
from ..process.child import interruption
from ..shared_memory.segment import is_there
from ..sources import KINDS, shm
from ..sources.rtsp import host_and_port, silence_advice
from ..tools import Tools
from ..webrtc.streams import Streams
from .start_gate import Rank, StartGate

logger = logging.getLogger(__name__)

SILENCE_S = 2.0
"""An interval without an access unit that is reported.

A source whose access units are rare by nature gets three of its intervals.
"""
ASK_AGAIN_S = 30.0
LINGER_AFTER = ("live",)
"""Uses after which the connection lingers: viewers often come back, snapshot clients do not."""
TCP_PROBE_EVERY_S = 2.0
LOOK_EVERY_S = 0.25
"""Time between two looks for missing shared memory."""
FORGET_S = 0.5
"""Delay after a TCP probe that succeeded: the camera needs it to free the slot of that connection."""
REFUSED_S = 5.0
"""Delay before the next attempt when the command to connect was rejected: banken is stopping."""

B_FRAMES = (
    "sends B-frames, which browsers show jerkily: turn them off in the camera (profile baseline, or main without "
    "B-frames), or transcode it: transcode: auto"
)
CHANGED = Reason("settings-changed", "it has new settings", Fault.NONE)
UNUSED = Reason("unused", "nobody needs it now", Fault.NONE)

_BEGINS = e.LeaseGranted | e.PeerOpened | e.UseBegan | e.PrivacyEnded | e.RecordingRequested
_ENDS = e.LeaseEnded | e.PeerClosed | e.UseEnded | e.CameraChanged | e.PrivacyBegan | e.RecordingRequestEnded
_CONFIGURES = e.ConfigurationApplied | e.CameraAdded | e.CameraChanged | e.PrivacyEnded
_FREES = e.SlotFreed | e.ConfigurationApplied | e.CameraQueued


class CameraActor:
    """A running camera, with its hub and the nursery of its peers.

    All tasks of its source carry one cause: the last event of the connection, or of the wait for the next one.
    """

    def __init__(self, settings: CameraSettings, tools: Tools, starts: StartGate, viewers: trio.Nursery) -> None:
        self.name: CameraId = settings.camera
        self.hub = Hub(tools.kernel.clock)
        self.rendition = Rendition(self.hub, tools.kernel.clock)
        self.streams = Streams(self.name, self.hub, self.rendition, tools.kernel)
        self.viewers = viewers
        self.decoded: tuple[Still, bytes] | None = None
        """The key frame of the last snapshot, and its JPEG."""
        self.decoding = trio.Lock()
        self._b_frames = f"b-frames/{self.name}"
        self._settings = settings
        self._tools, self._starts = tools, starts
        self._change: trio.CancelScope | None = None
        self._use: str | None = None
        self._private: Privacy | None = None
        """The switch that makes the camera private; None if it is not."""
        self._switched = camera_stream(self.name)
        """The stream of the last such switch: its own, or of the camera whose substream it is."""
        self._why: Recorded | None = None
        """The newest event that changed its use or its source, or that requested a probe."""
        self.ended: CancelReason | None = None
        """Why it was ended, after its hub is closed."""
        self._tried = tools.kernel.state.seq
        """The number of the event that began the last attempt; it serves all earlier requests for a probe."""
        self._watched_until = -math.inf
        """When the last viewer left, on the loop's clock."""
        self._wanted = trio.lowlevel.ParkingLot()
        self._rests = True
        """Nothing has opened it since it began to rest, so the next connection follows from `_why`."""
        self._asked = False
        """A probe was requested: the source stays open until its outcome is known, even if the camera is unused."""

    def reconfigure(self, settings: CameraSettings) -> None:
        """Apply new settings: reopen the source if `settings` name another source or device. Peers stay."""
        before, self._settings = self._settings, settings
        self.streams.refresh()
        if (before.source, before.device) != (settings.source, settings.device) and self._change is not None:
            self._why = self._found(e.CameraChanged)
            self._change.cancel(reason=self._tools.kernel.because(CHANGED, self._why))

    def want(self, use: str | None) -> None:
        """Set the use of the source; None when nothing uses it."""
        if use != self._use:
            if self._use in LINGER_AFTER:
                self._watched_until = trio.current_time()
            self._use = use
            begins = _CONFIGURES if self._settings.is_always_open else _BEGINS
            self._why = self._found(_ENDS if use is None else begins, self._switched)
            self._wanted.unpark_all()

    def hide(self, private: Privacy | None) -> None:
        """Make the camera private by the switch `private`, or end that with None.

        The source is closed at once, whatever it does, and what was received is discarded. Peers end by themselves.
        """
        if (private is None) is (self._private is None):
            return
        self._private = private
        if private is None:
            self.rendition.hub.begin()
            self._why = self._found(e.PrivacyEnded, self._switched)
            self._wanted.unpark_all()
            return
        self._switched = camera_stream(private.camera)
        self.hub.shut()
        self.rendition.hub.shut()
        self.rendition.needs.hurry()
        self.hub.listeners.hurry()
        self.decoded, self._asked = None, False
        if self._change is not None:
            self._why = self._found(e.PrivacyBegan, self._switched)
            self._change.cancel(reason=self._tools.kernel.because(private.reason, self._why))

    def _found(self, of: UnionType | type[e.Event], *also: str) -> Recorded | None:
        """The newest event of these types that concerns the camera, or in the streams `also`.

        Reconciling compares states: it knows that a use began or that settings changed, and not by which event. The
        same holds for a wait for a slot, and for a command that is refused.
        """
        return self._tools.kernel.latest(SYSTEM, camera_stream(self.name), demand_stream(self.name), *also, of=of)

    async def run_source(self) -> None:
        """Keep the source open while it is wanted, and wait between attempts as the state decides.

        Cancellation: ends the source. Cleanup: that of the source; the journal then has the camera at rest.
        """
        kernel = self._tools.kernel
        with kernel.following(newest_of(kernel, self.name)):
            while True:
                await self._run_until_changed()

    async def _run_until_changed(self) -> None:
        with trio.CancelScope() as self._change:
            try:
                while True:
                    while not self._is_wanted():
                        self._rest()
                        await self._wanted.park()
                    await self._run_while_wanted()
            except* trio.Cancelled as cancelled:
                await self._let_go(cancelled)
                raise

    async def wait_after_crash(self, error: str) -> None:
        """Wait as the state decides after a crash of the source. New settings or a requested probe end the wait."""
        with trio.CancelScope() as self._change:
            self._asked = await self._tools.wait_after_camera_crash(self.name, error)

    async def _run_while_wanted(self) -> None:
        """Run one connection until nothing wants it; after a loss, wait as the state decides."""
        lost = None
        with trio.CancelScope() as connection:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._leave_when_unused, connection)
                try:
                    lost = await self._connect_in_turn()
                finally:
                    self._asked = False
                nursery.cancel_scope.cancel(reason="the source ended")
        if connection.cancelled_caught:
            self._rest()
        elif lost is not None:
            await self._wait_after(*lost)

    def _rest(self) -> None:
        """Record that the camera rests: nothing runs, and nothing is wanted. Also applies after a crash."""
        kernel = self._tools.kernel
        known = [event for event in (self._why, kernel.carried()) if event is not None]
        kernel.carry(max(known, key=lambda event: event.seq, default=None))
        kernel.advance(c.RestCamera(self.name, self._private.reason if self._private else UNUSED))
        self._rests = True
        self.hub.rest()

    async def _let_go(self, error: BaseException) -> None:
        """Free the slot of a connection that `error` has ended; unless it is a crash, record that the camera rests."""
        kernel, because = self._tools.kernel, await why_cancelled()
        why = interruption(error, because)
        if because is not None:
            kernel.carry(because.after(kernel.carried()))
        kernel.advance(c.FreeSlot(self.name, why))
        if why.fault is not Fault.CRASH:
            kernel.advance(c.RestCamera(self.name, why))

    async def _leave_when_unused(self, connection: trio.CancelScope) -> None:
        """Cancel the connection when it is unused for the linger time, or when other cameras wait for its slot."""
        kernel = self._tools.kernel
        while True:
            while self._is_wanted():
                await self._wanted.park()
            with trio.move_on_at(self._watched_until + kernel.state.limits.linger_s):
                while not (self._is_wanted() or self._is_awaited()):
                    await kernel.wait_change(kernel.state.seq)
            if not self._is_wanted():
                connection.cancel(reason=kernel.because(UNUSED, self._why))
                return

    def _is_wanted(self) -> bool:
        if self._private is not None:
            return False
        return self._use is not None or self._asked

    def _is_awaited(self) -> bool:
        """Whether another camera waits for a slot on the same device."""
        device = self._settings.device
        return device is not None and bool(self._tools.kernel.state.slots_of(device, held=False))

    async def _connect_in_turn(self) -> tuple[Reason, float] | None:
        """Run one connection in a slot of its device.

        Returns the reason of the loss (or of the failed attempt) and the delay in seconds; None when there is no delay.
        """
        tools, kernel = self._tools, self._tools.kernel
        delay_s: float | None = None
        try:
            if self._rests:
                kernel.carry(self._why)
            self._rests = False
            await self._take_slot()
            await self._wait_turn()
            connecting = kernel.advance(c.ConnectCamera(self.name))
            assert connecting is not None
            self._tried = connecting.seq
            self.hub.begin(tools.sources[self.name].secrets)
            ended = await self._watched(connecting)
            lost = kernel.advance(c.ReportLoss(self.name, ended, tools.jitter()), kernel.fault())
            if lost is not None:
                assert isinstance(lost.event, CameraWaiting | CameraFailed)
                delay_s = lost.event.delay_s
        except Rejected as refused:
            logger.info("%s does not connect: %s", self.name, refused)
            ended, delay_s, self._tried = Reason("refused", str(refused)), REFUSED_S, kernel.state.seq
            kernel.carry(self._found(e.RunStopping | e.CameraRemoved))
        except BaseException as error:
            await self._let_go(error)
            raise
        kernel.advance(c.FreeSlot(self.name, ended))
        return None if delay_s is None else (ended, delay_s)

    async def _wait_turn(self) -> None:
        """Wait at the start gate.

        A requested probe counts as a first attempt, which precedes attempts after failures.
        """
        starts, forks = self._starts, KINDS[self._tools.sources[self.name].kind].forks
        if self._is_repeated():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._leave_when_asked, nursery.cancel_scope)
                await starts.wait_start(self._rank, again=True, forks=forks)
                nursery.cancel_scope.cancel(reason="the start gate opened")
                return
        await starts.wait_start(self._rank, again=False, forks=forks)

    async def _leave_when_asked(self, wait: trio.CancelScope) -> None:
        """Cancel `wait` when a probe is requested, or was since the last attempt. The next one follows from that."""
        kernel = self._tools.kernel
        self._why = await kernel.wait_retry(self.name, self._tried)
        kernel.carry(self._why)
        self._asked = True
        wait.cancel(reason="somebody asked for an attempt")

    def _rank(self) -> Rank:
        """The priority of this start: a camera that is always open, or watched, precedes one with a short use."""
        if self._settings.is_always_open:
            return Rank.ALWAYS
        if self._asked or self._use == USES[0]:
            return Rank.WATCHED
        return Rank.PATROL if self._use == UseKind.PATROL.value else Rank.DEMAND

    def _is_repeated(self) -> bool:
        """Whether the last attempt failed, and nothing has changed since."""
        known = self._tools.kernel.state.cameras.get(self.name)
        return known is not None and (known.attempts > 0 or known.phase in LOST)

    async def _take_slot(self) -> None:
        """Wait for a slot of the camera's device, if it has one."""
        kernel = self._tools.kernel
        origin: Origin | None = None
        while True:
            told = kernel.advance(c.TakeSlot(self.name), origin)
            before = kernel.state
            slot = before.slots.get(self.name)
            if slot is None or slot.held:
                return
            if told is not None:
                origin = Origin(told.principal, told.correlation)  # a freed slot serves the waiting request
            with trio.move_on_after(ASK_AGAIN_S):  # the learned limit of a device expires without an event
                while _turns(kernel.state) == _turns(before):
                    await kernel.wait_change(kernel.state.seq)
            kernel.carry(self._found(_FREES, device_stream(slot.device)))

    async def _watched(self, connecting: Recorded) -> Reason:
        """Run the source once under the watch. Returns why the source ended, or that it stalled."""
        reason: Reason | None = None
        source = self._tools.sources[self.name]

        async def run() -> None:
            nonlocal reason
            try:
                ended = await KINDS[source.kind].run(self.name, source, self.hub, self._tools)
                # A camera that has received the password may repeat it in its messages.
                ended = replace(ended, text=redact_words(ended.text, source.secrets))
            except Rejected as refused:
                ended = Reason("refused", str(refused))
            reason = reason or ended
            nursery.cancel_scope.cancel(reason="the source ended")

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run)
                because = await self._watch(connecting, source.timeouts)
                reason = because.reason
                nursery.cancel_scope.cancel(reason=because)
        finally:
            self._report_oddities()
            self._tools.kernel.emit(c.ClearAlert(self._b_frames))
        assert reason is not None
        return reason

    async def _watch(self, connecting: Recorded, limits: Timeouts) -> CancelReason:
        """Report the first key frame and each silence. Returns why the connection ends: no key frame or access unit."""
        hub, kernel = self.hub, self._tools.kernel
        if not await hub.wait_picture(limits.first_picture_s):
            advice = hub.too_large or ("" if hub.is_reached else silence_advice(hub.transport))
            text = f"{hub.missing} within {limits.named('first_picture')}{advice}"
            return kernel.because(Reason("stalled", text), connecting)
        while True:
            if hub.picture is not None:
                kernel.advance(c.ReportLive(self.name, hub.picture, hub.transport))
                if self._asked:
                    self._asked, self._watched_until = False, trio.current_time()  # it lingers as after a viewer
                    self._wanted.unpark_all()
            if not hub.has_b_frames or self._settings.transcode is not Transcode.NEVER:
                kernel.emit(c.ClearAlert(self._b_frames))
            else:
                kernel.emit(c.RaiseAlert(self._b_frames, f"{self.name} {B_FRAMES}"))
            limit_s = hub.patience_s(limits)
            is_slow = limit_s > STALL_S and hub.usual_s is not None and not limits.stall_s
            if is_slow and not hub.loss.oddities[Oddity.SLOW_PICTURES]:
                hub.loss.meet(Oddity.SLOW_PICTURES)
            self._report_oddities()
            silence_s = await hub.wait_silence(SILENCE_S, (limit_s if hub.usual_s else min(limit_s, STALL_S)) - 1)
            if silence_s is None:
                continue
            with trio.move_on_after(limit_s - silence_s):
                kernel.advance(c.ReportStall(self.name, silence_s))
                await hub.wait_unit()
                continue
            text = f"no picture came for {round(limit_s, 1):g} s; timeouts: stall{hub.too_large}"
            return kernel.because(Reason("stalled", text), kernel.carried())

    def _report_oddities(self) -> None:
        """Report each kind of oddity that is not in the state yet."""
        kernel = self._tools.kernel
        known = kernel.state.cameras.get(self.name)
        for oddity in self.hub.loss.oddities:
            if known is not None and oddity.code not in known.oddities:
                kernel.emit(c.ReportOddity(self.name, oddity.code, oddity.does, oddity.handled))

    async def _wait_after(self, reason: Reason, delay_s: float) -> None:
        """Wait out the backoff of `delay_s` seconds.

        A requested probe ends it early, as does a host that answers again after it was unreachable, and shared memory
        that was missing or removed. Memory that was replaced waits, because it may be replaced again and again.
        """
        with trio.move_on_after(delay_s) as wait:
            async with trio.open_nursery() as nursery:
                if reason.code == "unreachable" and self._settings.source.kind == "rtsp":
                    nursery.start_soon(self._wait_answer, wait)
                if reason.code in (NO_SHARED_MEMORY, SHARED_MEMORY_GONE):
                    nursery.start_soon(self._wait_shared_memory, wait, reason)
                await self._leave_when_asked(wait)

    async def _wait_answer(self, wait: trio.CancelScope) -> None:
        """End the wait when the host answers a TCP probe."""
        host, port = host_and_port(self._tools.sources[self.name].address)
        while True:
            await trio.sleep(TCP_PROBE_EVERY_S)
            if await self._tools.tcp_probe(host, port):
                await trio.sleep(FORGET_S)
                wait.cancel(reason="the host answers again")

    async def _wait_shared_memory(self, wait: trio.CancelScope, reason: Reason) -> None:
        """End the wait when the shared memory exists."""
        name = shm.name_of(self._tools.sources[self.name])
        if reason.code == SHARED_MEMORY_GONE and is_there(name):
            return
        while not is_there(name):  # noqa: ASYNC110 - no event tells of a new file that another program makes
            await trio.sleep(LOOK_EVERY_S)
        wait.cancel(reason="the shared memory exists")


def _turns(state: State) -> tuple[int, ...]:
    """Identity of the state that slots depend on: these maps are never mutated, only replaced."""
    return tuple(map(id, (state.slots, state.devices, state.uses, state.leases, state.peers)))
