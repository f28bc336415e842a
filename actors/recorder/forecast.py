"""How long the room of an archive lasts. Pure."""

from collections.abc import Mapping, Sequence

import attrs

from supervisor.domain.ids import CameraId
from supervisor.domain.words import seconds, size
from supervisor.ports.archives import ArchiveRoom, CameraRoom

from .retention import DAY_S, RetentionRules

LEAST_S = 600.0
"""Nothing is known about a rate before this time."""
FULL = 0.98
"""An archive is full from this share of its budget on: retention keeps room for what comes until its next turn."""
PINNED = 0.5
"""From this share on, pins are named as the reason for little room."""


@attrs.frozen
class CameraFootage:
    """The files of a camera, as an index has them."""

    camera: str
    bytes: int
    oldest_ns: int | None
    new: Mapping[bool, int]
    """Bytes that were recorded since the beginning of the window, without and with events."""


def forecast(
    archive: str,
    footage: Sequence[CameraFootage],
    rules: RetentionRules,
    *,
    pinned: int,
    other: int,
    budget: int,
    window_s: float,
    lag_s: float = 0.0,
) -> ArchiveRoom:
    """The room of an archive, if recording goes on at the rate of the window.

    Args:
        pinned: bytes of pinned files.
        other: bytes of files that are not of the archive.
        budget: bytes that the archive may have.
        window_s: for how long `new` has been recorded.
    """
    held = sum(each.bytes for each in footage)
    scale = DAY_S / window_s if window_s >= LEAST_S else 0.0
    cameras = tuple(
        CameraRoom(CameraId(each.camera), each.bytes, sum(each.new.values()) * scale, each.oldest_ns)
        for each in footage
    )
    day_bytes = sum(each.day_bytes for each in cameras)
    days_left = turns_over = None
    if day_bytes > 0:
        kept, longest_s = _kept(footage, rules, scale)
        if pinned + kept <= budget:
            turns_over = longest_s / DAY_S
        elif held < FULL * budget:
            days_left = (budget - held) / day_bytes
        else:
            turns_over = max(0, budget - pinned) / day_bytes
    warning = ""
    if day_bytes > 0 and pinned > PINNED * budget and budget - pinned < day_bytes:
        left = max(0, budget - pinned) / day_bytes * DAY_S
        warning = (
            f"pins hold {size(pinned)} of the {size(max(0, budget))} that archive {archive} may have, and nothing else "
            f"is kept for longer than {seconds(left)}: release a pin, or make room"
        )
    oldest = min((each.oldest_ns for each in footage if each.oldest_ns is not None), default=None)
    return ArchiveRoom(
        archive, held, pinned, other, max(0, budget), day_bytes, days_left, turns_over, oldest, lag_s, warning, cameras
    )


def _kept(footage: Sequence[CameraFootage], rules: RetentionRules, scale: float) -> tuple[float, float]:
    """The bytes of the archive once age removes as much as is recorded, and the seconds of the oldest file then."""
    kept = longest_s = 0.0
    for each in footage:
        keep = rules.keep_of.get(each.camera, rules.keep)
        of_camera = 0.0
        for eventful, new in each.new.items():
            kept_s = keep.eventful_s if eventful else keep.plain_s
            of_camera += new * scale * kept_s / DAY_S
            longest_s = max(longest_s, kept_s)
        kept += min(of_camera, rules.max_of.get(each.camera, of_camera))
    return kept, longest_s
