"""Hostile clients, one kind per file, and their table. Each kind has its own loopback address.

Rules of this folder:
- An attack is `async def attack(target)`; it runs until it is cancelled, and counts in `target.tally`.
- The rate of an attack is bounded: it must hurt the daemon by its kind, not by the processor time that it uses.
- All randomness comes from `target.rng`, which depends on the seed and the name of the attack.
"""

from collections.abc import Awaitable, Callable

from . import (
    big_pictures,
    bodies,
    cameras,
    cross_site,
    datagrams,
    deflate,
    frames,
    h2c,
    half_open,
    idle,
    leases,
    logins,
    never_reads,
    offers,
    preface,
    queries,
    rooms,
    rtsp_noise,
    rtsp_readers,
    rtsp_sessions,
    slow_heads,
    snapshots,
)
from .target import Target
from .tls import TLS_ATTACKS

Attack = Callable[[Target], Awaitable[None]]

ATTACKS: dict[str, Attack] = {
    "h2c": h2c.attack,
    "preface": preface.attack,
    "deflate": deflate.attack,
    "leases": leases.attack,
    "offers": offers.attack,
    "rooms": rooms.attack,
    "snapshots": snapshots.attack,
    "cross-site": cross_site.attack,
    "never-reads": never_reads.attack,
    "slow-heads": slow_heads.attack,
    "half-open": half_open.attack,
    "idle": idle.attack,
    "frames": frames.attack,
    "datagrams": datagrams.attack,
    "bodies": bodies.attack,
    "queries": queries.attack,
    "big-pictures": big_pictures.attack,
    "cameras": cameras.attack,
    "rtsp-noise": rtsp_noise.attack,
    "rtsp-readers": rtsp_readers.attack,
    "rtsp-sessions": rtsp_sessions.attack,
    "logins": logins.attack,
}
EVERY: dict[str, Attack] = {**ATTACKS, **TLS_ATTACKS}
"""Those of `TLS_ATTACKS` need a daemon that speaks TLS."""
FIRST_HOST = 50


def host_of(name: str) -> str:
    """Return the loopback address of an attack."""
    return f"127.0.0.{FIRST_HOST + list(EVERY).index(name)}"
