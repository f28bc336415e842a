"""Limits the processor time of each camera and each peer: a connection that sends more than usual is read more slowly.

TCP then slows the sender down; of datagrams, the kernel drops the rest.

Rules of this file:
- Each connection is charged for the processor time that its bytes take, plus `MESSAGE_S` for each message. Cameras send
  one message every few seconds.
- Overdrawn time is waited for before more is read. The connection's own deadlines continue meanwhile.
"""

import time
from collections.abc import Callable

from supervisor.domain.bucket import Bucket

AT_ONCE = 256
"""Packets that are processed before other tasks run: less than 1 ms of work."""
OF_VIDEO, OF_AUDIO = 16, 4
"""Charge for an access unit and for an audio frame, in packets: the work behind the packets that carry it."""
RATE, BURST_S = 0.4, 1.0
"""Limits for a camera: the fraction of processor time, and the burst in seconds. A camera of 50 Mbit/s takes 0.1."""
MESSAGE_S = 0.01
"""Charge for each message beside its bytes: allows 100 messages in a row, and 40 a second."""


class CpuShare:
    """The share of one connection: `rate` seconds of work per second, and bursts of `burst_s` seconds.

    `clock` returns the processor time of the loop's thread in seconds; other times are those of the loop.
    """

    def __init__(
        self, now: float, clock: Callable[[], float] = time.thread_time, rate: float = RATE, burst_s: float = BURST_S
    ) -> None:
        self._bucket = Bucket(rate, burst_s, now)
        self._clock, self._began, self._messages = clock, 0.0, 0

    def begin(self, messages: int = 0) -> None:
        """Reading begins. `messages` is the number of messages received before."""
        self._began, self._messages = self._clock(), messages

    def pause(self, now: float, messages: int = 0) -> float:
        """Reading pauses. Charges the work since `begin`, and returns the seconds until reading may continue."""
        self._bucket.take(now, self._clock() - self._began + MESSAGE_S * (messages - self._messages))
        return self._bucket.ready_in(now, 0.0)
