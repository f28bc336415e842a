"""The live HLS stream of one camera: made while it has viewers, who are known by their requests.

Rules of this file:
- A viewer holds a lease, like any other: limits, scopes, privacy and the audit hold for it, and an operator can end it.
- It is one principal at one address. It has left when it has asked for nothing for `IDLE_S`.
- The stream is made once for all viewers, and not without one.
"""

from collections.abc import Callable
from functools import partial

import attrs
import trio

from actors.media.hub import Hub
from actors.media.media import AccessUnit
from actors.recorder.initialization import ENTRIES
from actors.tools import Tools
from supervisor.base.supervision import run_supervised
from supervisor.domain import commands as c
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId, LeaseId
from supervisor.domain.values import BY_HLS, Fault, LeaseKind, Reason
from supervisor.ports.asking import origin_of
from supervisor.ports.decisions import Decider
from supervisor.ports.hls import HlsInitialization, HlsMedia, HlsPlaylist, HlsRequest

from .segments import LiveSegments

IDLE_S = 20.0
GONE = Reason("gone", "the viewer has asked for nothing for 20 s", Fault.NONE)
CLOSED = Reason("done", "the camera was removed, or banken stops", Fault.NONE)
UNUSUAL_S = 1.0
"""Seconds between two key frames that are assumed of a camera that has not been open yet."""
LOOK_S = 1.0
"""How often a stream looks whether it has viewers, if its camera sends nothing."""
AT_ONCE = 64
"""Access units that are taken without a checkpoint: at the beginning, a long GOP may be cached."""
PATIENCE_TARGETS = 3
"""A request for media that come next waits for the time of three segments."""
AHEAD = 2
"""A request for a segment that is farther in the future is a mistake."""


@attrs.define(eq=False)
class HlsViewer:
    began: Recorded
    lease: LeaseId
    asked_at: float
    """On trio's clock."""
    bytes: int = 0
    """That it has got."""


