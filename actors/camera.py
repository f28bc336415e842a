"""The actor of one camera: its source, its hub, its viewers, all in one nursery.

Losing the source ends none of the viewers; removing the camera ends everything. Which wait follows which loss is the
domain's decision; this actor reports and obeys.
"""

import logging
import math

import trio
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Rejected
from supervisor.domain.events import CameraFailed, CameraWaiting, Recorded
from supervisor.domain.ids import SYSTEM, CameraId, camera_stream, demand_stream, device_stream
from supervisor.domain.lifecycle import LOST, CameraPhase
from supervisor.domain.state import USES, State
from supervisor.domain.values import CameraSettings, Fault, Mode, Reason, UseKind
from supervisor.kernel import Origin, why_cancelled
from supervisor.reconcile import wait_after_crash
from supervisor.redact import redact_words

from .child import interruption
from .hub import Hub, Still
from .rtc.fanout import Fanout
from .sources import KINDS
from .sources.rtsp import host_and_port
from .start_gate import Rank
from .tools import Tools

logger = logging.getLogger(__name__)

FIRST_KEY_S = 15.0
"""A connection without a key frame after so long is given up; cameras send one every few seconds."""
SILENCE_S = 2.0
"""So long without a picture is shown; a source whose pictures are rare by nature is given three of its gaps."""
STALL_S = 6.0
"""So long without a picture ends the connection."""
ASK_AGAIN_S = 30.0
LINGER_AFTER = ("live",)
"""Who looks at a picture often comes back; who took one does not."""
KNOCK_EVERY_S = 2.0
FORGET_S = 0.5
"""After a knock that was answered: until the camera has forgotten that connection and has its place free again."""
REFUSED_S = 5.0
"""Before asking again when connecting was refused: banken is stopping."""

CHANGED = Reason("settings-changed", "it has new settings", Fault.NONE)
UNUSED = Reason("unused", "nobody needs it now", Fault.NONE)


