"""RTP: source, sequence and payload of packets. Sans-I/O; this is the busiest code of a camera.

Rules of this file:
- No object is allocated per packet: the payload is a range in the received bytes.
- The depacketizer learns of a gap before it gets the next packet. Duplicates and packets that are too late are dropped.
- A channel has one source: the one whose packets go on. Another one replaces it when its packets come without those of
  the current one. Until that is clear, they are held, so that none is lost.
- Over TCP nothing is lost on the way. Sequence numbers are believed as far as they have counted up by one. Over UDP
  `Reorder` decides whether they are believed.

Source: RFC 3550, sections 5.1, 5.3.1 and A.1 (sequence numbers), 6.4.1 (what is reported of them); RFC 5761, section 4.
"""

import struct
from collections.abc import Callable
from typing import Protocol

import attrs

from ...media.media import SourceLoss
from ...media.oddities import Oddity
from .rtcp import ReceiverReport, SenderReport
from .timeline import TrackTimeline

MAX_DROPOUT = 3000
"""A larger step of the sequence number is a restart, not a gap (RFC 3550, A.1)."""
MAX_MISORDER = 100
"""A packet that is behind by no more than this is late or a duplicate, even if repeated (RFC 3550, A.1)."""
PROOF = 3
"""Consecutive packets, without any of the current source between them, after which another source replaces it."""
SILENCE_S = 1.0
"""The same for a source whose packets came between those of the current one, or that has less reason to be here."""
MAX_FOREIGN = 16
"""Limit of sources that are known to be others'."""
MAX_RIVALS = 4
"""Limit of other sources that are watched at a time."""
TERM_S = 1.0
"""How long a source that has replaced another one has to bring a key frame; twice as long each next time."""
COMFORT_NOISE = frozenset((13, 19))
"""Payload types of RFC 3551, section 6, that no announced coding uses."""
RTCP_TYPES = range(64, 96)
"""RTCP packets on the channel of the media look like these payload types (RFC 5761, section 4)."""
MAX_TRUST = 1000
"""Limit of the trust in sequence numbers over TCP, and of the distrust: each one that counts up by one adds 1."""
OF_GAP, OF_STEP = 4, 128
"""Trust that a missing number costs: within a picture, and between two, where the step may be a habit of the camera."""

STUN_COOKIE = bytes.fromhex("2112a442")
"""In the place of the time stamp (RFC 5389, section 6)."""

_HEADER = struct.Struct(">BBHII")


class Depacketizer(Protocol):
    def take(self, data: bytes, at: int, stop: int, timestamp: int, marker: bool) -> None:
        """Take the payload `data[at:stop]` of one packet; never empty."""
        ...

    def gap(self) -> None:
        """Packets are missing before the next one."""
        ...

    def restart(self) -> None:
        """Another source begins with the next packet: discard what is incomplete."""
        ...


@attrs.define
class _Rival:
    """Another source on the channel, which may replace the current one."""

    ssrc: int
    since: float
    """Time of its first packet since the last one of the current source."""
    heard: int
    """The number of packets of the current source up to then."""
    held: list[bytes] = attrs.field(factory=list)
    """Its newest packets, whose sequence numbers follow each other: at most `PROOF`."""
    lossy: bool = False
    """Whether packets of it were dropped."""


