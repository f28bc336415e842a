"""Challenges: random bytes that an authenticator signs, so that no older answer is right.

Rules of this file:
- A challenge is taken once, right or wrong, and within `LASTS_S`.
- It is good for the purpose, the page and the session for which it was made.
- There are at most `MOST`, and `MOST_OF_NETWORK` of one network. In a full table, the network with the most of them
  loses its oldest: many networks that have some displace nobody who has one.
"""

import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs

LASTS_S = 300.0
MOST, MOST_OF_NETWORK = 1024, 16
BYTES = 32
Key = TypeVar("Key")


def oldest_of_most(networks: Mapping[Key, str]) -> Key:
    """The first key of the network that has the most keys. There is at least one."""
    most, _ = Counter(networks.values()).most_common(1)[0]
    return next(key for key, network in networks.items() if network == most)


@attrs.frozen
class For:
    """For what a challenge is good."""

    purpose: str
    origin: str
    session: str = ""


@attrs.define
class Challenges:
    """The challenges without an answer. Times are seconds of one clock."""

    new: Callable[[], bytes] = lambda: secrets.token_bytes(BYTES)
    _open: OrderedDict[bytes, tuple[For, str, float]] = attrs.field(init=False, factory=OrderedDict)
    """For each: its use, the network of the client that got it, and its end. The oldest is first."""

    def make(self, what: For, network: str, now: float) -> bytes:
        self._forget(now)
        of_network = [each for each, (_, by, _) in self._open.items() if by == network]
        if len(of_network) >= MOST_OF_NETWORK:
            del self._open[of_network[0]]
        elif len(self._open) >= MOST:
            del self._open[oldest_of_most({each: by for each, (_, by, _) in self._open.items()})]
        challenge = self.new()
        self._open[challenge] = what, network, now + LASTS_S
        return challenge

    def take(self, challenge: bytes, what: For, now: float) -> bool:
        """Whether the challenge is open and good for `what`. It is not open any more."""
        self._forget(now)
        found = self._open.pop(challenge, None)
        return found is not None and found[0] == what

    def _forget(self, now: float) -> None:
        while self._open and next(iter(self._open.values()))[2] <= now:
            self._open.popitem(last=False)
