"""Guesses names and passwords, five hundred a second, from a hundred addresses at once that change after each 25.

The daemon hashes few of them. The connections are kept alive, and the guesses sent on time, whatever the answers.
"""

import trio
from attrs import evolve

from .target import Target

A_SECOND, ADDRESSES, GUESSES, ANSWERS_S = 500, 100, 25, 5.0
"""Guesses a second, connections at once, guesses of each, and the seconds in which the last answers may come."""
EVERY_S = ADDRESSES / A_SECOND
"""Seconds between two guesses of one connection."""
HEAD = (
    b"POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
)
STATUS = b"HTTP/1.1 "


async def attack(target: Target) -> None:
    """Each connection is followed by one from another address, which is new to every limit for a network."""
    async with trio.open_nursery() as nursery:
        for _ in range(ADDRESSES):
            nursery.start_soon(_guess_from_many, target)
            await trio.sleep(1 / A_SECOND)


async def _guess_from_many(target: Target) -> None:
    async with trio.open_nursery() as nursery:
        while True:
            a, b, c = (target.rng.randrange(1, 255) for _ in range(3))
            nursery.start_soon(_guess, evolve(target, host=f"127.{100 + a % 100}.{b}.{c}"))
            await trio.sleep(GUESSES * EVERY_S)


async def _guess(target: Target) -> None:
    """Send the guesses of one connection on time, and count the answers."""
    with target.counting(), trio.move_on_after(GUESSES * EVERY_S + ANSWERS_S):
        async with await target.connect() as stream, trio.open_nursery() as nursery:
            nursery.start_soon(_count_answers, target, stream, nursery.cancel_scope)
            began = trio.current_time()
            for number in range(GUESSES):
                await trio.sleep_until(began + number * EVERY_S)
                name = target.rng.choice(("admin", "anna", f"user{target.rng.randrange(10**6)}"))
                body = f'{{"user":"{name}","password":"{target.rng.random()}"}}'.encode()
                with target.counting():
                    await stream.send_all(HEAD % (len(body), body))
                    target.tally["sent"] += 1


async def _count_answers(target: Target, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    left = GUESSES
    with target.counting():
        while left and (data := await stream.receive_some()):
            for answer in data.split(STATUS)[1:]:
                target.tally[answer[:3].decode("ascii", "replace")] += 1
                left -= 1
    scope.cancel(reason="all is answered, or the daemon has closed")
