"""Hostile clients, one kind a file, and the table of them. Each kind has a loopback address of its own.

Rules of this folder:
- An attack is `async def attack(target)`; it goes on until it is cancelled, and counts in `target.tally`.
- An attack is bounded in its own rate: it has to hurt the daemon by its kind, not by the processor time that it takes.
- All that is random comes from `target.rng`, which is made of the seed and the attack's name.
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
    never_reads,
    offers,
    preface,
    queries,
    rooms,
    slow_heads,
    snapshots,
)
from .target import Target

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
}
FIRST_HOST = 50


def host_of(name: str) -> str:
    """The loopback address from which an attack comes."""
    return f"127.0.0.{FIRST_HOST + list(ATTACKS).index(name)}"
