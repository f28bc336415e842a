"""The nouns that name things, as distinct types, and the names of the journal's streams."""

from typing import NewType

CameraId = NewType("CameraId", str)
"""The name a camera has in the configuration: `[a-z0-9][a-z0-9_-]{0,62}`."""
ChildId = NewType("ChildId", str)
PeerId = NewType("PeerId", str)
UseId = NewType("UseId", str)
LeaseId = NewType("LeaseId", str)
DetectionId = NewType("DetectionId", str)
DeviceId = NewType("DeviceId", str)
"""The box that serves one camera or several: a name from the configuration, or the host of the address."""
RoomId = NewType("RoomId", str)
"""A UUID: whoever knows it may enter the room."""
ParticipantId = NewType("ParticipantId", str)
"""A UUID: one WebSocket of somebody who may be in a room."""
NodeId = NewType("NodeId", str)
"""One daemon's home: survives restarts, lives in the journal."""
RunId = NewType("RunId", str)
"""One life of the daemon, from start to end."""

NO_CAMERA = CameraId("")
"""In the place of a camera, for a child that works for all of them."""

SYSTEM = "system"
LIMITS = "limits"
"""The stream of what clients were refused because they asked too often."""
JOURNAL = "journal"
"""The stream of what happened to the journal itself. Nothing else follows from it."""


def camera_stream(camera: CameraId) -> str:
    return f"camera/{camera}"


def demand_stream(camera: CameraId) -> str:
    """No stream of the journal: names what made somebody want a camera, or want it no more, as a cause."""
    return f"demand/{camera}"


def sound_stream(camera: CameraId) -> str:
    """No stream of the journal: what happened to the children of a camera that work on its sound, as a cause."""
    return f"sound/{camera}"


def child_stream(child: ChildId) -> str:
    return f"child/{child}"


def peer_stream(peer: PeerId) -> str:
    return f"peer/{peer}"


def use_stream(use: UseId) -> str:
    return f"use/{use}"


def lease_stream(lease: LeaseId) -> str:
    return f"lease/{lease}"


def refusal_stream(camera: CameraId) -> str:
    return f"refusal/{camera}"


def detection_stream(camera: CameraId) -> str:
    return f"detection/{camera}"


def patrol_stream(group: str) -> str:
    return f"patrol/{group}"


def device_stream(device: DeviceId) -> str:
    return f"device/{device}"


def room_stream(room: RoomId) -> str:
    return f"room/{room}"
