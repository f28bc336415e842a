"""Selects the camera whose stream a viewer gets, by the codecs that the viewer supports."""

from collections.abc import Collection, Iterator, Mapping

from .ids import CameraId
from .state import State


def tried(state: State, camera: CameraId) -> tuple[CameraId, ...]:
    """`camera`, its substream, the substream of that, and so on. Names that are not cameras are omitted."""
    names: list[CameraId] = []
    name: CameraId | None = camera
    while name is not None and name in state.cameras and name not in names:
        names.append(name)
        name = state.cameras[name].settings.substream
    return tuple(names)


def takes(state: State, camera: CameraId, codecs: Collection[str]) -> bool:
    """Whether a viewer with these codecs can get this camera's stream, according to its last codec.

    A camera that was never live is assumed to be suitable: its codec is known when it is live.
    """
    picture = state.cameras[camera].picture
    return picture is None or picture.codec in codecs


def circles(leads: Mapping[str, str]) -> Iterator[list[str]]:
    """The cycles of two or more names in `leads`. Each name is visited once."""
    seen: dict[str, int] = {}
    """The number of the walk in which each name was visited."""
    for walk, start in enumerate(leads):
        path: list[str] = []
        name = start
        while name in leads and name not in seen:
            seen[name] = walk
            path.append(name)
            name = leads[name]
        if seen.get(name) == walk and len(circle := path[path.index(name) :]) > 1:
            yield circle
