"""Backoff: how long to wait before the next attempt. Pure: the random number is an argument.

The backoff is "full jitter" (AWS Architecture Blog, 2015): a uniform draw from [0, base * 2**n], which spreads a herd
best. Crashes are counted as in OTP: more than `CRASHES` within `CRASH_WINDOW_S` lead to quarantine.
"""

from collections.abc import Sequence
from typing import NamedTuple

from .values import Fault, Reason

BASE_S = 1.0
CAP_S = 60.0
HEALTHY_AFTER_S = 60.0
"""After being live for this time, attempts count from one again."""

PROBE_BASE_S, PROBE_CAP_S = 10.0, 300.0
"""Delay of the first probe after a fatal fault, and the cap. The delay doubles with each probe."""
RECENT_S = 120.0
"""A camera that was live within this time is probably restarting, whatever it answers: relays answer 404 meanwhile."""
RECENT_BASE_S, RECENT_CAP_S = 1.0, 10.0
PASSWORD_S = (300.0, 1800.0)
"""Delay after the first refused password, and after each further one: cameras lock accounts after many attempts."""
PASSWORD = "unauthorized"
"""The code of that reason."""

NO_SHARED_MEMORY = "no-shared-memory"
"""The code of the reason of a camera whose shared memory does not exist."""
SHARED_MEMORY_GONE = "shared-memory-gone"
"""The code of the reason of a camera whose shared memory was removed, replaced or truncated."""
SHARED_MEMORY_S = 30.0
"""The longest wait for it before the next attempt; its appearance ends the wait at once. After this time, the missing
memory degrades health: its program may take as long to start."""

CRASHES = 5
CRASH_WINDOW_S = 30.0
QUARANTINE_BASE_S = 300.0
QUARANTINE_CAP_S = 3600.0

RETRY_AFTER_S = 1.0
"""Minimum time between requested attempts at one camera, for all clients together."""

STARTS_PER_S = 4
"""Limit of attempts after failures, for all cameras together: it spreads the herd after a power cut."""
FORKS_PER_S = 20
"""Limit of first attempts that start a child process. A fork blocks the loop for 4 to 10 ms: at most a fifth of its
time."""
CONNECTIONS_PER_S = 50
"""Limit of first attempts that open a connection without a child process. Each takes about 4 ms of the loop, so 100
cameras start within 2 s."""


def backoff_s(attempts: int, jitter: float) -> float:
    """Seconds to wait after the `attempts`-th failure in a row (from 1); `jitter` is uniform in [0, 1)."""
    return jitter * min(CAP_S, BASE_S * 2.0 ** min(attempts - 1, 16))


def probe_s(code: str, before_s: float, since_live_s: float) -> float:
    """Seconds until the next attempt after a fatal loss.

    Args:
        code: the code of the reason;
        before_s: the previous wait, 0 if the previous loss was of another kind;
        since_live_s: how long ago the camera was last live, infinite if it never was.
    """
    if code == PASSWORD:
        return PASSWORD_S[1] if before_s else PASSWORD_S[0]
    recent = since_live_s <= RECENT_S
    base, cap = (RECENT_BASE_S, RECENT_CAP_S) if recent else (PROBE_BASE_S, PROBE_CAP_S)
    return min(cap, max(base, 2 * before_s))


def recent_crashes(crashes_ns: Sequence[int], now_ns: int) -> tuple[int, ...]:
    """The times of the crashes that still count at `now_ns`, including one at `now_ns` itself."""
    horizon = now_ns - int(CRASH_WINDOW_S * 1e9)
    return (*(at for at in crashes_ns if at > horizon), now_ns)[-(CRASHES + 1) :]


def quarantine_s(times: int) -> float:
    """Duration in seconds of the `times`-th quarantine in a row (from 1)."""
    return min(QUARANTINE_CAP_S, QUARANTINE_BASE_S * 2.0 ** min(times - 1, 16))


class Restarts(NamedTuple):
    """The ends of one supervised program, and the wait before its next start: `after` returns both for one more end."""

    failures: int = 0
    """Ends in a row, without one that followed `HEALTHY_AFTER_S` of running."""
    ends_ns: tuple[int, ...] = ()
    """Those that count for quarantine."""
    quarantines: int = 0
    """In a row."""
    probe_s: float = 0.0
    """The last wait after a fatal fault, 0 if the last end was of another kind."""
    is_quarantined: bool = False
    """Whether this wait is a quarantine."""
    delay_s: float = 0.0
    """Seconds until the next start."""

    def after(self, reason: Reason, ran_s: float, now_ns: int, jitter: float) -> "Restarts":
        """Return what holds after an end for `reason` at `now_ns` (monotonic), `ran_s` seconds after its start."""
        before = Restarts(ends_ns=self.ends_ns) if ran_s >= HEALTHY_AFTER_S else self
        failures, ends_ns = before.failures + 1, recent_crashes(before.ends_ns, now_ns)
        if reason.fault is Fault.FATAL:
            wait_s = probe_s(reason.code, before.probe_s, float("inf"))
            return Restarts(failures, ends_ns, before.quarantines, wait_s, delay_s=wait_s)
        if len(ends_ns) > CRASHES:
            times = before.quarantines + 1
            return Restarts(failures, (), times, is_quarantined=True, delay_s=quarantine_s(times))
        return Restarts(failures, ends_ns, before.quarantines, delay_s=backoff_s(failures, jitter))
