"""Depacketize MPEG-4 part 2: configurations, group headers and pictures (VOPs), whole or in fragments. Sans-I/O.

Rules of this file:
- After a picture that is incomplete or missing, all are discarded up to the next key frame (I-VOP).
- A corrupt configuration is left out, and the last good one is kept.

Source: RFC 6416, sections 5.1 and 5.2; ISO/IEC 14496-2.
"""

from collections.abc import Callable, Iterable

from ...media.bitstream import MAX_SPS
from ...media.media import SourceLoss
from ...media.mpeg4 import CONFIGURATION, I_VOP, MPEG4, split_picture, unit_kind
from .good_sets import GoodSets
from .video_pictures import PictureDepacketizer

_CODE, _PICTURE = b"\0\0\1", b"\0\0\1\xb6"


class Mpeg4Depacketizer(PictureDepacketizer):
    """Payloads that begin with a start code begin a picture, a group or a configuration; others continue it."""

    codec = MPEG4

    def __init__(
        self,
        publish: Callable[[list[bytes], int], None],
        tell: Callable[[list[bytes]], None],
        loss: SourceLoss,
        spend: Callable[[int], None],
    ) -> None:
        super().__init__(publish, tell, loss, spend)
        self._sets = GoodSets(MPEG4, loss, spend)
        self._waits = False

    def learn(self, sets: Iterable[bytes]) -> None:
        self._sets.accept(list(sets))

    def _begins(self, data: bytes, at: int, stop: int) -> bool:
        return data.startswith(_CODE, at, stop)

    def _take(self, data: bytes, at: int, stop: int) -> None:
        if not self._parts and not self._begins(data, at, stop):
            self._discard_malformed()
            return
        self._parts.append(data[at:stop])

    def _miss(self) -> None:
        self._waits = True

    def _complete(self, parts: list[bytes]) -> None:
        units = list(split_picture(b"".join(parts)))
        if not self._sets.accept(units):
            units = [unit for unit in units if unit_kind(unit) != CONFIGURATION]
        if not any(unit.find(_PICTURE, 0, MAX_SPS) >= 0 for unit in units):
            if units:
                self._tell(units)
        elif self._waits and not any(unit_kind(unit) == I_VOP for unit in units):
            self._loss.skipped += 1
        else:
            self._waits = False
            self._publish(units, self._timestamp)
