"""Which access units the child of a video transcoder gets next, as a table of transitions. Pure.

Rules of this file:
- After access units were left out, the child continues with a key frame, never with another access unit.
- A child has one format. `CHANGED` and `AWAY` are final: another child replaces it.
"""

from collections.abc import Mapping
from enum import Enum, auto


class Intake(Enum):
    """The access units that the child gets."""

    NEXT = auto()
    """The next one, whatever it is."""
    KEY_FRAME = auto()
    """Nothing until the next key frame: others were left out."""
    CHANGED = auto()
    """Nothing any more: the format of the video has changed."""
    AWAY = auto()
    """Nothing any more: the camera sends nothing, or was removed."""


class Arrival(Enum):
    """An input of the transition table."""

    KEY_FRAME = auto()
    """A key frame of the child's format."""
    OTHER_FORMAT = auto()
    """A key frame of another codec or size."""
    ACCESS_UNIT = auto()
    """Another access unit, or a key frame whose parameter sets have not come."""
    LEFT_OUT = auto()
    """Access units were left out, because the child is too slow, or had gone from the buffer."""
    SILENCE = auto()
    """Nothing arrived for too long, or nothing will arrive."""


_N, _K, _C, _A = Intake
TRANSITIONS: Mapping[Intake, Mapping[Arrival, Intake]] = {
    intake: dict(zip(Arrival, row, strict=True))
    for intake, row in {
        #                  KEY_FRAME  OTHER_FORMAT  ACCESS_UNIT  LEFT_OUT  SILENCE
        Intake.NEXT:      (_N,        _C,           _N,          _K,       _A),
        Intake.KEY_FRAME: (_N,        _C,           _K,          _K,       _A),
        Intake.CHANGED:   (_C,        _C,           _C,          _C,       _C),
        Intake.AWAY:      (_A,        _A,           _A,          _A,       _A),
    }.items()
}  # fmt: skip
"""The next intake. Only where it is `NEXT` does the child get the access unit that arrived."""
OVER = (Intake.CHANGED, Intake.AWAY)
"""The child must be replaced, and is not at fault."""
