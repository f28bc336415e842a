"""The watches of cameras: by which client, from when to when, as far as the journal has it.

Rules of this file:
- Only events say it, in one pass. Memory holds the watches that are open: no more than `MOST`.
- A watch is reported when it ends; those that are open at the end of the stretch come last.
- An end that nobody saw is not invented: the last instant at which a daemon still ran is reported, as such. So it is
  with damaged events that salvage leaves out, unless an event after them says that the watch was still open.
"""

from collections.abc import Iterator
from typing import Literal

import attrs
from msgspec.structs import replace

from ..domain import events as e
from ..domain.ids import CameraId, LeaseId, lease_stream, peer_stream, use_stream
from ..domain.lifecycle import PeerPhase
from ..domain.state import Lease, Peer, State, Use
from ..domain.values import LeaseKind, UseKind
from ..journal.reader import Reader
from ..journal.times import Stretch, is_running
from ..ports.errors import JournalError
from ..ports.past import Finding
from ..ports.questions import Query
from .replay import event, replay, state_at

MOST = 100_000
"""Watches that are open at once: far more than any daemon allows."""
ABANDONED = "abandoned"
How = Literal["video", "pictures", "snapshot", "lease", "large view", "suggestion"]
End = Literal["ended", "open", "unknown"]
_TYPES = tuple(
    kind.__name__
    for kind in (
        e.PeerOpened, e.PeerConnected, e.PeerClosed, e.LeaseGranted, e.LeaseEnded, e.UseBegan, e.UseEnded,
        e.RunAbandoned, e.EventsLost,
    )
)  # fmt: skip
LEASES: dict[LeaseKind, How] = {
    LeaseKind.VIEWER: "lease", LeaseKind.MODAL: "large view", LeaseKind.SUGGEST: "suggestion",
}  # fmt: skip
_USES: dict[UseKind, How] = {UseKind.SNAPSHOT: "snapshot", UseKind.MJPEG: "pictures"}


class Watch(Finding, frozen=True):
    """A client had a camera for a while."""

    client: str
    """Its address. With accounts it will be the user's name as well: whoever reads this takes it as a text."""
    camera: CameraId
    how: How
    """`video` is a WebRTC connection, `pictures` an MJPEG stream. A lease is the right to watch: for a tile of a
    page, a large view, or the suggestion that all pages show."""
    since_ns: int
    until_ns: int | None
    """None while it is open; where the end is unknown, the last instant at which it was certainly open."""
    lasted_s: float
    """Up to the end of the stretch while it is open."""
    end: End
    reason: str
    """How it ended, for people; empty while it is open."""
    code: str
    """The same for machines."""
    connected: bool
    """False for a WebRTC connection that never came about. Whether the camera was live is another question."""
    id: str
    lease: str
    """The lease that a connection lives under; empty where it has none of a page."""
    seq: int | None
    """The event that began it; none where that was before the stretch."""


def audit(reader: Reader, part: Stretch, camera: CameraId | None = None, client: str | None = None) -> Iterator[Watch]:
    """Each watch that was open in the stretch; of this camera and this client only. Raises `JournalError`."""
    return _Audit(reader, part, camera, client).run()