class Track:
    """The packets of one medium.

    Args:
        number: the announced payload type. Another one is accepted if it is not in `left_out`: from 96 on where it
            continues the sequence, below only if the announced one does not come.
        in_order: whether the transport keeps the order, as TCP does.
    """

    def __init__(
        self,
        number: int,
        depacketizer: Depacketizer,
        timeline: TrackTimeline,
        loss: SourceLoss,
        in_order: bool = False,
        left_out: frozenset[int] = frozenset(),
    ) -> None:
        self.timeline, self.loss = timeline, loss
        self.number = number
        """The payload type of the current source."""
        self.expected: int | None = None
        """The next sequence number; None before the first packet."""
        self.ssrc = -1
        self.named: int | None = None
        """The SSRC that the camera has named. It is preferred as soon as it comes, until another one replaces it."""
        self._announced, self._left_out = number, left_out | COMFORT_NOISE
        self._in_order = in_order
        self._depacketizer = depacketizer
        self._received = self._lost = self._base = self._restart = 0
        self._jump = b""
        """The last packet whose number is far from the expected one; `_restart` is the number behind it."""
        self._told = (0, 0)
        """The numbers of received and lost packets at the last report."""
        self._heard: tuple[int, float] | None = None
        """The last sender report, and its time of arrival."""
        self._timestamp, self._marked = 0, False
        """Time stamp and marker of the last packet."""
        self._aside = -1
        """The last sequence number of a packet that was left out: some cameras use it again for the next one."""
        self._trust = self._counted = 0
        """The trust in sequence numbers, and the number of packets for which it was computed."""
        self._first = b""
        """The first packet of the current count: the same one again is a duplicate, before there is any trust."""
        self.waits_for_key = False
        """Whether this is video without a key frame so far. Until then, any source that counts may replace another."""
        self.extend: Callable[[bytes], None] | None = None
        """Takes the header extension of a packet, before the depacketizer takes its payload."""
        self._has_no_version = False
        """Whether its packets are of version 0."""
        self._term_s, self._term_end = TERM_S, 0.0
        self._rivals: dict[int, _Rival] = {}
        self._left: tuple[int, int | None, bool] | None = None
        """SSRC, next sequence number and last marker of the source before the current one."""
        self._foreign = set[int]()
        """SSRCs of sources whose packets came between those of the current one."""

    @property
    def received(self) -> int:
        """The number of packets of the current source."""
        return self._received

    def receive(self, data: bytes, start: int, stop: int) -> None:
        """Receive one packet, `data[start:stop]`."""
        if stop - start < 12:
            self.loss.malformed += 1
            return
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data, start)
        at, end = start + 12, stop
        if first != 0x80:
            if first < 0x40 and self._is_old(data[start:stop]):
                first |= 0x80
            at, end = _find_payload(data, start, stop, first)
            if at < 0:
                self.loss.malformed += second & 0x7F not in RTCP_TYPES
                return
        if (sequence != self.expected or ssrc != self.ssrc or second & 0x7F != self.number) and not self._follow(
            data, start, stop
        ):
            return
        self.expected = (sequence + 1) & 0xFFFF
        self._received += 1
        self._timestamp, self._marked = timestamp, second > 0x7F
        if at < end:
            if first & 0x10 and self.extend is not None:
                self.extend(data[start + 12 + 4 * (first & 0x0F) : at])
            self._depacketizer.take(data, at, end, timestamp, second > 0x7F)

    def _is_old(self, packet: bytes) -> bool:
        """Whether a packet of version 0 is taken: over TCP, from a camera that has never sent another version.

        Over UDP, it is only counted: other protocols have the same first bits there (RFC 7983, section 7).
        """
        if packet[1] & 0x7F != self._announced or packet[4:8] == STUN_COOKIE:
            return False
        if not self._in_order:
            self.loss.meet(Oddity.NO_VERSION)
            return False
        if self.expected is None and not self._has_no_version:
            self._has_no_version = True
            self.loss.meet(Oddity.NO_VERSION)
        return self._has_no_version

    def _follow(self, data: bytes, start: int, stop: int) -> bool:
        """Handle a packet that does not simply continue the current source. Returns whether its payload is taken."""
        _, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data, start)
        number = second & 0x7F
        if number in RTCP_TYPES and number != self._announced:
            return False
        is_medium = self._is_medium(number)
        if self.expected is None or ssrc != self.ssrc:
            if not is_medium:
                return False
            if self.expected is None and number == self._announced:
                self._begin(data[start:stop], ssrc, number)
                return True
            if sequence == self.expected and number == self.number and ssrc not in self._foreign:
                self._rename(ssrc)
                return True
            if self._is_late(sequence, ssrc):
                self.loss.late += 1
            else:
                self._challenge(data[start:stop], number, sequence, ssrc)
            return False
        if sequence != self.expected and not self._step(data[start:stop], sequence, timestamp):
            return False
        if not is_medium:
            self._aside, self.expected = sequence, (sequence + 1) & 0xFFFF
            self._received += 1
            return False
        if number != self.number:
            self.number = number
            self.loss.meet(Oddity.PAYLOAD_TYPE)
        return True

    def _is_medium(self, number: int) -> bool:
        """Whether packets of this payload type may carry the medium."""
        if number == self._announced or number == self.number:
            return True
        return number not in self._left_out and (number >= 96 or self.expected is None)

    # ── sequence numbers of the current source ──────────────────────────────────────────────────────────────────

    def _step(self, packet: bytes, sequence: int, timestamp: int) -> bool:
        """Handle a packet whose number is not the expected one. Returns whether it is accepted."""
        ahead = (sequence - (self.expected or 0)) & 0xFFFF
        if ahead == 0xFFFF and sequence == self._aside:
            self._aside = -1
            self._received -= 1
            return True
        if self._in_order:
            return self._step_in_order(packet, timestamp, ahead)
        if ahead < MAX_DROPOUT:
            self._miss(ahead)
            return True
        if sequence == self._restart and ahead < 0x10000 - MAX_MISORDER:
            first = self._jump
            self.loss.late -= 1
            self._depacketizer.gap()
            self._begin(first, self.ssrc, self.number)
            self.receive(first, 0, len(first))
            return True
        self._restart, self._jump = (sequence + 1) & 0xFFFF, packet
        self.loss.late += 1
        return False

    def _step_in_order(self, packet: bytes, timestamp: int, ahead: int) -> bool:
        """The same where nothing is lost on the way: the camera drops packets, repeats some, or does not count."""
        trust = self._update_trust()
        passed = ((timestamp - self._timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        between = self._marked and passed != 0
        if packet == self._first:
            self._trust = trust = trust + OF_GAP
        if ahead >= 0x10000 - MAX_MISORDER and passed <= 0 and trust > 0:
            self._trust -= 1
            self.loss.late += 1
            return False
        self._trust = max(-MAX_TRUST, trust - (OF_STEP if between else OF_GAP))
        self._counted += 1
        if ahead < MAX_DROPOUT and trust > (OF_STEP if between else 0):
            self._miss(ahead)
        else:
            self.loss.meet(Oddity.SEQUENCE)
        return True

    def _is_late(self, sequence: int, ssrc: int) -> bool:
        """Whether a packet of the SSRC before this one, in the same count, was overtaken by others."""
        behind = ((self.expected or 0) - sequence) & 0xFFFF
        return not self._in_order and self._left is not None and ssrc == self._left[0] and behind <= MAX_MISORDER

    def _update_trust(self) -> int:
        self._trust = min(MAX_TRUST, self._trust + self._received - self._counted)
        self._counted = self._received
        return self._trust

    def _miss(self, packets: int) -> None:
        self._lost += packets
        self.loss.lost += packets
        self._depacketizer.gap()

    # ── other sources ───────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, packet: bytes, ssrc: int, number: int) -> None:
        """Begin the count of a source with its first packet."""
        if number != self.number:
            self.loss.meet(Oddity.PAYLOAD_TYPE)
        sequence = int.from_bytes(packet[2:4])
        self.expected, self.ssrc, self.number = sequence, ssrc, number
        self._first, self._base, self._restart, self._aside = packet, sequence, -1, -1
        self._received = self._lost = self._trust = 0
        self._counted = 1
        self._told, self._heard = (0, 0), None

    def _rename(self, ssrc: int) -> None:
        """Follow a new SSRC: the sequence numbers go on."""
        self.loss.meet(Oddity.NEW_SSRC)
        self._forget_name()
        self._left = self.ssrc, self.expected, self._marked
        self.ssrc, self._heard = ssrc, None
        self.timeline.restart()

    def _challenge(self, packet: bytes, number: int, sequence: int, ssrc: int) -> None:
        """Hold or drop a packet of another source, until that source replaces the current one."""
        now, rival = self.timeline.now, self._rivals.get(ssrc)
        if self._left is not None and (ssrc, sequence) == self._left[:2] and ssrc not in self._foreign:
            # The source before this one goes on: both are there, and the first one stays.
            self._reject(self.ssrc)
            self._take_over(_Rival(ssrc, now, 0, [packet], lossy=not self._left[2]), number)
            return
        if rival is None:
            if len(self._rivals) >= MAX_RIVALS:
                self._drop(self._rivals.pop(next(iter(self._rivals))))
            rival = self._rivals[ssrc] = _Rival(ssrc, now, self._received)
        elif rival.heard != self._received:
            rival.heard, rival.since = self._received, now
            if self._update_trust() >= PROOF - 1 and not self.waits_for_key:
                self._reject(ssrc)
                self._drop(rival)
        if rival.held and sequence != (int.from_bytes(rival.held[-1][2:4]) + 1) & 0xFFFF:
            self._drop(rival)
        rival.held.append(packet)
        if self._is_replaced_by(rival, number):
            self._take_over(rival, number)
        elif len(rival.held) >= PROOF:
            self._drop(rival)

    def _is_replaced_by(self, rival: _Rival, number: int) -> bool:
        is_announced = number == self._announced
        if rival.ssrc == self.named or (is_announced and self.number != number):
            return True
        if self.timeline.now - rival.since >= SILENCE_S:
            return True
        if self.expected is not None:
            if self._foreign or self.ssrc == self.named or (not is_announced and self.number == self._announced):
                return False
            if self.waits_for_key and self.timeline.now < self._term_end:
                return False
        return len(rival.held) >= PROOF

    def _take_over(self, rival: _Rival, number: int) -> None:
        """Follow another source, beginning with the packets that were held."""
        self._rivals.clear()
        if self.expected is not None:
            self.loss.meet(Oddity.NEW_SSRC)
            self._depacketizer.restart()  # this may complete the first key frame
            self.timeline.restart()
        was_equal = rival.ssrc != self.named and number == self.number and self._update_trust() >= PROOF - 1
        if self.waits_for_key:
            was_equal, self._term_end, self._term_s = False, self.timeline.now + self._term_s, 2 * self._term_s
        self._left = (self.ssrc, self.expected, self._marked) if was_equal else None
        self._foreign.discard(rival.ssrc)
        self._forget_name()
        if rival.lossy:
            self._depacketizer.gap()
        self._begin(rival.held[0], rival.ssrc, number)
        for packet in rival.held:
            self.receive(packet, 0, len(packet))

    def _forget_name(self) -> None:
        if self.ssrc == self.named:
            self.named = None

    def _reject(self, ssrc: int) -> None:
        if len(self._foreign) < MAX_FOREIGN:
            self._foreign.add(ssrc)

    def _drop(self, rival: _Rival) -> None:
        for _ in rival.held:
            self.loss.meet(Oddity.FOREIGN_SSRC)
        rival.held.clear()
        rival.lossy = True

    def share_lost(self) -> float | None:
        """Return the share of packets that never arrived, since the sender began; None before the first packet."""
        return round(self._lost / (self._received + self._lost), 4) if self._received else None

    def hear(self, report: SenderReport, now: float) -> None:
        self._heard = report.middle, now

    def report(self, now: float) -> ReceiverReport | None:
        """Return the receiver report of this track; None before the first packet."""
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


def _find_payload(data: bytes, start: int, stop: int, first: int) -> tuple[int, int]:
    """Return the range of the payload in a packet with contributors, an extension or padding; -1 if invalid.

    `first` is its first byte. A count of padding that exceeds the packet is ignored.
    """
    at = start + 12 + 4 * (first & 0x0F)
    if first & 0x10:
        at += 4 + 4 * int.from_bytes(data[at + 2 : at + 4])
    if first & 0x20 and at <= stop - data[stop - 1]:
        stop -= data[stop - 1]
    return (at, stop) if first >> 6 == 2 and at <= stop else (-1, stop)
