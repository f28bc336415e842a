"""Replaces the names of people and clients in a copied journal by pseudonyms. Blocking.

Rules of this file:
- Users, clients, browsers and labels have one pseudonym each in a bundle: `user-1`, `client-3`. Another bundle has
  others: nothing links them.
- They are replaced wherever they stand: in fields, principals, streams, states, and in every text.
- A name that is also a word of banken, like `viewer`, is replaced where it is a name. In a text it may be that word.
- The chain, the states and their hashes are made again: they prove the copy, and not what the daemon wrote.
"""

import re
from collections.abc import Callable, Iterator
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

import apsw
import attrs
from msgspec.structs import replace
from rpds import HashTrieMap

from ...domain.clients import LOCAL, is_loopback, network_of
from ...domain.events import Recorded
from ...domain.state import State
from ...domain.values import Value
from ...journal import codec
from ...journal.excerpt import Excerpt
from ...journal.files import naming
from ...journal.reader import PAGE, Reader, SegmentReader
from ...journal.segment import Rows, make_indexes, make_segment
from ...ports.audit import author_of
from ...ports.questions import Query

KINDS = {"user": "user", "client": "client", "agent": "agent", "token": "token"}
"""Fields that name somebody, with the kind of their pseudonyms."""
LABELLED = frozenset({"PasskeyAdded", "PasskeyRenamed", "Passkey", "ShareMade", "Share"})
"""The values whose `label` somebody has written."""
KEPT = frozenset({"", LOCAL, "banken", "patrol", "unknown"})
"""Clients that are no client."""
PLAIN = frozenset({"code", "hash", "owner", "codec", "scheme", "origin_kind"})
"""Fields that are never a text of somebody."""
STREAMS = {"user": "user", "token": "token"}
"""The first parts of streams that are named after somebody."""
NOTE = "(a note that was removed)"
"""In place of the note of a pin, which may name anybody."""
SHORT = 4
"""A shorter name is replaced only where it stands alone."""