@attrs.define
class _Audit:
    reader: Reader
    part: Stretch
    camera: CameraId | None
    client: str | None
    open: dict[str, Watch] = attrs.field(factory=dict)
    cut_ns: int | None = None
    """When the last event was written before the daemon was cut off, or events were lost."""
    doubted: dict[str, int] = attrs.field(factory=dict)
    """Of watches whose end may be among damaged events: when the last event before those was written."""

    def run(self) -> Iterator[Watch]:
        self._enter(state_at(self.reader, self.part.first - 1))
        yield from self._salvaged() if self.reader.salvages else self._read()
        yield from self._leave()

    def _read(self) -> Iterator[Watch]:
        query = Query(after=self.part.first - 1, before=self.part.last + 1, types=_TYPES)
        while page := self.reader.page(query):
            for recorded in page:
                yield from self._see(recorded)
            query = attrs.evolve(query, after=page[-1].seq)

    def _salvaged(self) -> Iterator[Watch]:
        seq, seen_ns = self.part.first - 1, self.part.since_ns
        for moment in replay(self.reader, self.part.first, self.part.last):
            if moment.jumped:
                self._mark_doubtful(seen_ns)
            yield from self._see(moment.recorded)
            seq, seen_ns = moment.recorded.seq, moment.recorded.wall_ns
        if seq < self.part.last:
            self._mark_doubtful(seen_ns)

    def _mark_doubtful(self, seen_ns: int) -> None:
        for stream in self.open:
            self.doubted.setdefault(stream, seen_ns)

    def _see(self, recorded: e.Recorded) -> Iterator[Watch]:
        happened = recorded.event
        match happened:
            case e.PeerOpened():
                self._begin(happened.stream, _peer(happened, recorded.wall_ns, recorded.seq))
            case e.PeerConnected():
                known = self.open.get(happened.stream)
                if known is not None:
                    self.open[happened.stream] = replace(known, connected=True)
            case e.LeaseGranted() if not _is_own(happened):
                self._begin(happened.stream, _lease(happened, recorded.wall_ns, recorded.seq))
            case e.UseBegan() if happened.kind in _USES:
                self._begin(happened.stream, _use(happened, recorded.wall_ns, recorded.seq))
            case e.PeerClosed() | e.LeaseEnded() | e.UseEnded():
                known = self.open.pop(happened.stream, None)
                self.doubted.pop(happened.stream, None)
                if known is not None:
                    yield self._ended(known, happened, recorded)
            case e.RunAbandoned():
                self.cut_ns = self._before(recorded)
            case e.EventsLost():
                yield from self._jump(recorded)
            case _:
                pass

    def _ended(self, known: Watch, how: e.PeerClosed | e.LeaseEnded | e.UseEnded, at: e.Recorded) -> Watch:
        if how.reason.code == ABANDONED and self.cut_ns is not None:
            return _unknown(known, self.cut_ns, "the daemon was cut off")
        return _over(known, at.wall_ns, "ended", how.reason.text, how.reason.code)

    def _jump(self, lost: e.Recorded) -> Iterator[Watch]:
        """Events are missing: go on from the state that they led to."""
        state, cut_ns = state_at(self.reader, lost.seq), self._before(lost)
        before, self.open = self.open, {}
        doubted, self.doubted = self.doubted, {}
        self._enter(state)
        for stream, known in before.items():
            if stream in self.open:
                self.open[stream] = known
            else:
                yield _unknown(known, doubted.get(stream, cut_ns), "events were lost")

    def _enter(self, state: State) -> None:
        for peer in state.peers.values():
            self._begin(peer_stream(peer.peer), _peer(peer, peer.opened_ns, None))
        for lease in state.leases.values():
            if not _is_own(lease):
                self._begin(lease_stream(lease.lease), _lease(lease, lease.since_ns, None))
        for use in state.uses.values():
            if use.kind in _USES:
                self._begin(use_stream(use.use), _use(use, use.since_ns, None))

    def _begin(self, stream: str, watch: Watch) -> None:
        if self.camera not in (None, watch.camera) or self.client not in (None, watch.client):
            return
        if len(self.open) >= MOST:
            raise JournalError(f"{self.reader.path}: more is open at once than any daemon allows")
        self.open[stream] = watch

    def _before(self, recorded: e.Recorded) -> int:
        found = self.reader.page(Query(before=recorded.seq), 1, newest=True)
        return found[0].wall_ns if found else recorded.wall_ns

    def _leave(self) -> Iterator[Watch]:
        """The watches that are open at the end of the stretch, if the daemon ran on then."""
        last, following = event(self.reader, self.part.last), self.reader.page(Query(after=self.part.last), 1)
        ran_on = following[0].run == last.run if following and last else is_running(self.reader)
        for stream, known in sorted(self.open.items(), key=lambda each: (each[1].since_ns, each[1].id)):
            if stream in self.doubted:
                yield _unknown(known, self.doubted[stream], "events after that are damaged")
            elif ran_on or last is None:
                yield replace(known, lasted_s=_lasted(known.since_ns, self.part.until_ns))
            else:
                yield _unknown(known, last.wall_ns, "the daemon was cut off")


def _peer(known: e.PeerOpened | Peer, since_ns: int, seq: int | None) -> Watch:
    connected = isinstance(known, Peer) and known.phase is not PeerPhase.NEGOTIATING
    lease = "" if known.lease == LeaseId(known.peer) else known.lease
    return _watch(known.client, known.camera, "video", since_ns, known.peer, seq, connected, lease)


def _is_held(lease: e.LeaseGranted | Lease) -> bool:
    """Whether it lives as long as a connection does."""
    return not lease.ttl_s and lease.until_ns is None


def _is_own(lease: e.LeaseGranted | Lease) -> bool:
    """Whether it is the one that a WebRTC connection brings along: that of an MJPEG stream has a purpose."""
    return _is_held(lease) and not lease.purpose


def _lease(known: e.LeaseGranted | Lease, since_ns: int, seq: int | None) -> Watch:
    how: How = "pictures" if _is_held(known) else LEASES[known.kind]
    return _watch(known.client, known.camera, how, since_ns, known.lease, seq)


def _use(known: e.UseBegan | Use, since_ns: int, seq: int | None) -> Watch:
    return _watch(known.client, known.camera, _USES[known.kind], since_ns, known.use, seq)


def _watch(
    client: str, camera: CameraId, how: How, since_ns: int, name: str, seq: int | None, connected: bool = True,
    lease: str = "",
) -> Watch:  # fmt: skip
    return Watch(client, camera, how, since_ns, None, 0.0, "open", "", "", connected, name, lease, seq)


def _over(known: Watch, until_ns: int, end: End, reason: str, code: str) -> Watch:
    lasted_s = _lasted(known.since_ns, until_ns)
    return replace(known, until_ns=until_ns, lasted_s=lasted_s, end=end, reason=reason, code=code)


def _unknown(known: Watch, last_ns: int, why: str) -> Watch:
    return _over(known, max(last_ns, known.since_ns), "unknown", f"its end is not known: {why}", "unknown")


def _lasted(since_ns: int, until_ns: int) -> float:
    return round(max(0, until_ns - since_ns) / 1e9, 3)
