"""Odd cameras of the real world, rebuilt as cases. `GROUPS` names the modules that list them."""

from collections.abc import Mapping
from functools import cache
from itertools import chain

from . import description, encrypted, old_codecs, rtp, signaling, variations
from .talk import Kind

GROUPS = {
    "RTP": rtp.kinds,
    "Signaling": signaling.kinds,
    "Descriptions": description.kinds,
    "Encryption": encrypted.kinds,
    "MJPEG and MPEG-4": old_codecs.kinds,
    "Variations": variations.kinds,
}


@cache
def all_kinds() -> Mapping[str, Kind]:
    """Return all kinds by name."""
    return {kind.name: kind for kind in chain.from_iterable(kinds() for kinds in GROUPS.values())}
