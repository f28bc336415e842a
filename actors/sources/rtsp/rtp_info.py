"""The `RTP-Info` header of PLAY: the SSRC of each track. Pure.

Entries come in any order, with addresses of any form. An entry belongs to the track whose address has the most parts
at its end in common; to none if two have.
Source: RFC 2326, section 12.33; the parameter `ssrc` is of cameras.
"""

import re
from collections.abc import Sequence
from itertools import takewhile

from .transport_header import read_ssrc

_ENTRY = re.compile(r",\s*(?=url\s*=)", re.IGNORECASE)
"""Between two entries: an address may contain commas."""
_URL = re.compile(r"\burl\s*=\s*\"?([^;\"\s]+)", re.IGNORECASE)
_SSRC = re.compile(r"\bssrc\s*=\s*\"?([0-9a-fx]{1,10})\b", re.IGNORECASE)


def read_ssrcs(text: str, addresses: Sequence[str]) -> dict[int, int]:
    """Return the SSRC of each track for which one is named. `addresses` are those of the tracks, by their numbers."""
    found: dict[int, int] = {}
    for entry in _ENTRY.split(text):
        url, named = _URL.search(entry), _SSRC.search(entry)
        ssrc = read_ssrc(named[1]) if named else None
        common = [_in_common(url[1], address) if url else 0 for address in addresses]
        most = max(common, default=0)
        if ssrc is not None and most and common.count(most) == 1:
            found.setdefault(common.index(most), ssrc)
    return found


def _in_common(one: str, other: str) -> int:
    """Return the number of equal parts at the end of two addresses."""
    pairs = zip(*(reversed(re.split("[/?]", url.rstrip("/"))) for url in (one, other)), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
