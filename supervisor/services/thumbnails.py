"""Small pictures of what detectors saw: the newest of each camera, in memory. A request for one keeps it longer."""

from collections import OrderedDict
from collections.abc import Container

from ..domain.ids import CameraId, DetectionId

COUNT = 100
"""Of one camera."""
MAX_BYTES = 1024 * 1024
"""Of one camera; a picture alone may have an eighth of it."""


class Thumbnails:
    """A ring for each camera: beyond `COUNT` or `MAX_BYTES` the one that was not looked at for longest goes first."""

    def __init__(self) -> None:
        self._rings: dict[CameraId, OrderedDict[DetectionId, bytes]] = {}

    def keep(self, camera: CameraId, detection: DetectionId, jpeg: bytes) -> None:
        ring = self._rings.setdefault(camera, OrderedDict())
        ring[detection] = jpeg
        while len(ring) > COUNT or sum(map(len, ring.values())) > MAX_BYTES:
            ring.popitem(last=False)

    def find(self, detection: DetectionId, private: Container[CameraId] = ()) -> bytes | None:
        """The picture of a detection, if there was one and it is still here, and its camera is not in `private`."""
        for camera, ring in self._rings.items():
            if detection in ring and camera not in private:
                ring.move_to_end(detection)
                return ring[detection]
        return None

    def has(self, detection: DetectionId, private: Container[CameraId] = ()) -> bool:
        """As `find`, but nobody looks at it."""
        return any(detection in ring for camera, ring in self._rings.items() if camera not in private)

    def camera_of(self, detection: DetectionId) -> CameraId | None:
        """The camera of a picture that is kept."""
        return next((camera for camera, ring in self._rings.items() if detection in ring), None)

    def forget(self, camera: CameraId) -> None:
        """The camera is no more."""
        self._rings.pop(camera, None)

    def statistics(self) -> tuple[int, int]:
        """How many there are, and their bytes."""
        sizes = [len(jpeg) for ring in self._rings.values() for jpeg in ring.values()]
        return len(sizes), sum(sizes)
