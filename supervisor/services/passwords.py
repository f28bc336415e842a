"""Passwords: hashed and checked in a thread.

Rules of this file:
- Hashing takes 60 ms and 12 MiB, so one runs at a time, and at most `MOST_WAITING` wait for it.
- An attempt that waited is charged right before it is hashed, if it is still allowed: those before it may be wrong.
- A name that nobody has takes as long as a wrong password.
"""

import secrets
import unicodedata
from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

from ..base.threads import ThreadRefused, run_in_thread
from ..domain.errors import Refusal, Rejected

MOST_WAITING = 8
LEAST, MOST = 8, 1024
"""Characters of a password."""
Result = TypeVar("Result")


class Busy(Rejected):
    """Too many wait, or the system has no thread."""


class Hasher(Protocol):
    """Hashes passwords, and checks them. Both take long."""

    def hash(self, password: str) -> str: ...

    def matches(self, hashed: str, password: str) -> bool: ...


class Argon2:
    """argon2id with 12 MiB and three passes: 58 ms on the machine where it was measured."""

    def __init__(self) -> None:
        from argon2 import PasswordHasher

        self._hasher = PasswordHasher(time_cost=3, memory_cost=12 * 1024, parallelism=1)

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def matches(self, hashed: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False


class Passwords:
    """Made once by the daemon. Every method may be called by any number of tasks."""

    def __init__(self, make_hasher: Callable[[], Hasher] = Argon2) -> None:
        self._make_hasher = make_hasher
        self._hasher: Hasher | None = None
        self._nobody = ""
        """A hash that no password has, for names that nobody has."""
        self._queue, self._hashing = trio.Lock(), trio.CapacityLimiter(1)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Raises `Rejected` for a password that is too short or too long, and `Busy`."""
        if not LEAST <= len(password) <= MOST:
            raise Rejected(Refusal.INVALID, f"a password has {LEAST} to {MOST} characters")
        return await self._run(lambda hasher: hasher.hash(normal(password)))

    async def matches(self, hashed: str, password: str, begin: Callable[[], None] = lambda: None) -> bool:
        """Whether the password is right. An empty hash takes as long as any other.

        `begin` is called right before the hashing, and may raise. Raises `Busy`, and what `begin` raises.
        """
        if len(password) > MOST:
            begin()
            return False

        def matches(hasher: Hasher) -> bool:
            self._nobody = self._nobody or hasher.hash(secrets.token_urlsafe(16))
            return hasher.matches(hashed or self._nobody, normal(password)) and bool(hashed)

        return await self._run(matches, begin)

    async def _run(self, work: Callable[[Hasher], Result], begin: Callable[[], None] = lambda: None) -> Result:
        if self._waiting >= MOST_WAITING:
            raise Busy(Refusal.RATE_LIMITED, "many people log in just now; try again in a second", 1.0)
        self._waiting += 1
        try:
            async with self._queue:
                begin()
                return await run_in_thread(lambda: work(self._hasher_once()), limiter=self._hashing)
        except (ThreadRefused, MemoryError):
            raise Busy(Refusal.UNAVAILABLE, "the system has no thread or memory to check a password", 5.0) from None
        finally:
            self._waiting -= 1

    def _hasher_once(self) -> Hasher:
        self._hasher = self._hasher or self._make_hasher()
        return self._hasher


def normal(password: str) -> str:
    """The same password however a keyboard composes its characters (RFC 8265: NFC)."""
    return unicodedata.normalize("NFC", password)
