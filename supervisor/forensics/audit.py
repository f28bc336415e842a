"""The audit of a stretch of the journal: who watched which camera from when to when, who changed what, as far as the
journal has it.

Rules of this file:
- Only events say it, in one pass. Memory holds the rows that are open: no more than `MOST`.
- A row is reported when it ends; those that are open at the end of the stretch come last.
- An end that nobody saw is not invented: the last instant at which a daemon still ran is reported, as such. So it is
  with damaged events that salvage leaves out, unless an event after them says that the row was still open.
"""

from collections.abc import Iterator

import attrs
from msgspec.structs import replace

from ..domain import events as e
from ..domain.ids import lease_stream, peer_stream, session_stream, use_stream
from ..domain.state import State
from ..domain.values import UseKind
from ..journal.reader import Reader
from ..journal.times import Stretch, is_running
from ..ports.audit import AuditFilter, Author, Row, author_of
from ..ports.errors import JournalError
from ..ports.questions import Query
from . import audit_rows as rows
from .replay import event, replay, state_at

MOST = 100_000
"""Rows that are open at once: far more than any daemon allows."""
ABANDONED = "abandoned"
ENDS = e.PeerClosed | e.LeaseEnded | e.UseEnded | e.SessionEnded
_FOLLOWING = (
    e.PeerConnected, e.PeerClosed, e.LeaseEnded, e.UseEnded, e.SessionOpened, e.SessionEnded, e.RunAbandoned,
    e.EventsLost,
)  # fmt: skip


def audit(reader: Reader, part: Stretch, wanted: AuditFilter) -> Iterator[Row]:
    """Each row that was open in the stretch, as far as it is wanted. Raises `JournalError`."""
    return Audit(reader, part, wanted).run()


