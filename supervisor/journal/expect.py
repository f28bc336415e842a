"""What somebody outside knows of a chain, compared with the chain: digests that were noted, and files of anchors."""

from collections.abc import Sequence

import attrs

from .anchor import Anchor


@attrs.frozen
class Finding:
    """What a comparison showed. `wrong`: the journal is not the one that the anchor or the digest speaks of."""

    wrong: bool
    first: int
    last: int
    text: str


class Expectations:
    """Digests (hex, the beginning is enough) and anchors that a chain has to meet. Each batch is shown to it once."""

    def __init__(self, digests: Sequence[str] = (), anchors: Sequence[Anchor] | None = None) -> None:
        self._digests = tuple(digests)
        self._met: dict[str, int] = {}
        self._anchors = anchors
        self._by_seq: dict[int, list[Anchor]] = {}
        for anchor in anchors or ():
            self._by_seq.setdefault(anchor.seq, []).append(anchor)
        self._seen: dict[int, str] = {}
        """By event: the digests that were shown at places of which an anchor speaks."""

    def show(self, seq: int, digest: bytes) -> None:
        """The chain has `digest` after event `seq`. Before the first event it only says so: see `conclude`."""
        told = digest.hex()
        for expected in self._digests:
            if told.startswith(expected):
                self._met[expected] = seq
        if seq in self._by_seq:
            self._seen[seq] = told

    def conclude(self, journal: str | None, first: int, last: int, removed: int | None = None) -> list[Finding]:
        """What came of it, for a chain of events `first` to `last` of the journal of node `journal`.

        A digest of an event that is not here proves nothing, whatever the first segment says that it follows: whoever
        makes events again writes there what they like. `removed` is the last event that retention reported to have
        removed; none for a part of a journal, which reports no such thing.
        """
        found = [self._digest(expected, first, last) for expected in self._digests]
        if self._anchors is not None:
            found += self._conclude_anchors(journal, first, last, first - 1 if removed is None else removed)
        return found

    def _digest(self, expected: str, first: int, last: int) -> Finding:
        seq = self._met.get(expected)
        if seq is None or seq < first:
            return Finding(
                True, last, last,
                "no batch of the chain has the digest that was expected: events were cut off, an older copy was put "
                f"back, or history was made again; or it is of another journal, or of an event before {first}",
            )  # fmt: skip
        if seq == last:
            return Finding(False, seq, seq, f"the expected digest is that of the end of the chain, event {seq}")
        text = f"the expected digest is within the chain, at event {seq}; {last - seq} events follow"
        return Finding(False, seq, seq, text)

    def _conclude_anchors(self, journal: str | None, first: int, last: int, removed: int) -> list[Finding]:
        mine = [anchor for anchor in self._anchors or () if anchor.journal == journal]
        others = len(self._anchors or ()) - len(mine)
        if not mine:
            return [Finding(True, first, last, f"none of the {others} anchors is of this journal ({journal})")]
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
            text = f"{len(met)} anchors are met, the newest at event {newest.seq} of {newest.at}"
            found.append(Finding(False, newest.seq, newest.seq, text))
        if before:
            found.append(_before(before, first, removed, proven=bool(within or beyond)))
        if others:
            found.append(Finding(False, first, last, f"{others} anchors are of other journals"))
        return found


def _before(before: Sequence[Anchor], first: int, removed: int, *, proven: bool) -> Finding:
    """Anchors of events that are not here: retention removed those up to event `removed`."""
    newest = max(before, key=lambda anchor: anchor.seq)
    text = f"{len(before)} anchors are of events before {first}, which are not there any more: not compared"
    if newest.seq > removed:
        text = (
            f"an anchor of {newest.at} knows event {newest.seq}, the first one here is {first}, and no event says that "
            f"retention removed those before: events were removed, or made again ({len(before)} such anchors)"
        )
    elif not proven:
        text = (
            f"all {len(before)} anchors are of events before {first}, which are not here: nothing shows that the "
            f"events from {first} on are those that were written after them"
        )
    return Finding(newest.seq > removed or not proven, min(anchor.seq for anchor in before), first - 1, text)


def _wrong_beyond(beyond: Sequence[Anchor], last: int) -> Finding:
    newest = max(beyond, key=lambda anchor: anchor.seq)
    text = (
        f"an anchor of {newest.at} knows event {newest.seq}, and the chain ends with {last}: events were cut off, or "
        f"an older copy was put back ({len(beyond)} such anchors)"
    )
    return Finding(True, last + 1, newest.seq, text)


def _wrong_within(other: Sequence[Anchor], last: int) -> Finding:
    oldest = min(other, key=lambda anchor: anchor.seq)
    text = (
        f"an anchor of {oldest.at} has another digest for event {oldest.seq} than the chain: history up to there was "
        f"made again ({len(other)} such anchors)"
    )
    return Finding(True, oldest.seq, last, text)