class Camera:
    """A running camera, for those who need something of it: its hub, and a nursery for its viewers."""

    def __init__(self, settings: CameraSettings, tools: Tools, viewers: trio.Nursery) -> None:
        self.name: CameraId = settings.camera
        self._stream, self._demand = camera_stream(self.name), demand_stream(self.name)
        self.hub = Hub(tools.kernel.clock)
        self.fanout = Fanout(self.hub, tools.kernel.clock)
        self.viewers = viewers
        self.developed: tuple[Still, bytes] | None = None
        """The newest picture that somebody asked for, and its JPEG."""
        self.developing = trio.Lock()
        self._settings = settings
        self._tools = tools
        self._change: trio.CancelScope | None = None
        self._use: str | None = None
        self._watched_until = -math.inf
        """When the last one who looked at it left."""
        self._wanted = trio.lowlevel.ParkingLot()

    def reconfigure(self, settings: CameraSettings) -> None:
        """Drop the source and open it anew if `settings` mean another one; the viewers stay."""
        before, self._settings = self._settings, settings
        if (before.source, before.device) != (settings.source, settings.device) and self._change is not None:
            kernel = self._tools.kernel
            changed = kernel.latest(self._stream, of=e.CameraChanged)
            self._change.cancel(reason=kernel.because(CHANGED, changed))

    def want(self, use: str | None) -> None:
        """Say what the source is to be open for, or that it may rest."""
        if use != self._use:
            if self._use in LINGER_AFTER:
                self._watched_until = trio.current_time()
            self._use = use
            self._wanted.unpark_all()

    async def run_source(self) -> None:
        """While it is wanted, open the source, again and again, waiting in between as the state decides.

        Cancellation: ends the source. Cleanup: the source's own; the camera is journaled as resting.
        """
        try:
            while True:
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
        finally:
            self._change = None

    async def wait_after_crash(self, error: str) -> None:
        """Wait as the state says after a crash of the source; new settings end the wait."""
        with trio.CancelScope() as self._change:
            await wait_after_crash(self._tools.kernel, self.name, self._tools.jitter, error)

    async def _run_while_wanted(self) -> None:
        """One connection, given up when nobody wants it any more; and after a loss the wait that the state decides."""
        lost = None
        with trio.CancelScope() as connection:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._leave_when_unused, connection)
                lost = await self._connect_in_turn()
                nursery.cancel_scope.cancel(reason="the source ended")
        if connection.cancelled_caught:
            self._rest()
        elif lost is not None:
            await self._wait_after(*lost)

    def _rest(self) -> None:
        """Nothing runs, and nobody wants it to. Also where a crash was the last thing to be said of the camera."""
        kernel = self._tools.kernel
        follows = e.LeaseEnded | e.PeerClosed | e.UseEnded | e.CameraEvent | e.SlotEvent | e.ChildEvent
        kernel.emit(c.RestCamera(self.name, UNUSED), after=kernel.latest(self._stream, self._demand, of=follows))
        self.hub.rest()

    async def _let_go(self, error: BaseException) -> None:
        """Whatever was running has been ended by `error`: give the place back and, unless it is a crash, rest."""
        kernel, because = self._tools.kernel, await why_cancelled()
        why = interruption(error, because)
        kernel.emit(c.FreeSlot(self.name, why), after=kernel.latest(self._stream, because=because))
        if why.fault is not Fault.CRASH:
            kernel.emit(c.RestCamera(self.name, why), after=kernel.latest(self._stream, because=because))

    async def _leave_when_unused(self, connection: trio.CancelScope) -> None:
        """Cancel the connection when nobody has wanted it for a while, or when others wait for its place."""
        kernel = self._tools.kernel
        while True:
            while self._is_wanted():
                await self._wanted.park()
            with trio.move_on_at(self._watched_until + kernel.state.limits.linger_s):
                while not (self._is_wanted() or self._is_awaited()):
                    await kernel.wait_change(kernel.state.seq)
            if not self._is_wanted():
                left = kernel.latest(
                    self._stream, self._demand, of=e.LeaseEnded | e.PeerClosed | e.UseEnded | e.CameraChanged
                )
                connection.cancel(reason=kernel.because(UNUSED, left))
                return

    def _is_wanted(self) -> bool:
        return self._use is not None

    def _is_awaited(self) -> bool:
        """Whether another camera waits for this one's place."""
        device = self._settings.device
        return device is not None and bool(self._tools.kernel.state.slots_of(device, held=False))

    async def _connect_in_turn(self) -> tuple[Reason, float] | None:
        """One connection in its device's slot. Returns why it was lost, or never was, and for how long to wait."""
        tools, kernel = self._tools, self._tools.kernel
        delay_s: float | None = None
        try:
            after = await self._take_slot(self._why_now())
            forks = KINDS[tools.sources[self.name].kind].forks
            await tools.starts.wait_turn(self._rank, again=self._is_repeated(), forks=forks)
            connecting = kernel.emit(c.ConnectCamera(self.name), after=after).last
            assert connecting is not None
            self.hub.begin()
            ended = await self._watched(connecting)
            report = c.ReportLoss(self.name, ended, tools.jitter())
            lost = kernel.emit(report, after=kernel.latest(self._stream), origin=kernel.fault()).last
            if lost is not None:
                assert isinstance(lost.event, CameraWaiting | CameraFailed)
                delay_s = lost.event.delay_s
            told = kernel.latest(self._stream)
        except Rejected as refused:
            logger.info("%s does not connect: %s", self.name, refused)
            ended, delay_s, told = Reason("refused", str(refused)), REFUSED_S, kernel.latest(SYSTEM, self._stream)
        except BaseException as error:
            await self._let_go(error)
            raise
        kernel.emit(c.FreeSlot(self.name, ended), after=told)
        return None if delay_s is None else (ended, delay_s)

    def _rank(self) -> Rank:
        """Why it starts now: a camera that is always open, or watched, before one that is wanted for a moment."""
        if self._settings.mode is Mode.ALWAYS:
            return Rank.ALWAYS
        if self._use == USES[0]:
            return Rank.WATCHED
        return Rank.PATROL if self._use == UseKind.PATROL.value else Rank.DEMAND

    def _is_repeated(self) -> bool:
        """Whether the attempt before this one failed, and nothing has changed since."""
        known = self._tools.kernel.state.cameras.get(self.name)
        return known is not None and (known.attempts > 0 or known.phase in LOST)

    def _why_now(self) -> Recorded | None:
        """What an attempt follows from: who wants it, for a camera that rested; else what was said of it last."""
        kernel = self._tools.kernel
        known = kernel.state.cameras.get(self.name)
        if known is None or known.phase is not CameraPhase.IDLE or known.reason == CHANGED:
            return kernel.latest(self._stream)
        if known.settings.mode is not Mode.ALWAYS:
            came = kernel.latest(self._demand, of=e.LeaseGranted | e.PeerOpened | e.UseBegan)
            if came is not None:
                return came
        return kernel.latest(SYSTEM, self._stream)

    async def _take_slot(self, after: Recorded | None) -> Recorded | None:
        """Wait for the camera's place among its device's connections; returns what the connection then follows from."""
        kernel, device = self._tools.kernel, self._settings.device
        if device is None:
            return after
        origin: Origin | None = None
        while True:
            told = kernel.emit(c.TakeSlot(self.name), after=after, origin=origin).last
            before = kernel.state
            slot = before.slots.get(self.name)
            if slot is None or slot.held:
                return told or after
            if told is not None:
                origin = Origin(told.principal, told.correlation)  # whoever makes room, it is for the one who asked
            with trio.move_on_after(ASK_AGAIN_S):  # what a device has taught us is forgotten without an event
                while _turns(kernel.state) == _turns(before):
                    await kernel.wait_change(kernel.state.seq)
            room = e.SlotFreed | e.ConfigurationApplied | e.CameraQueued
            after = kernel.latest(SYSTEM, device_stream(device), self._stream, of=room)

    async def _watched(self, connecting: Recorded) -> Reason:
        """Run the source once, with a watch beside it. Returns why the source ended, or that it stalled."""
        reason: Reason | None = None

        async def run() -> None:
            nonlocal reason
            source = self._tools.sources[self.name]
            try:
                ended = await KINDS[source.kind].run(self.name, source, self.hub, self._tools, connecting)
                # A camera that was given the password may say it in what it sends.
                ended = replace(ended, text=redact_words(ended.text, source.secrets))
            except Rejected as refused:
                ended = Reason("refused", str(refused))
            reason = reason or ended
            nursery.cancel_scope.cancel(reason="the source ended")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            reason = await self._watch()
            kernel = self._tools.kernel
            since = kernel.latest(self._stream, of=e.CameraStalled | e.CameraConnecting)
            nursery.cancel_scope.cancel(reason=kernel.because(reason, since))
        assert reason is not None
        return reason

    async def _watch(self) -> Reason:
        """Report the connection's first picture, and its silences. Returns when it does not come, or no more come."""
        hub, kernel = self.hub, self._tools.kernel
        with trio.move_on_after(FIRST_KEY_S):
            await hub.wait_picture()
        if hub.picture is None:
            what = "no key frame was among what came" if hub.heard else "connected, but no picture came"
            return Reason("stalled", f"{what} within {FIRST_KEY_S:g} s")
        while True:
            if hub.picture is not None:
                kernel.emit(c.ReportLive(self.name, hub.picture), after=kernel.latest(self._stream))
            silence_s = await hub.wait_silence(SILENCE_S, STALL_S - 1)
            if silence_s is None:
                continue
            with trio.move_on_after(STALL_S - silence_s):
                kernel.emit(c.ReportStall(self.name, silence_s), after=kernel.latest(self._stream))
                await hub.wait_unit()
                continue
            return Reason("stalled", f"no picture came for {STALL_S:g} s")

    async def _wait_after(self, reason: Reason, delay_s: float) -> None:
        """Wait out the backoff; a host that answers a knock again after it was unreachable ends it early."""
        with trio.move_on_after(delay_s):
            if reason.code != "unreachable" or self._settings.source.kind != "rtsp":
                await trio.sleep_forever()
            host, port = host_and_port(self._tools.sources[self.name].address)
            while True:
                await trio.sleep(KNOCK_EVERY_S)
                if await self._tools.knock(host, port):
                    await trio.sleep(FORGET_S)
                    return


def _turns(state: State) -> tuple[int, ...]:
    """Identifies what a turn in the queue depends on; these maps are never changed, only replaced."""
    return tuple(map(id, (state.slots, state.devices, state.uses, state.leases, state.peers)))
