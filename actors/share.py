"""A share of the loop for each camera and each viewer: one that sends more than others do is read more slowly.

TCP slows it down then, and of datagrams the kernel drops the rest.

Rules of this file:
- The processor time that its bytes take is charged, and `MESSAGE_S` for each message: cameras send one in some seconds.
- Time that was taken too much is waited for before more is read. The connection's own deadlines go on meanwhile.
"""

import time
from collections.abc import Callable

from supervisor.domain.bucket import Bucket

AT_ONCE = 256
"""Packets that are taken before others have their turn: less than a millisecond's work."""
OF_PICTURE, OF_SOUND = 16, 4
"""As how many packets a picture or a frame of sound counts, for the work that they are behind their packets."""
RATE, BURST_S = 0.4, 1.0
"""Of a camera. One of 50 Mbit/s takes 0.1."""
MESSAGE_S = 0.01
"""Beside its bytes: 100 messages in a row, and 40 a second."""


class Share:
    """Of one connection: `rate` seconds of work in a second, and `burst_s` in a row.

    `clock` gives the processor time of the loop's thread; other times are the loop's.
    """

    def __init__(
        self, now: float, clock: Callable[[], float] = time.thread_time, rate: float = RATE, burst_s: float = BURST_S
    ) -> None:
        self._bucket = Bucket(rate, burst_s, now)
        self._clock, self._began, self._messages = clock, 0.0, 0

    def begin(self, messages: int = 0) -> None:
        """Bytes are read from now on. `messages`: that came so far."""
        self._began, self._messages = self._clock(), messages

    def pause(self, now: float, messages: int = 0) -> float:
        """Reading pauses. Returns the seconds to wait until it may go on."""
        self._bucket.take(now, self._clock() - self._began + MESSAGE_S * (messages - self._messages))
        return self._bucket.ready_in(now, 0.0)
