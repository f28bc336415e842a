"""Recognizes B-frames: access units that are presented in another order than they are decoded. Pure.

Rules of this file:
- The signs are a presentation time that goes back, a B slice of H.264, and a leading picture of H.265. Browsers show
  such a stream jerkily, also when the camera stamps its access units in the order of decoding.
- One sign proves nothing: cameras correct their clocks. `SURE` of them close together are certain.
- In H.265, a B slice is no sign: cameras use them in place of P slices, without another order.
- A camera without B-frames costs two comparisons for each access unit. At most `MOST_READ` of its slices are read.

Source: ITU-T H.264 (08/2021), 7.3.3 and Table 7-6; ITU-T H.265 (08/2021), Table 7-1.
"""

from collections import deque

from .bitstream import Bits, BitstreamError, unescape
from .h264 import H264
from .media import AccessUnit

SURE = 3
CLOSE, CLOSE_IF_CODED = 16, 300
"""Access units within which `SURE` signs are certain, without and with a sign in the bitstream.

A decoder holds back 16 at most (H.264, A.3.1; H.265, A.4.2).
"""
MOST_READ = 100
"""Slices of a connection that are read in vain: some cameras have P slices to which no other slice refers."""
_SUSPECTS = frozenset({1, 6 << 1, 7 << 1, 8 << 1, 9 << 1})
"""First bytes of slices that may be signs.

In H.264 no other slice refers to them (nal_ref_idc 0, type 1), as to most B-frames. In H.265 they are leading pictures,
which are decoded after a key frame and presented before it (types 6 to 9).
"""
_SLICES = frozenset({1, 2, 5})
_HEADER = 24
"""Bytes of a slice that are read: its type is within the first ten."""


class BFrames:
    """Whether one connection has B-frames."""

    def __init__(self) -> None:
        self.found = False
        self._last = self._count = self._read = 0
        self._signs: deque[int] = deque(maxlen=SURE)
        """The numbers of the newest access units that were a sign."""

    def begin(self) -> None:
        """Begin a new connection."""
        self.found, self._read = False, 0
        self._signs.clear()

    def see(self, unit: AccessUnit) -> bool:
        """Look at the next access unit. Returns whether B-frames have become certain with it."""
        self._count += 1
        is_back, self._last = unit.pts < self._last, unit.pts
        if not is_back and (unit.units[-1][0] not in _SUSPECTS or self._read == MOST_READ):
            return False
        if self.found:
            return False
        is_coded = _is_coded_as_b_frame(unit)
        if not (is_back or is_coded):
            self._read += 1
            return False
        self._signs.append(self._count)
        close = CLOSE_IF_CODED if is_coded else CLOSE
        self.found = len(self._signs) == SURE and self._count - self._signs[0] < close
        return self.found


def _is_coded_as_b_frame(unit: AccessUnit) -> bool:
    """Return whether the first slice is a B slice of H.264, or the last one a leading picture of H.265."""
    if unit.codec is not H264:
        return unit.units[-1][0] in _SUSPECTS and unit.units[-1][0] != 1
    first = next((each for each in unit.units if each[0] & 0x1F in _SLICES), b"")
    bits = Bits(unescape(first[1:_HEADER]))
    try:
        bits.ue()  # first_mb_in_slice
        return bits.ue() % 5 == 1
    except BitstreamError:
        return False
