"""The parameter sets of a camera that can be used. Sans-I/O.

Cameras send them again with each key frame, and some send a corrupt one now and then.
"""

from collections.abc import Callable

from ...media.bitstream import BitstreamError
from ...media.media import SourceLoss, VideoCodec
from ...media.oddities import Oddity
from ...media.parameter_sets import MOST_OTHER_SETS

OF_SET = 16
"""Charge for reading a new parameter set, in packets."""


class GoodSets:
    """The last good parameter sets. `spend` receives the work of reading new ones, in packets."""

    def __init__(self, codec: VideoCodec, loss: SourceLoss, spend: Callable[[int], None]) -> None:
        self._codec, self._loss, self._spend = codec, loss, spend
        self._known: dict[int, tuple[bytes, ...]] = {}

    def of(self, kind: int) -> tuple[bytes, ...]:
        """Return the last good ones of a NAL unit type."""
        return self._known.get(kind, ())

    def accept(self, units: list[bytes]) -> bool:
        """Whether the parameter sets among these units can be used; only then they are stored.

        A set that ends early is recognised by its syntax, or because it is the beginning of a known one.
        """
        found: dict[int, dict[bytes, None]] = {}
        for unit in units:
            kind = self._codec.nal_type(unit)
            if kind in self._codec.set_types:
                found.setdefault(kind, {})[unit] = None
        for kind, different in found.items():
            known = self.of(kind)
            if len(different) > MOST_OTHER_SETS:
                return True  # refused by the receiver
            for unit in different:
                if unit in known:
                    continue
                self._spend(OF_SET)
                if not self._is_good(unit, known):
                    self._loss.meet(Oddity.BAD_PARAMETER_SETS)
                    return False
        self._known |= {kind: tuple(different) for kind, different in found.items()}
        return True

    def _is_good(self, unit: bytes, known: tuple[bytes, ...]) -> bool:
        try:
            self._codec.check_set(unit)
        except BitstreamError:
            return False
        return not any(each.startswith(unit) for each in known)