@attrs.define
class Pseudonyms:
    """The names that were found, each with its pseudonym."""

    names: dict[tuple[str, str], str] = attrs.field(factory=dict)
    """By kind and original."""
    _counts: dict[str, int] = attrs.field(factory=dict)
    _in_text: dict[str, str] = attrs.field(factory=dict)
    _pattern: re.Pattern[str] | None = None

    def see(self, value: object) -> None:
        """Take the names of an event, a state, or a part of one."""
        if isinstance(value, Recorded):
            self._see_principal(value.principal)
            self.see(value.event)
        elif isinstance(value, Value):
            for name in value.__struct_fields__:
                self._see_field(value, name, getattr(value, name))
        elif isinstance(value, tuple):
            for each in value:
                self.see(each)
        elif isinstance(value, HashTrieMap):
            for each in value.values():
                self.see(each)

    def _see_field(self, owner: Value, name: str, held: object) -> None:
        kind = _kind_of(owner, name)
        if kind is not None and isinstance(held, str):
            self._add(kind, held)
        elif name in ("by", "principal") and isinstance(held, str):
            self._see_principal(held)
        else:
            self.see(held)

    def _see_principal(self, principal: str) -> None:
        author = author_of(principal)
        match author.by:
            case "user" | "proxy":
                self._add("user", author.user)
            case "token" | "client":
                self._add(author.by, author.user)
            case _:
                pass

    def _add(self, kind: str, original: str) -> None:
        if original in KEPT or (kind == "client" and _is_here(original)):
            return
        if kind == "client":
            for by in ("user:", "token:"):  # a count of requests is by name
                if original.startswith(by):
                    self._add(by[:-1], original.removeprefix(by))
                    return
        if (kind, original) in self.names:
            return
        number = self._counts[kind] = self._counts.get(kind, 0) + 1
        self.names[kind, original] = f"{kind}-{number}"

    def fix(self) -> None:
        """No more names come: what is replaced in texts is decided now."""
        originals = {original for _, original in self.names}
        while taken := {made for made in self.names.values() if made in originals}:
            for key, made in self.names.items():
                if made in taken:
                    number = self._counts[key[0]] = self._counts[key[0]] + 1
                    self.names[key] = f"{key[0]}-{number}"
        words = {str(each.value) for kind in _enums() for each in kind}
        for (kind, original), made in self.names.items():
            if original.lower() not in words:
                self._in_text.setdefault(original.lower(), made)
            if kind == "client" and (network := network_of(original)) != original:
                self._in_text.setdefault(network.lower(), f"{made}/64")
        longest = sorted(self._in_text, key=lambda text: (-len(text), text))
        self._pattern = re.compile("|".join(map(_found_as, longest)), re.IGNORECASE) if longest else None

    def text(self, text: str) -> str:
        """The text with pseudonyms."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: self._in_text[found[0].lower()], text)

    def event(self, recorded: Recorded) -> Recorded:
        event = self._value(recorded.event)
        return replace(recorded, event=event, stream=event.stream, principal=self._principal(recorded.principal))

    def state(self, state: State) -> State:
        changed: State = self._value(state)
        versions = HashTrieMap({self._stream(name): count for name, count in state.versions.items()})
        return replace(changed, versions=versions)

    def counts(self) -> dict[str, int]:
        """How many names of each kind were replaced."""
        found: dict[str, int] = {}
        for kind, _ in self.names:
            found[kind] = found.get(kind, 0) + 1
        return dict(sorted(found.items()))

    def _stream(self, stream: str) -> str:
        first, _, rest = stream.partition("/")
        known = self.names.get((STREAMS.get(first, ""), rest))
        return self.text(stream) if known is None else f"{first}/{known}"

    def _principal(self, principal: str) -> str:
        author = author_of(principal)
        kind = "user" if author.by == "proxy" else author.by
        known = self.names.get((kind, author.user))
        return self.text(principal) if known is None else principal.replace(author.user, known, 1)

    def _value(self, value: Any) -> Any:
        changed = {name: self._field(value, name, getattr(value, name)) for name in value.__struct_fields__}
        return replace(value, **{name: held for name, held in changed.items() if held is not getattr(value, name)})

    def _field(self, owner: Value, name: str, held: Any) -> Any:
        kind = _kind_of(owner, name)
        if isinstance(held, str) and not isinstance(held, Enum):
            if name in PLAIN:
                return held
            if name == "note":
                return NOTE if held else held
            if kind is not None and (kind, held) in self.names:
                return self.names[kind, held]
            return self._principal(held) if name in ("by", "principal") else self.text(held)
        return self._any(held)

    def _any(self, held: Any) -> Any:
        if isinstance(held, Enum):
            return held
        if isinstance(held, str):
            return self.text(held)
        if isinstance(held, Value):
            return self._value(held)
        if isinstance(held, tuple):
            return tuple(map(self._any, held))
        if isinstance(held, HashTrieMap):
            return HashTrieMap({self._key(name, each): self._any(each) for name, each in held.items()})
        return held

    def _key(self, name: Any, held: Any) -> Any:
        """The key of a map of the state: the name of what it holds, if that is somebody."""
        if not isinstance(name, str):
            return name
        for kind in ("user", "token"):
            if getattr(held, kind, None) == name and (kind, name) in self.names:
                return self.names[kind, name]
        return self.text(name)


def _kind_of(owner: Value, name: str) -> str | None:
    if name == "label" and type(owner).__name__ in LABELLED:
        return "label"
    return KINDS.get(name)


def _is_here(client: str) -> bool:
    """Whether the client is a program of the machine itself."""
    return is_loopback(client.removesuffix(" (forwarded)"))


def _enums() -> Iterator[type[StrEnum]]:
    left = list(StrEnum.__subclasses__())
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        yield kind


def _found_as(text: str) -> str:
    """How a name is found in a text: an address or a short name alone, another one also inside a longer word."""
    quoted = re.escape(text)
    if re.fullmatch(r"[0-9a-f.:]+(?:/64)?", text):
        return rf"(?<![0-9a-fA-F.:]){quoted}(?![0-9a-fA-F:]|\.[0-9])"
    return quoted if len(text) >= SHORT else rf"(?<![\w.-]){quoted}(?!\w|[.-]\w)"


def anonymize(
    reader: Reader, folder: Path, progress: Callable[[int], None] = lambda events: None
) -> tuple[Excerpt, Pseudonyms]:
    """Write the journal of `reader` into the existing, empty `folder`, with pseudonyms.

    Raises `JournalError` and `OSError`.
    """
    names = Pseudonyms()
    for part in reader.parts():
        names.see(part.checkpoint(part.first - 1))
        for recorded in _events(part):
            names.see(recorded)
    names.fix()
    digest, events, batches = codec.GENESIS, 0, 0
    for part in reader.parts():
        digest, written, count = _write(part, folder, names, digest)
        events, batches = events + written, batches + count
        progress(events)
    return Excerpt(events, batches, codec.GENESIS, digest), names


def _events(part: SegmentReader) -> Iterator[Recorded]:
    after = part.first - 1
    while rows := part.read(Query(after=after), PAGE, False):
        for row in rows:
            yield codec.decode(row)
        after = rows[-1][0]


def _write(part: SegmentReader, folder: Path, names: Pseudonyms, digest: bytes) -> tuple[bytes, int, int]:
    """Write one segment. Returns the end of its chain, and the numbers of its events and batches."""
    (created_ns,) = part.rows("SELECT created_ns FROM segment")[0]
    batches = part.rows("SELECT first, last FROM batch ORDER BY first")
    head = names.state(part.checkpoint(part.first - 1))
    path = make_segment(folder, head, part.after, digest, created_ns)
    events = 0
    with naming(path):
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            db.pragma("journal_mode", "off")  # an unfinished copy is discarded
            db.pragma("synchronous", "off")
            stored = Rows(db)
            with db:
                for first, last in batches:
                    rows = [codec.encode(names.event(codec.decode(row))) for row in _rows(part, first, last)]
                    digest = codec.chain(digest, rows)
                    stored.insert(rows)
                    db.execute("INSERT INTO batch VALUES (?, ?, ?)", (first, last, digest))
                    events += len(rows)
            make_indexes(db)
        finally:
            db.close(force=True)
    return digest, events, len(batches)


def _rows(part: SegmentReader, first: int, last: int) -> Iterator[codec.Row]:
    after = first - 1
    while after < last and (page := part.read(Query(after, last + 1), PAGE, False)):
        yield from page
        after = page[-1][0]
