"""How long to wait before trying again. Pure: the random number is an argument.

Backoff is "full jitter" (AWS Architecture Blog, 2015): a uniform draw from [0, base * 2**n], which spreads a herd
best. Crashes are counted as OTP counts them: more than `CRASHES` within `CRASH_WINDOW_S` is too many.
"""

from collections.abc import Sequence

BASE_S = 1.0
CAP_S = 60.0
HEALTHY_AFTER_S = 60.0
"""After so long a time of health the attempts count from one again."""

FATAL_PROBE_S = 300.0
"""What will not pass by itself is looked at again this rarely, in case somebody mended the camera."""

CRASHES = 5
CRASH_WINDOW_S = 30.0
QUARANTINE_BASE_S = 300.0
QUARANTINE_CAP_S = 3600.0

STARTS_PER_S = 4
"""For the herd after a power cut: all cameras together make no more attempts after failures than this."""
FORKS_PER_S = 20
"""First attempts that start a child process. A fork holds the loop for 4 to 10 ms: a fifth of its time at the most."""
CONNECTIONS_PER_S = 50
"""First attempts that open a connection of ours, each about 4 ms of the loop: 100 cameras within 2 s."""


def backoff_s(attempts: int, jitter: float) -> float:
    """Seconds to wait after the `attempts`-th failure in a row (from 1); `jitter` is uniform in [0, 1)."""
    return jitter * min(CAP_S, BASE_S * 2.0 ** min(attempts - 1, 16))


def recent_crashes(crashes_ns: Sequence[int], now_ns: int) -> tuple[int, ...]:
    """The crashes that still count at `now_ns`, this moment's included."""
    horizon = now_ns - int(CRASH_WINDOW_S * 1e9)
    return (*(at for at in crashes_ns if at > horizon), now_ns)[-(CRASHES + 1) :]


def quarantine_s(times: int) -> float:
    """Seconds to leave an actor alone when it is quarantined for the `times`-th time in a row (from 1)."""
    return min(QUARANTINE_CAP_S, QUARANTINE_BASE_S * 2.0 ** min(times - 1, 16))