class LiveHls:
    """Made once for each running camera."""

    def __init__(self, camera: CameraId, hub: Hub, tools: Tools, nursery: trio.Nursery) -> None:
        """`nursery`: of the camera's viewers."""
        self._camera, self._hub, self._tools, self._nursery = camera, hub, tools, nursery
        self._viewers: dict[tuple[str, str], HlsViewer] = {}
        self._stream: LiveSegments | None = None
        self._is_made = False
        """Whether `_make` runs, or waits after a crash."""
        self._heard_at = 0
        self._news = trio.lowlevel.ParkingLot()

    async def answer(self, client: str, request: HlsRequest, patience_s: float) -> bytes:
        """Answer a viewer. Raises `Rejected`, as the methods for the kinds of requests do."""
        match request:
            case HlsPlaylist(number, part):
                return (await self.playlist(client, number, part, patience_s)).encode()
            case HlsMedia(number, part):
                return await self.media(client, number, part)
            case HlsInitialization(number):
                return self.initialization(client, number)

    async def playlist(self, client: str, number: int | None, part: int | None, patience_s: float) -> str:
        """The playlist, once it has part `part` of segment `number`. With its first one, a viewer gets a lease.

        Raises `Rejected` if no lease is granted, if the camera gives no picture within `patience_s`, or if the part
        does not come in time. Cancellation: at any time; the viewer stays until it is idle.
        """
        viewer = self._viewer(client) or self._begin(client)

        def is_there() -> bool:
            now = self._stream
            return now is not None and now.is_playable and (number is None or now.has(number, part))

        await self._wait(is_there, self._patience_s(number, patience_s), viewer)
        assert self._stream is not None
        text = self._stream.playlist()
        viewer.bytes += len(text)
        return text

    async def media(self, client: str, number: int, part: int | None) -> bytes:
        """A segment, or a part of it; one that comes next is waited for. Raises `Rejected`."""
        viewer, stream = self._require(client)

        def is_there() -> bool:
            return stream.has(number, part) or self._stream is not stream

        await self._wait(is_there, self._patience_s(number, 0.0), viewer)
        found = stream.find(number)
        if found is None or (part is not None and part >= len(found.parts)):
            raise Rejected(Refusal.UNKNOWN, f"segment {number} is not kept any more, or never was")
        parts = found.parts if part is None else [found.parts[part]]
        viewer.bytes += sum(len(each.data) for each in parts)
        return b"".join(each.data for each in parts)

    def initialization(self, client: str, number: int) -> bytes:
        """The beginning of segments. Raises `Rejected`."""
        _, stream = self._require(client)
        if number not in stream.initializations:
            raise Rejected(Refusal.UNKNOWN, f"initialization {number} is not kept any more, or never was")
        return stream.initializations[number]

    def _patience_s(self, number: int | None, first_s: float) -> float:
        """How long a request waits. Raises `Rejected` for a segment that is far in the future."""
        stream = self._stream
        if number is None or stream is None or not stream.segments:
            return first_s
        if number > stream.segments[-1].number + AHEAD:
            raise Rejected(Refusal.INVALID, f"segment {number} is too far in the future")
        return PATIENCE_TARGETS * stream.target_s

    async def _wait(self, is_there: Callable[[], bool], patience_s: float, viewer: HlsViewer) -> None:
        with trio.move_on_after(patience_s):
            while not is_there() and viewer.lease in self._kernel.state.leases:
                await self._news.park()
        viewer.asked_at = trio.current_time()
        if not is_there():
            raise Rejected(Refusal.UNAVAILABLE, f"{self._why()}; it was waited for {patience_s:g} s", 1.0)

    def _why(self) -> str:
        picture, known = self._hub.picture, self._kernel.state.why(self._camera, self._kernel.clock.wall_ns())
        if picture is not None and picture.codec not in ENTRIES:
            return f"{self._camera} sends {picture.codec}, which HLS cannot carry"
        return f"no video of {self._camera} has come" + (f": {known.text}" if known is not None else "")

    # ── viewers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _viewer(self, client: str) -> HlsViewer | None:
        viewer = self._viewers.get(_key(client))
        if viewer is None or viewer.lease not in self._kernel.state.leases:
            return None
        viewer.asked_at = trio.current_time()
        return viewer

    def _require(self, client: str) -> tuple[HlsViewer, LiveSegments]:
        viewer = self._viewer(client)
        if viewer is None or self._stream is None:
            raise Rejected(Refusal.UNKNOWN, "no live stream was begun, or it is over; ask for its playlist")
        return viewer, self._stream

    def _begin(self, client: str) -> HlsViewer:
        """Raises `Rejected` if no lease is granted."""
        lease = LeaseId(self._kernel.new_id())
        wish = c.GrantLease(lease, LeaseKind.VIEWER, self._camera, client, purpose=BY_HLS)
        viewer = HlsViewer(self._tools.leases.grant(wish), lease, trio.current_time())
        self._viewers[_key(client)] = viewer
        self._nursery.start_soon(self._hold, _key(client), viewer, name=f"hls/{self._camera}")
        if not self._is_made:
            self._is_made = True
            wait = partial(self._tools.wait_after_crash, f"hls/{self._camera}")
            self._nursery.start_soon(run_supervised, f"hls/{self._camera}", self._make, wait)
        return viewer

    async def _hold(self, key: tuple[str, str], viewer: HlsViewer) -> None:
        """Hold the lease of a viewer until it is idle, or the lease has ended.

        Cancellation: ends the lease. Cleanup: the viewer is forgotten.
        """
        kernel, reason = self._kernel, CLOSED
        try:
            while viewer.lease in kernel.state.leases and not self._hub.is_closed:
                left_s = viewer.asked_at + IDLE_S - trio.current_time()
                if left_s <= 0:
                    reason = GONE
                    break
                with trio.move_on_after(left_s):
                    await kernel.wait_change(kernel.state.seq)
        finally:
            if self._viewers.get(key) is viewer:
                del self._viewers[key]
            self._news.unpark_all()
            if viewer.lease in kernel.state.leases:
                kernel.emit(c.EndLease(viewer.lease, reason, bytes=viewer.bytes), after=viewer.began)

    # ── the stream ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _make(self) -> None:
        """Make segments while there are viewers.

        Cancellation: at any time. Cleanup: the stream is forgotten.
        """
        hub, units = self._hub, self._hub.units
        newest = hub.newest_key()
        at = units.end if newest is None else newest
        stream = None
        try:
            while self._viewers and not hub.is_closed:
                with trio.move_on_after(LOOK_S):
                    await units.wait_beyond(at)
                at = max(at, units.start)
                for unit in units.read_nowait(at, AT_ONCE):
                    at += 1
                    if unit.codec.name not in ENTRIES:
                        continue
                    if stream is None:
                        stream = self._stream = self._new_stream()
                    self._hear(stream)
                    if stream.take(unit, self._wall_ns(unit), hub.audio):
                        self._news.unpark_all()
            self._is_made = False
        finally:
            self._stream = None
            self._news.unpark_all()

    def _new_stream(self) -> LiveSegments:
        self._heard_at = self._hub.audio_frames.end
        gop_s = self._hub.about().gop_s or UNUSUAL_S
        return LiveSegments(self._kernel.clock.wall_ns(), gop_s, self._hub.usual_s or 1 / 15)

    def _hear(self, stream: LiveSegments) -> None:
        frames = self._hub.audio_frames
        begin = max(self._heard_at, frames.start)
        for frame in frames.read_nowait(begin, frames.end - begin):
            stream.hear(frame)
        self._heard_at = frames.end

    def _wall_ns(self, unit: AccessUnit) -> int:
        clock = self._kernel.clock
        return clock.wall_ns() - (clock.mono_ns() - unit.arrived_ns)

    @property
    def _kernel(self) -> Decider:
        return self._tools.kernel


def _key(client: str) -> tuple[str, str]:
    return origin_of(client).principal, client
