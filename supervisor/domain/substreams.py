"""Which camera's stream a viewer is given, by the codecs that it takes."""

from collections.abc import Collection, Iterator, Mapping

from .ids import CameraId
from .state import State


def tried(state: State, camera: CameraId) -> tuple[CameraId, ...]:
    """`camera`, the camera that is its substream, that one's, and so on; what is no camera is not among them."""
    names: list[CameraId] = []
    name: CameraId | None = camera
    while name is not None and name in state.cameras and name not in names:
        names.append(name)
        name = state.cameras[name].settings.substream
    return tuple(names)


def takes(state: State, camera: CameraId, codecs: Collection[str]) -> bool:
    """Whether a viewer of these codecs can be sent this camera's pictures, by what it sent last.

    One that never sent a picture is believed to suit: what it sends is known when it comes.
    """
    picture = state.cameras[camera].picture
    return picture is None or picture.codec in codecs


def circles(leads: Mapping[str, str]) -> Iterator[list[str]]:
    """The circles of two or more in which names lead back to themselves; each name is visited once."""
    seen: dict[str, int] = {}
    """The walk in which a name was visited."""
    for walk, start in enumerate(leads):
        path: list[str] = []
        name = start
        while name in leads and name not in seen:
            seen[name] = walk
            path.append(name)
            name = leads[name]
        if seen.get(name) == walk and len(circle := path[path.index(name) :]) > 1:
            yield circle
