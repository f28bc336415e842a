"""Parts that the configuration can leave out (`parts.NAME: off`).

A part that is off answers 404 with the type `urn:banken:problem:part-off`, and its modules are not imported. So its
paths are stated here and not only in the tables of its resources. A test compares them.
"""

from collections.abc import Collection, Mapping

import attrs
from werkzeug.exceptions import NotFound


@attrs.frozen
class Part:
    resources: tuple[str, ...]
    """Its modules in `web/resources/`."""
    paths: tuple[str, ...]
    """Its paths. One that ends in a slash stands for everything below it, except for the root."""


PARTS: Mapping[str, Part] = {
    "dashboard": Part(("page",), ("/", "/s", "/favicon.ico", "/dashboard/", "/setup", "/setup/")),
    "metrics": Part(("metrics",), ("/metrics",)),
    "rooms": Part(("signaling",), ("/api/rooms", "/ws/signaling")),
    "detections": Part(("detections",), ("/api/detections", "/api/detections/", "/api/detectors")),
}


class PartOff(NotFound):
    """The path belongs to a part that is off."""

    def __init__(self, part: str) -> None:
        super().__init__(f"the part {part} is off; the setting parts.{part} turns it on")


def part_of(path: str) -> str | None:
    """The part that a path belongs to."""
    for name, part in PARTS.items():
        if path in part.paths or any(
            path.startswith(each) for each in part.paths if each.endswith("/") and each != "/"
        ):
            return name
    return None


def require_on(path: str, off: Collection[str]) -> None:
    """Raises `PartOff`."""
    part = part_of(path)
    if part in off and part is not None:
        raise PartOff(part)


def left_out(off: Collection[str]) -> frozenset[str]:
    """The resources of the parts that are off."""
    return frozenset(resource for name in off for resource in PARTS[name].resources)
