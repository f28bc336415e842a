"""Limits the connectivity checks to addresses that have proved nothing. Pure; times are seconds of one clock.

A viewer names its addresses, and could name a stranger's. So the checks to an address that has not yet answered are
counted over all peers: for each host, whatever its UDP ports, and for all hosts together. A real viewer sends
checks, too, and those lift the limit for it.

Source: RFC 8445, section 19.5.1 (the STUN amplification attack).
"""

from collections.abc import Callable

from supervisor.domain.bucket import Bucket

HOST = (32.0, 4.0)
"""Checks to one host: at once, and more per second. A wall of 16 cameras opens 16 connections at once."""
TOTAL = (400.0, 100.0)
"""Checks to all hosts: at once, and more per second."""
MAX_HOSTS = 1024
"""Hosts that are counted. Above this number, the host that was counted longest ago is forgotten."""


class Pacer:
    """Shared by all peers. `clock` returns the time in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._hosts: dict[str, Bucket] = {}
        self._total = Bucket(rate=TOTAL[1], burst=TOTAL[0], at=clock())

    def take(self, host: str) -> bool:
        """Count one check to `host`. Returns False if it must not be sent now."""
        now = self._clock()
        bucket = self._hosts.pop(host, None) or Bucket(rate=HOST[1], burst=HOST[0], at=now)
        self._hosts[host] = bucket
        if len(self._hosts) > MAX_HOSTS:
            del self._hosts[next(iter(self._hosts))]
        if bucket.ready_in(now) > 0 or self._total.ready_in(now) > 0:
            return False
        bucket.take(now)
        self._total.take(now)
        return True
