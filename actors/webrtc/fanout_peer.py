"""One peer of the fan-out: its phase, as a table of transitions, and its position in the ring buffer.

Rules of this file:
- The phase alone decides which task sends to the peer: the live one, the catching-up one, or none.
- A peer leaves `WAITING` and `KEY_FRAMES_ONLY` with a key frame, never with another access unit.
- `ENDED` is final.
"""

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import TYPE_CHECKING

import trio

from supervisor.domain.values import Reason
from supervisor.ports.statistics import PeerStatistics

from ..media.media import AccessUnit
from ..media.subscription import Subscription

if TYPE_CHECKING:  # both need aiortc, which is imported after the start
    from .runs import Run
    from .sender import Sender


class Phase(IntEnum):
    """The access units that a peer gets. An `IntEnum`, because each peer looks it up for each access unit."""

    WAITING = 0
    """Nothing until the camera's next key frame."""
    CATCHING_UP = 1
    """The cached access units from a key frame on, paced."""
    LIVE = 2
    """Each access unit as it arrives."""
    KEY_FRAMES_ONLY = 3
    """Nothing until the camera's next key frame, because the path is too narrow for more."""
    ENDED = 4
    """Nothing any more."""


class Signal(IntEnum):
    """An input of the transition table."""

    RESTARTED = 0
    """It begins at the cached key frame: a new peer, a request for a key frame, or a position that is lost."""
    NOT_CACHED = 1
    """It should begin at a cached key frame, which is missing."""
    KEY_FRAME = 2
    """A key frame arrived, and the path has room for it."""
    ACCESS_UNIT = 3
    """Another access unit arrived, and the path has room for it."""
    NARROW = 4
    """Another access unit is next, and the path is too narrow for it."""
    REFUSED = 5
    """The socket did not take all of the last access unit."""
    CAUGHT_UP = 6
    """It has got all cached access units."""
    END = 7
    """It can receive nothing more, or has left."""


_W, _C, _L, _K, _E = Phase
TRANSITIONS: dict[Phase, tuple[Phase, ...]] = {
    #                  RESTARTED  NOT_CACHED  KEY_FRAME  ACCESS_UNIT  NARROW  REFUSED  CAUGHT_UP  END
    Phase.WAITING:         (_C,      _W,         _L,        _W,         _K,     _W,       _W,      _E),
    Phase.CATCHING_UP:     (_C,      _W,         _C,        _C,         _K,     _W,       _L,      _E),
    Phase.LIVE:            (_C,      _W,         _L,        _L,         _K,     _W,       _L,      _E),
    Phase.KEY_FRAMES_ONLY: (_C,      _W,         _L,        _W,         _K,     _W,       _K,      _E),
    Phase.ENDED:           (_E,      _E,         _E,        _E,         _E,     _E,       _E,      _E),
}  # fmt: skip
"""The next phase, by the signal's number. `CAUGHT_UP` reaches a peer only while it is catching up, and a key frame or
an access unit that arrives reaches it only while it is not."""


class FanoutPeer:
    """One connected peer in the fan-out."""

    def __init__(self, sender: "Sender", place: Subscription) -> None:
        self.sender, self.place = sender, place
        self.phase = Phase.WAITING
        self.due: tuple[AccessUnit, Iterator[Run], int] | None = None
        """While it catches up: the access unit that it gets next, the remaining runs, and the time stamp."""
        self.credit = 0.0
        """Bytes that it may get now while it catches up; below zero after a run that was larger."""
        self.skipped = 0
        self.restarts = 0
        """Data that was meant for it before the last restart is of no use to it."""
        self.answered: int | None = None
        """The position of the cached key frame that last answered a request of this peer."""
        self.key_requested = False
        """It has requested a key frame, and waits for the camera's next one."""
        self.pts = 0
        """The presentation time stamp of the current access unit."""
        self.transcoded: Reason | None = None
        """Why it gets the camera's rendition; None while it gets the camera's own video."""
        self.changed: Callable[[], object] = lambda: None
        """Called after each change of `transcoded`."""
        self._ended = trio.Event()
        self._reason: Reason | None = None
        self._crash: Exception | None = None

    def move(self, place: Subscription) -> None:
        """Continue in another ring buffer, whose time stamps are of the same clock."""
        place.follow(self.place)
        self.place, self.answered = place, None

    def take(self, signal: Signal) -> Phase:
        """Apply a signal. Returns the phase that follows."""
        self.phase = TRANSITIONS[self.phase][signal]
        return self.phase

    def restart(self) -> None:
        """Continue at the newest cached key frame, or wait for the next one. Nothing of before is sent any more."""
        self.due, self.key_requested = None, False
        self.restarts += 1
        self.take(Signal.RESTARTED if self.place.begin() else Signal.NOT_CACHED)

    def skip(self, signal: Signal) -> None:
        """Skip to a newer key frame in the cache; without one, skip all that is cached and apply `signal`."""
        self.due = None
        if self.place.has_newer_key():
            self.restart()
        else:
            self.place.skip()
            self.take(signal)

    def take_cached(self) -> tuple[AccessUnit, int] | None:
        """Return the next cached access unit and its time stamp; None when it has caught up or waits."""
        if self.place.is_lost():
            self.restart()
            if self.phase is not Phase.CATCHING_UP:
                return None
        following = self.place.take_nowait()
        if following is None:
            self.take(Signal.CAUGHT_UP)
        return following

    def leave(self) -> None:
        """Send nothing more, and close the sender."""
        self.take(Signal.END)
        self.due = None
        self.sender.close()

    def end(self, reason: Reason) -> None:
        """Send nothing more, and make `wait_end` return `reason`."""
        self.take(Signal.END)
        self._reason = reason
        self._ended.set()

    def crash(self, error: Exception) -> None:
        """Send nothing more, and make `wait_end` raise `error`."""
        self.take(Signal.END)
        self._crash = error
        self._ended.set()

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    async def wait_end(self) -> Reason:
        """Wait until this peer can receive nothing more, and return why. Raises the exception that ended it.

        Cancellation: at any time.
        """
        await self._ended.wait()
        if self._crash is not None:
            raise self._crash
        assert self._reason is not None
        return self._reason

    def statistics(self) -> PeerStatistics:
        return self.sender.statistics(self.skipped)
