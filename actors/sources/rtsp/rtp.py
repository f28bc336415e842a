"""RTP: whose packet, the how manieth, and what it carries. Sans-I/O; this is the busiest code of a camera.

Rules of this file:
- A packet costs no object of its own: its payload is a place in the bytes that were received.
- A gap is told to the depacketizer before the packet behind it. What comes twice, or too late, goes no further.
- A sender that begins a new count, or is another one, is followed.

Source: RFC 3550, sections 5.1, 5.3.1 and A.1 (sequence numbers), 6.4.1 (what is reported of them).
"""

import struct
from collections.abc import Callable
from typing import Protocol

import attrs

from ...media import SourceLoss
from ...share import AT_ONCE
from .rtcp import ReceiverReport, SenderReport
from .timeline import Timeline

MAX_DROPOUT = 3000
"""A sequence number further ahead than this is no gap, but another count (RFC 3550, A.1)."""
MAX_MISORDER = 100
"""One that is behind by no more than this has come late or twice, however many there are of them (RFC 3550, A.1)."""
WINDOW = 64
"""Packets that wait for one that is late."""
PATIENCE_S = 0.1
"""How long they wait for it."""

_HEADER = struct.Struct(">BBHII")


class Depacketizer(Protocol):
    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        """The payload `data[at:stop]` of one packet; never empty."""
        ...

    def gap(self) -> None:
        """Packets are missing in front of the next one."""
        ...


class Track:
    """The packets of one medium. `number` is the payload type that is taken; others are counted and left out."""

    def __init__(self, number: int, depacketizer: Depacketizer, timeline: Timeline, loss: SourceLoss) -> None:
        self.number, self.timeline, self.loss = number, timeline, loss
        self.expected: int | None = None
        """The next sequence number; none before the first packet."""
        self.ssrc = -1
        self._depacketizer = depacketizer
        self._received = self._lost = self._base = self._restart = 0
        self._told = (0, 0)
        """What had been received and lost when it was last reported."""
        self._heard: tuple[int, float] | None = None
        """The last sender report, and when it came."""

    def receive(self, data: bytes, start: int, stop: int) -> None:
        """One packet, `data[start:stop]`."""
        if stop - start < 12:
            self.loss.malformed += 1
            return
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data, start)
        at = start + 12
        if first != 0x80:
            at, stop = _find_payload(data, start, stop)
            if at < 0:
                self.loss.malformed += 1
                return
        if (sequence != self.expected or ssrc != self.ssrc) and not self._follow(second & 0x7F, sequence, ssrc):
            return
        self.expected = (sequence + 1) & 0xFFFF
        self._received += 1
        if at < stop and second & 0x7F == self.number:
            self._depacketizer.take(data, at, stop, timestamp, second > 0x7F)

    def _follow(self, number: int, sequence: int, ssrc: int) -> bool:
        """A packet that does not simply come next: whether it is taken."""
        if ssrc != self.ssrc or self.expected is None:
            if number != self.number:
                return False
            if self.expected is not None:
                self.timeline.restart()
            self._begin(sequence, ssrc)
            return True
        ahead = (sequence - self.expected) & 0xFFFF
        if ahead < MAX_DROPOUT:
            self._lost += ahead
            self.loss.lost += ahead
            self._depacketizer.gap()
            return True
        if sequence == self._restart and ahead < 0x10000 - MAX_MISORDER:
            self._begin(sequence, ssrc)
            return True
        self._restart = (sequence + 1) & 0xFFFF
        self.loss.late += 1
        return False

    def _begin(self, sequence: int, ssrc: int) -> None:
        if self.expected is not None:
            self._depacketizer.gap()
        self.ssrc, self._base, self._restart = ssrc, sequence, -1
        self._received = self._lost = 0
        self._told, self._heard = (0, 0), None

    def hear(self, report: SenderReport, now: float) -> None:
        self._heard = report.middle, now

    def report(self, now: float) -> ReceiverReport | None:
        """What there is to tell of it; none before the first packet."""
        if not self._received:
            return None
        received, lost = self._received - self._told[0], self._lost - self._told[1]
        self._told = self._received, self._lost
        middle, since = self._heard or (0, now)
        return ReceiverReport(
            fraction_lost=min(255, 256 * lost // max(1, received + lost)),
            lost=self._lost,
            highest=self._base + self._received + self._lost - 1,
            jitter=int(self.timeline.jitter),
            middle=middle,
            delay=int((now - since) * 65536),
        )


def _find_payload(data: bytes, start: int, stop: int) -> tuple[int, int]:
    """Where it begins and ends in a packet with contributors, an extension or padding; -1 for what is no packet."""
    first = data[start]
    at = start + 12 + 4 * (first & 0x0F)
    if first & 0x10:
        at += 4 + 4 * int.from_bytes(data[at + 2 : at + 4])
    if first & 0x20:
        stop -= data[stop - 1]
    return (at, stop) if first >> 6 == 2 and at <= stop else (-1, stop)


@attrs.define
class Reorder:
    """Puts the packets of a track in order, as datagrams need it: a few wait a moment for one that is late."""

    track: Track
    spent: Callable[[], int]
    """The work since the datagram came, in packets: above `AT_ONCE` those that are held wait for the next one."""
    _held: dict[int, bytes] = attrs.field(factory=dict)
    _since: float = 0.0
    """When the first of those that are held came."""

    def receive(self, data: bytes, now: float) -> None:
        """One datagram."""
        sequence, expected = int.from_bytes(data[2:4]), self.track.expected
        ahead = 0 if expected is None else (sequence - expected) & 0xFFFF
        if 0 < ahead < MAX_DROPOUT and int.from_bytes(data[8:12]) == self.track.ssrc:
            if sequence in self._held:
                self.track.loss.late += 1
            elif not self._held:
                self._since = now
            self._held[sequence] = data
        else:
            self.track.loss.reordered += bool(self._held) and ahead == 0
            self.track.receive(data, 0, len(data))
        self._release()
        if len(self._held) > WINDOW or (self._held and now - self._since > PATIENCE_S):
            expected = self.track.expected or 0
            nearest = min(self._held, key=lambda held: (held - expected) & 0xFFFF)
            self._pass_on(nearest)
            self._release()
            self._since = now

    def _release(self) -> None:
        while self.track.expected in self._held and self.spent() < AT_ONCE:
            self._pass_on(self.track.expected)

    def _pass_on(self, sequence: int) -> None:
        data = self._held.pop(sequence)
        self.track.receive(data, 0, len(data))