@attrs.define
class Audit:
    reader: Reader
    part: Stretch
    wanted: AuditFilter
    open: dict[str, Row] = attrs.field(factory=dict)
    agents: dict[str, str] = attrs.field(factory=dict)
    """The browsers of sessions."""
    cut_ns: int | None = None
    """When the last event was written before the daemon was cut off, or events were lost."""
    doubted: dict[str, int] = attrs.field(factory=dict)
    """Of rows whose end may be among damaged events: when the last event before those was written."""

    def run(self) -> Iterator[Row]:
        self._enter(state_at(self.reader, self.part.first - 1))
        yield from self._salvaged() if self.reader.salvages else self._read()
        yield from self._leave()

    def _read(self) -> Iterator[Row]:
        types = {kind.__name__ for kind in _FOLLOWING} | rows.types_of(self.wanted.kinds)
        query = Query(after=self.part.first - 1, before=self.part.last + 1, types=tuple(sorted(types)))
        while page := self.reader.page(query):
            for recorded in page:
                yield from self.see(recorded)
            query = attrs.evolve(query, after=page[-1].seq)

    def _salvaged(self) -> Iterator[Row]:
        seq, seen_ns = self.part.first - 1, self.part.since_ns
        for moment in replay(self.reader, self.part.first, self.part.last):
            if moment.jumped:
                self._mark_doubtful(seen_ns)
            yield from self.see(moment.recorded)
            seq, seen_ns = moment.recorded.seq, moment.recorded.wall_ns
        if seq < self.part.last:
            self._mark_doubtful(seen_ns)

    def _mark_doubtful(self, seen_ns: int) -> None:
        for stream in self.open:
            self.doubted.setdefault(stream, seen_ns)

    def see(self, recorded: e.Recorded) -> Iterator[Row]:
        """Take one event; the rows that end with it."""
        happened = recorded.event
        if isinstance(happened, e.SessionOpened):
            self.agents[happened.session] = happened.agent
        begun = rows.of_event(recorded, self.agents)
        if begun is not None and begun.end == "open":
            self._begin(happened.stream, begun)
        elif begun is not None:
            yield from self._shown(begun)
        if isinstance(happened, ENDS):
            self.doubted.pop(happened.stream, None)
            known = self.open.pop(happened.stream, None)
            if known is not None:
                yield self._ended(known, happened, recorded)
        elif isinstance(happened, e.PeerConnected) and happened.stream in self.open:
            self.open[happened.stream] = replace(self.open[happened.stream], connected=True)
        elif isinstance(happened, e.RunAbandoned):
            self.cut_ns = self._before(recorded)
        elif isinstance(happened, e.EventsLost):
            yield from self._jump(recorded)

    def _shown(self, row: Row) -> Iterator[Row]:
        shown = self.wanted.row(row)
        if shown is not None:
            yield self.wanted.text(shown)

    def _ended(self, known: Row, how: ENDS, at: e.Recorded) -> Row:
        if how.reason.code == ABANDONED and self.cut_ns is not None:
            return rows.unknown(known, self.cut_ns, "the daemon was cut off")
        sent = how.bytes if isinstance(how, e.PeerClosed | e.LeaseEnded) else None
        return self.wanted.text(rows.over(known, at.wall_ns, "ended", how.reason.text, how.reason.code, sent))

    def _jump(self, lost: e.Recorded) -> Iterator[Row]:
        """Events are missing: go on from the state that they led to."""
        state, cut_ns = state_at(self.reader, lost.seq), self._before(lost)
        before, self.open = self.open, {}
        doubted, self.doubted = self.doubted, {}
        self._enter(state)
        for stream, known in before.items():
            if stream in self.open:
                self.open[stream] = known
            else:
                yield rows.unknown(known, doubted.get(stream, cut_ns), "events were lost")

    def _enter(self, state: State) -> None:
        for stream, row in open_in(state, self.agents):
            self._begin(stream, row)

    def _begin(self, stream: str, row: Row) -> None:
        shown = self.wanted.row(row)
        if shown is None:
            return
        if len(self.open) >= MOST:
            raise JournalError(f"{self.reader.path}: more is open at once than any daemon allows")
        self.open[stream] = shown

    def _before(self, recorded: e.Recorded) -> int:
        found = self.reader.page(Query(before=recorded.seq), 1, newest=True)
        return found[0].wall_ns if found else recorded.wall_ns

    def _leave(self) -> Iterator[Row]:
        """The rows that are open at the end of the stretch, if the daemon ran on then. Logins outlive a daemon."""
        last, following = event(self.reader, self.part.last), self.reader.page(Query(after=self.part.last), 1)
        ran_on = following[0].run == last.run if following and last else is_running(self.reader)
        for stream, known in sorted(self.open.items(), key=lambda each: (each[1].since_ns, each[1].id)):
            if stream in self.doubted:
                yield rows.unknown(known, self.doubted[stream], "events after that are damaged")
            elif ran_on or last is None or known.kind == "login":
                yield replace(known, lasted_s=rows.lasted(known.since_ns, self.part.until_ns))
            else:
                yield rows.unknown(known, last.wall_ns, "the daemon was cut off")


def open_in(state: State, agents: dict[str, str]) -> Iterator[tuple[str, Row]]:
    """The rows that are open in a state, with their streams. Adds the browsers of its sessions to `agents`."""
    for session in state.sessions.values():
        agents[session.session] = session.agent
        yield session_stream(session.session), rows.login(session, None)
    for peer in state.peers.values():
        held = state.leases.get(peer.lease)
        author = _author(held.by if held else "", peer.client)
        yield peer_stream(peer.peer), rows.peer(peer, author, peer.opened_ns, None, agents)
    for lease in state.leases.values():
        if not rows.is_own(lease):
            author = _author(lease.by, lease.client)
            yield lease_stream(lease.lease), rows.lease(lease, author, lease.since_ns, None, agents)
    for use in state.uses.values():
        if use.kind in (UseKind.SNAPSHOT, UseKind.MJPEG):
            yield use_stream(use.use), rows.use(use, _author("", use.client), use.since_ns, None, agents)


def _author(by: str, client: str) -> Author:
    return author_of(by) if by else author_of("" if client == "banken" else f"client:{client}")
