"""Guesses names and passwords, five hundred a second, each from another address: the daemon hashes few of them."""

import msgspec
import trio
from attrs import evolve

from .target import Target

JSON = b"Content-Type: application/json\r\n"
AT_ONCE, EVERY_S = 50, 0.1


async def attack(target: Target) -> None:
    """A tenth of a second's guesses at once. Every address is new, so the limit for a network never holds."""
    while True:
        async with trio.open_nursery() as guesses:
            for _ in range(AT_ONCE):
                a, b, c = (target.rng.randrange(1, 255) for _ in range(3))
                guesses.start_soon(_guess, evolve(target, host=f"127.{100 + a % 100}.{b}.{c}"))
            guesses.start_soon(trio.sleep, EVERY_S)


async def _guess(target: Target) -> None:
    name = target.rng.choice(("admin", "anna", f"user{target.rng.randrange(10**6)}"))
    body = msgspec.json.encode({"user": name, "password": f"{target.rng.random()}"})
    await target.ask("POST", "/api/session", body, JSON)
