"""How long to wait before trying again. Pure: the random number is an argument.

Backoff is "full jitter" (AWS Architecture Blog, 2015): a uniform draw from [0, base * 2**n], which spreads a herd
best. Crashes are counted as OTP counts them: more than `CRASHES` within `CRASH_WINDOW_S` is too many.
"""

from collections.abc import Sequence

BASE_S = 1.0
CAP_S = 60.0
HEALTHY_AFTER_S = 60.0
"""After so long a time of health the attempts count from one again."""

PROBE_BASE_S, PROBE_CAP_S = 10.0, 300.0
"""A fault that will not pass by itself is probed after so long, then after twice as long each time, up to the cap."""
RECENT_S = 120.0
"""A camera that was live within this time is probably restarting, whatever it answers: relays say 404 meanwhile."""
RECENT_BASE_S, RECENT_CAP_S = 1.0, 10.0
PASSWORD_S = (300.0, 1800.0)
"""After a refused password, and after each further one: cameras lock accounts that try too often."""
PASSWORD = "unauthorized"
"""The code of that reason."""

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


def probe_s(code: str, before_s: float, since_live_s: float) -> float:
    """Seconds until the next attempt after a loss that will not pass by itself.

    `code` is the reason's; `before_s` is the wait before, 0 if the loss before was not of this kind; `since_live_s` is
    how long ago the camera was last live, infinite if it never was.
    """
    if code == PASSWORD:
        return PASSWORD_S[1] if before_s else PASSWORD_S[0]
    recent = since_live_s <= RECENT_S
    base, cap = (RECENT_BASE_S, RECENT_CAP_S) if recent else (PROBE_BASE_S, PROBE_CAP_S)
    return min(cap, max(base, 2 * before_s))


def recent_crashes(crashes_ns: Sequence[int], now_ns: int) -> tuple[int, ...]:
    """The crashes that still count at `now_ns`, this moment's included."""
    horizon = now_ns - int(CRASH_WINDOW_S * 1e9)
    return (*(at for at in crashes_ns if at > horizon), now_ns)[-(CRASHES + 1) :]


def quarantine_s(times: int) -> float:
    """Seconds to leave an actor alone when it is quarantined for the `times`-th time in a row (from 1)."""
    return min(QUARANTINE_CAP_S, QUARANTINE_BASE_S * 2.0 ** min(times - 1, 16))
