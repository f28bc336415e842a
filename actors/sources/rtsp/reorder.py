"""The order of datagrams: late ones are waited for, if their sequence numbers count. Sans-I/O.

Source: RFC 3550, sections 5.1 and A.1 (sequence numbers).
"""

from collections.abc import Callable

import attrs

from ...cpu_share import AT_ONCE
from ...media.oddities import Oddity
from .rtp import MAX_DROPOUT, PROOF, RTCP_TYPES, Track

WINDOW = 64
"""Limit of packets that wait for a late one."""
PATIENCE_S = 0.1
"""The longest wait for a late packet."""
DOUBT = 8
"""So many packets over UDP with the same step between their numbers, which is not 1: these are not believed."""


def _step_of(before: bytes, packet: bytes) -> int:
    """Return the step of the sequence number between two packets; -1 if they are of two sources."""
    if before[8:12] != packet[8:12]:
        return -1
    return (int.from_bytes(packet[2:4]) - int.from_bytes(before[2:4])) & 0xFFFF


@attrs.define
class Reorder:
    """Restores the order of a track's datagrams: some wait a moment for a late one.

    Only if their sequence numbers count: all but the first wait until a step is 1, or not the same as the one before.
    If all steps between the first `DOUBT` packets are the same, and not 1, packets are taken as they arrive from then
    on, and loss is not noticed. Once `PROOF` steps in a row are 1, the numbers are believed after all.
    """

    track: Track
    spent: Callable[[], int]
    """The work since the datagram arrived, in packets: above `AT_ONCE`, held packets wait for the next one."""
    is_counted: bool | None = None
    """Whether the sequence numbers count up; None until that is known."""
    _waiting: list[tuple[bytes, float]] = attrs.field(factory=list)
    """The first packets but one with their times of arrival, until it is known."""
    _steps: list[int] = attrs.field(factory=list)
    """From each of the first packets to the next one."""
    _newest: bytes = b""
    _in_row: int = 0
    """The newest packet that was not believed, and how many up to it counted up."""
    _held: dict[int, bytes] = attrs.field(factory=dict)
    _since: float = 0.0
    """When the first held packet arrived."""

    def receive(self, data: bytes, now: float) -> None:
        """Receive one datagram at time `now`, in seconds."""
        if self.is_counted is not True and len(data) >= 12 and data[1] & 0x7F not in RTCP_TYPES:
            self._receive_in_doubt(data, now)
        else:
            self._sort(data, now)

    def _receive_in_doubt(self, data: bytes, now: float) -> None:
        """Receive a packet while its sequence number is not believed."""
        step, self._newest = _step_of(self._newest, data), data
        if self.is_counted is None:
            self._decide(data, now, step)
        elif self._in_row == PROOF - 1 and step == 1:
            self.is_counted = True
            self._sort(data, now)
        else:
            self._in_row = self._in_row + 1 if step == 1 else 0
            self._take_uncounted(data)

    def _decide(self, data: bytes, now: float, step: int) -> None:
        """Receive one of the first packets, the first of them at once."""
        if not self._steps:
            self._steps.append(step)
            self._sort(data, now)
            return
        self._waiting.append((data, now))
        self._steps.append(step)
        if step == 1 or step != self._steps[1]:
            self.is_counted = True
            for packet, at in self._waiting:
                self._sort(packet, at)
        elif len(self._steps) == DOUBT:
            self.is_counted = False
            for packet, _ in self._waiting:
                self._take_uncounted(packet)
        if self.is_counted is not None:
            self._waiting.clear()

    def _take_uncounted(self, data: bytes) -> None:
        self.track.loss.meet(Oddity.SEQUENCE)
        if self.track.ssrc == int.from_bytes(data[8:12]):
            self.track.expected = int.from_bytes(data[2:4])
        self.track.receive(data, 0, len(data))

    def _sort(self, data: bytes, now: float) -> None:
        sequence, expected = int.from_bytes(data[2:4]), self.track.expected
        ahead = 0 if expected is None else (sequence - expected) & 0xFFFF
        if 0 < ahead < (MAX_DROPOUT if int.from_bytes(data[8:12]) == self.track.ssrc else WINDOW):
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
