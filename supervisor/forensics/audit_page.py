"""The newest rows of the audit, page by page, found by the indexes of the journal.

Rules of this file:
- A row is placed by the event that began it. Rows that were open when the stretch began come last, on the last page.
- The events of a page are folded as those of a stretch are (`audit.py`), with the ends of what they began.
- The work for one page is bounded. A page without rows may lead on to older ones.
"""

from collections.abc import Collection, Iterator
from heapq import merge
from itertools import islice

import attrs
from msgspec.structs import replace

from ..domain import events as e
from ..domain.ids import SessionId, session_stream
from ..journal.reader import Reader
from ..journal.times import Stretch, is_running
from ..ports.audit import AuditFilter, AuditPage, Live, Row
from ..ports.questions import Query
from . import audit_rows as rows
from .audit import ABANDONED, Audit, open_in
from .causes import exactly
from .replay import event, state_at

LOOKED_AT = 20_000
"""Events that are looked at for one page."""
AT_ONCE = 500
"""Streams that are looked for in one query."""
_NAMELESS = frozenset(kind.__name__ for kind in rows.NAMELESS)
_ENDS = tuple(kind.__name__ for kind in (e.PeerConnected, e.PeerClosed, e.LeaseEnded, e.UseEnded, e.SessionEnded))


def audit_page(
    reader: Reader, part: Stretch, wanted: AuditFilter, limit: int, before: int | None = None, live: Live | None = None
) -> AuditPage:
    """Up to `limit` rows that began before event `before`, the newest first. Raises `JournalError`.

    `live`: what is open now, where a daemon knows it.
    """
    return _Page(reader, part, wanted, limit, live).make(min(before or part.last + 1, part.last + 1))


