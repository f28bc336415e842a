"""Facts about a camera that the connections of a source have shown, for the next ones. `Hub.memory` keeps them.

Rules of this file:
- Nothing is kept of a connection that did not play: the network may have failed, not the camera. Only a missing
  answer to SETUP or PLAY is: the next attempt asks in another way, instead of waiting twice in one.
- Audio, the Range of PLAY and a transport are left out for good only if the camera refuses them, or two connections
  end there.
- New settings of the source forget all of it.
"""

from enum import Enum

import attrs

from supervisor.config.config import Source

from ...media.hub import Hub
from ...media.media import SourceLoss
from ...media.oddities import Oddity
from .auth import Authorization


class OptionalStep(Enum):
    """A part of the conversation that can be left out, by the oddity of the cameras that fail at it."""

    OPTIONS = Oddity.NO_OPTIONS
    AUDIO = Oddity.AUDIO_REFUSED
    RANGE = Oddity.NO_RANGE
    TCP = Oddity.UDP_ONLY
    UDP = Oddity.TCP_ONLY


@attrs.define
class SourceMemory:
    """A connection changes its own copy, and keeps it with `keep` when it plays."""

    source: Source | None = None
    """The settings under which it was learned."""
    without: frozenset[OptionalStep] = frozenset()
    """The steps that are left out."""
    doubtful: frozenset[OptionalStep] = frozenset()
    """The steps at which one connection has ended: the network may have failed."""
    uncounted: frozenset[OptionalStep] = frozenset()
    """The steps that were left out in this attempt. They count as oddities when a connection plays without them."""
    refused: frozenset[str] = frozenset()
    """Algorithms of Digest that the camera offers and does not accept, as `Challenge.algorithm` names them."""
    authorization: Authorization | None = None
    """The last answer to a challenge, for a camera that hangs up after each challenge: it goes to a new connection."""
    hung_up: int = 0
    """The connections of this attempt that ended after a challenge."""
    unanswered: OptionalStep | None = attrs.field(default=None, eq=False)
    """The transport over which SETUP of video had no answer in the last attempt, which is asked for last; or the Range
    with which PLAY had none, which is left out."""
    hangs_up_at: str = ""
    """The keep-alive that was pending when a connection ended: the next one sends the other method."""

    def leave_out(self, step: OptionalStep, is_doubtful: bool = False) -> None:
        """Leave out a step; `is_doubtful` if only one connection has ended there."""
        self.without |= {step}
        self.uncounted |= {step}
        self.doubtful = self.doubtful - {step} | ({step} if is_doubtful else set())

    def count(self, loss: SourceLoss) -> None:
        """Count the steps that the camera failed at, now that it plays without them. It did not fail at the others."""
        for step in self.uncounted:
            loss.meet(step.value)
        self.uncounted = frozenset()
        self.doubtful &= self.without


def recall(hub: Hub, source: Source) -> SourceMemory:
    """Return a copy of what is known of `source`."""
    known = hub.memory
    if not isinstance(known, SourceMemory) or known.source != source:
        return SourceMemory(source)
    return attrs.evolve(known, hung_up=0)


def keep_unanswered(hub: Hub, source: Source, step: OptionalStep | None) -> None:
    """Keep that there was no answer to SETUP over a transport, or to PLAY with its Range; None for one without it."""
    uncounted = frozenset[OptionalStep]() if step is None else frozenset((step,))
    hub.memory = attrs.evolve(recall(hub, source), unanswered=step, uncounted=uncounted)


def keep(hub: Hub, learned: SourceMemory) -> None:
    doubtful = learned.doubtful - {OptionalStep.OPTIONS}  # without it, nothing is missing
    hub.memory = attrs.evolve(learned, without=learned.without - doubtful)
