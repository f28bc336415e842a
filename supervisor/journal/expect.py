"""Compares a chain with noted digests and files of anchors."""

from collections.abc import Sequence

import attrs

from ..domain.words import plural
from .anchor import Anchor


@attrs.frozen
class Comparison:
    """The result of a comparison. `wrong` means that the journal does not match the anchor or the digest."""

    wrong: bool
    first: int
    last: int
    text: str


class Expectations:
    """Digests (hex; a prefix is enough) and anchors that a chain must match. `show` is called once for each batch."""

    def __init__(self, digests: Sequence[str] = (), anchors: Sequence[Anchor] | None = None) -> None:
        self._digests = tuple(digests)
        self._met: dict[str, int] = {}
        self._anchors = anchors
        self._by_seq: dict[int, list[Anchor]] = {}
        for anchor in anchors or ():
            self._by_seq.setdefault(anchor.seq, []).append(anchor)
        self._seen: dict[int, str] = {}
        """The digests shown at the events of anchors, by event."""

    def show(self, seq: int, digest: bytes) -> None:
        """The chain has `digest` after event `seq`. Before the first event this is only a claim: see `conclude`."""
        shown = digest.hex()
        for expected in self._digests:
            if shown.startswith(expected):
                self._met[expected] = seq
        if seq in self._by_seq:
            self._seen[seq] = shown

    def conclude(self, journal: str | None, first: int, last: int, removed: int | None = None) -> list[Comparison]:
        """The results for a chain of events `first` to `last` of the journal of node `journal`.

        A digest of an event that is not here proves nothing, even if the first segment claims to follow it. A forger
        can write any claim there.
        `removed` is the last event that retention reported as removed; None for a part of a journal, which has no
        such report.
        """
        found = [self._digest(expected, first, last) for expected in self._digests]
        if self._anchors is not None:
            found += self._conclude_anchors(journal, first, last, first - 1 if removed is None else removed)
        return found

    def _digest(self, expected: str, first: int, last: int) -> Comparison:
        seq = self._met.get(expected)
        if seq is None or seq < first:
            return Comparison(
                True, last, last,
                "no batch of the chain has the digest that was expected: events were cut off, an older copy was put "
                f"back, or history was made again; or it is of another journal, or of an event before {first}",
            )  # fmt: skip
        if seq == last:
            return Comparison(False, seq, seq, f"the expected digest is that of the end of the chain, event {seq}")
        more = plural(last - seq, "event follows", "events follow")
        text = f"the expected digest is within the chain, at event {seq}; {more}"
        return Comparison(False, seq, seq, text)

    def _conclude_anchors(self, journal: str | None, first: int, last: int, removed: int) -> list[Comparison]:
        mine = [anchor for anchor in self._anchors or () if anchor.journal == journal]
        others = len(self._anchors or ()) - len(mine)
        if not mine:
            return [Comparison(True, first, last, f"no anchor that was given is of this journal ({journal})")]
        before = [anchor for anchor in mine if anchor.seq < first]
        beyond = [anchor for anchor in mine if anchor.seq > last]
        within = [anchor for anchor in mine if first <= anchor.seq <= last]
        edge = [anchor for anchor in before if anchor.seq in self._seen]
        other = [anchor for anchor in (*edge, *within) if self._seen.get(anchor.seq) != anchor.digest]
        met = [anchor for anchor in within if self._seen.get(anchor.seq) == anchor.digest]
        found = [_wrong_beyond(beyond, last)] if beyond else []
        found += [_wrong_within(other, last)] if other else []
        if met:
            newest = max(met, key=lambda anchor: anchor.seq)
            text = f"{_are(met)} met, the newest at event {newest.seq} of {newest.at}"
            found.append(Comparison(False, newest.seq, newest.seq, text))
        if before:
            found.append(_before(before, first, removed, proven=bool(within or beyond)))
        if others:
            text = plural(others, "anchor is of another journal", "anchors are of other journals")
            found.append(Comparison(False, first, last, text))
        return found


def _are(anchors: Sequence[Anchor]) -> str:
    return plural(len(anchors), "anchor is", "anchors are")


def _before(before: Sequence[Anchor], first: int, removed: int, *, proven: bool) -> Comparison:
    """The finding for anchors of events that are not here. Retention removed the events up to `removed`."""
    newest = max(before, key=lambda anchor: anchor.seq)
    text = f"{_are(before)} of events before {first}, which are not there any more: not compared"
    if newest.seq > removed:
        text = (
            f"an anchor of {newest.at} knows event {newest.seq}, the first one here is {first}, and no event says that "
            f"retention removed those before: events were removed, or made again ({plural(len(before), 'such anchor')})"
        )
    elif not proven:
        text = (
            f"{_are(before)} of events before {first}, which are not here: nothing shows that the "
            f"events from {first} on are those that were written after them"
        )
    return Comparison(newest.seq > removed or not proven, min(anchor.seq for anchor in before), first - 1, text)


def _wrong_beyond(beyond: Sequence[Anchor], last: int) -> Comparison:
    newest = max(beyond, key=lambda anchor: anchor.seq)
    text = (
        f"an anchor of {newest.at} knows event {newest.seq}, and the chain ends with {last}: events were cut off, or "
        f"an older copy was put back ({plural(len(beyond), 'such anchor')})"
    )
    return Comparison(True, last + 1, newest.seq, text)


def _wrong_within(other: Sequence[Anchor], last: int) -> Comparison:
    oldest = min(other, key=lambda anchor: anchor.seq)
    text = (
        f"an anchor of {oldest.at} has another digest for event {oldest.seq} than the chain: history up to there was "
        f"made again ({plural(len(other), 'such anchor')})"
    )
    return Comparison(True, oldest.seq, last, text)