@attrs.define
class _Page:
    reader: Reader
    part: Stretch
    wanted: AuditFilter
    limit: int
    live: Live | None

    def make(self, before: int) -> AuditPage:
        begins: list[e.Recorded] = []
        looked_at, last = 0, before
        agents: dict[str, str] = {}
        for recorded in islice(self._backwards(before), LOOKED_AT):
            looked_at, last = looked_at + 1, recorded.seq
            row = rows.of_event(recorded, agents)
            if row is not None and self.wanted.row(row) is not None:
                begins.append(recorded)
                if len(begins) >= self.limit:
                    break
        is_last = looked_at < LOOKED_AT and len(begins) < self.limit
        found = self._folded(begins)
        if is_last:
            found += self._open_before()
        return AuditPage(tuple(found), None if is_last else last)

    def _backwards(self, before: int) -> Iterator[e.Recorded]:
        """The events that may begin a row, the newest first."""
        wanted = self.wanted
        types = rows.types_of(wanted.kinds)
        query = Query(after=self.part.first - 1, before=before, camera=wanted.camera)
        who = self._principals()
        if who is None:
            return self._pages(query, types)
        named = self._pages(attrs.evolve(query, principals=who), types - _NAMELESS)
        if wanted.camera is not None:  # logins are of no camera
            return named
        return merge(named, self._pages(query, types & _NAMELESS), key=lambda each: each.seq, reverse=True)

    def _principals(self) -> tuple[str, ...] | None:
        """The principals whose rows may be wanted, as globs; None for all."""
        own, user = self.wanted.own, self.wanted.user
        if not self.wanted.reads and own is not None:
            return _globs(own.by, own.user)
        if not user:
            return None
        kind, _, name = user.partition(":")
        if name and kind in ("user", "token", "share", "proxy", "client"):
            return (*_globs(kind, name), *_globs("client", user))
        return ("local",) if user == "local" else tuple(
            glob for each in ("user", "token", "share", "proxy", "client") for glob in _globs(each, user)
        )  # fmt: skip

    def _pages(self, query: Query, types: Collection[str]) -> Iterator[e.Recorded]:
        if not types:
            return
        query = attrs.evolve(query, types=tuple(sorted(types)))
        size = max(20, min(self.limit + 1, 500))
        while page := self.reader.page(query, size, newest=True):
            yield from reversed(page)
            if len(page) < size:
                return
            query = attrs.evolve(query, before=page[0].seq)

    def _folded(self, begins: list[e.Recorded]) -> list[Row]:
        """The rows of these events, the newest first, with their ends."""
        agents: dict[str, str] = {}
        begun = [row for recorded in begins if (row := rows.of_event(recorded, agents)) is not None]
        folding = Audit(self.reader, self.part, self.wanted, agents=agents)
        self._find_agents({row.session for row in begun if row.session} - agents.keys(), agents)
        streams = {each.event.stream for each, row in zip(begins, begun, strict=True) if row.end == "open"}
        ends = self._ends(streams - self._known_open(), begins[-1].seq if begins else 0)
        chosen = {each.seq for each in begins}
        story = sorted({each.seq: each for each in (*begins, *ends)}.values(), key=lambda each: each.seq)
        found = [row for recorded in story for row in self._see(folding, recorded) if row.seq in chosen]
        found += [self._left_open(stream, row) for stream, row in folding.open.items()]
        return sorted(found, key=lambda row: row.seq or 0, reverse=True)

    def _see(self, folding: Audit, recorded: e.Recorded) -> Iterator[Row]:
        how = getattr(recorded.event, "reason", None)
        if how is not None and how.code == ABANDONED and recorded.cause is not None:
            abandoned = event(self.reader, recorded.cause)
            if abandoned is not None and isinstance(abandoned.event, e.RunAbandoned):
                yield from folding.see(abandoned)
        yield from folding.see(recorded)

    def _ends(self, streams: Collection[str], after: int) -> list[e.Recorded]:
        """The later events of these streams, which are the ends of most."""
        found: list[e.Recorded] = []
        left = sorted(streams)
        for at in range(0, len(left), AT_ONCE):
            query = Query(after=after, streams=tuple(left[at : at + AT_ONCE]), types=_ENDS)
            waiting = set(query.streams)
            while waiting and (page := self.reader.page(query)):
                found += page
                waiting -= {each.event.stream for each in page if each.event.ends_stream}
                query = attrs.evolve(query, after=page[-1].seq, streams=tuple(sorted(waiting)))
        return found

    def _find_agents(self, sessions: Collection[str], agents: dict[str, str]) -> None:
        """Find the browsers of sessions, in the events that opened them."""
        left = {session_stream(SessionId(session)) for session in sessions}
        query = Query(streams=tuple(sorted(left)), types=(e.SessionOpened.__name__,))
        for recorded in self.reader.page(query, len(left), newest=True) if left else ():
            if isinstance(recorded.event, e.SessionOpened):
                agents[recorded.event.session] = recorded.event.agent

    def _open_before(self) -> list[Row]:
        """The rows that were open when the stretch began, with their ends."""
        if self.part.first <= self.reader.bounds()[0]:
            return []
        folding = Audit(self.reader, self.part, self.wanted)
        state = state_at(self.reader, self.part.first - 1)
        for stream, row in open_in(state, folding.agents):
            shown = self.wanted.row(row)
            if shown is not None:
                folding.open[stream] = shown
        ends = self._ends(folding.open.keys() - self._known_open(), self.part.first - 1)
        found = [row for recorded in ends for row in self._see(folding, recorded) if row.seq is None]
        found += [self._left_open(stream, row) for stream, row in folding.open.items()]
        return sorted(found, key=lambda row: (row.since_ns, row.id), reverse=True)

    def _known_open(self) -> frozenset[str]:
        return frozenset() if self.live is None else self.live.streams

    def _left_open(self, stream: str, row: Row) -> Row:
        """A row without an end in the journal."""
        live = self.live
        if live is not None:
            is_open = stream in live.streams or (row.seq or 0) > live.seq
        else:
            is_open = row.kind == "login" or is_running(self.reader)
        if is_open:
            return replace(row, lasted_s=rows.lasted(row.since_ns, max(self.part.until_ns, row.since_ns)))
        newest = self.reader.page(limit=1, newest=True)
        return rows.unknown(row, newest[0].wall_ns if newest else row.since_ns, "the daemon was cut off")


def _globs(kind: str, name: str) -> tuple[str, ...]:
    name = exactly(name)
    match kind:
        case "client" | "token":
            return (f"{kind}:{name}",)
        case "proxy":
            return (f"proxy:{name}/*",)
        case _:
            return (f"{kind}:{name}", f"{kind}:{name}/*")
