"""The types of ids, and the names of the journal's streams."""

from typing import NewType

CameraId = NewType("CameraId", str)
"""The name of a camera in the configuration: `[a-z0-9][a-z0-9_-]{0,62}`."""
ChildId = NewType("ChildId", str)
PeerId = NewType("PeerId", str)
UseId = NewType("UseId", str)
LeaseId = NewType("LeaseId", str)
DetectionId = NewType("DetectionId", str)
DeviceId = NewType("DeviceId", str)
"""The device behind one or more cameras: a name from the configuration, or the host of the address."""
RoomId = NewType("RoomId", str)
"""A UUID. Anybody who knows it may enter the room."""
ParticipantId = NewType("ParticipantId", str)
"""A UUID of one WebSocket, whose client may be in a room."""
UserId = NewType("UserId", str)
"""The name with which a person logs in: `[a-z0-9][a-z0-9._-]{0,62}`."""
SessionId = NewType("SessionId", str)
"""One login of a user: the first 16 digits of the hash of its secret. It may be shown."""
PasskeyId = NewType("PasskeyId", str)
"""A passkey of a user: the first 16 digits of the SHA-256 of its credential id. It may be shown."""
RecordingId = NewType("RecordingId", str)
"""One stretch of a camera's video that is kept without a gap: 16 hexadecimal digits."""
TokenId = NewType("TokenId", str)
ShareId = NewType("ShareId", str)
VisitId = NewType("VisitId", str)
"""The name of a token, as of a user."""
IdentityId = NewType("IdentityId", str)
"""SHA-256, in hex, of what a login provider calls a person: see `identity.identity_of`."""
NodeId = NewType("NodeId", str)
"""The identity of a daemon. It is stored in the journal and survives restarts."""
RunId = NewType("RunId", str)
"""One run of the daemon, from start to end."""

NO_CAMERA = CameraId("")
"""Used instead of a camera for a child process that works for all cameras."""

SYSTEM = "system"
LIMITS = "limits"
"""The stream of requests that were rejected because of rate limits."""
ACCESS = "access"
"""The stream of logins that failed."""
AUDIT = "audit"
"""The stream of pictures that were sent, access that was refused, and exports."""
JOURNAL = "journal"
"""The stream of events of the journal itself. No other event follows from it."""


def camera_stream(camera: CameraId) -> str:
    return f"camera/{camera}"


def demand_stream(camera: CameraId) -> str:
    """Not a stream of the journal. It groups the causes for which a camera is wanted, or no longer wanted."""
    return f"demand/{camera}"


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


def patrol_alert(group: str) -> str:
    """The alert that is raised while the patrol of `group` misses cameras."""
    return f"patrol/{group}"


def device_stream(device: DeviceId) -> str:
    return f"device/{device}"


def room_stream(room: RoomId) -> str:
    return f"room/{room}"


def user_stream(user: UserId) -> str:
    return f"user/{user}"


def session_stream(session: SessionId) -> str:
    return f"session/{session}"


def token_stream(token: TokenId) -> str:
    return f"token/{token}"


def share_stream(share: ShareId) -> str:
    return f"share/{share}"


def visit_stream(visit: VisitId) -> str:
    return f"visit/{visit}"


def identity_stream(identity: IdentityId) -> str:
    return f"identity/{identity[:16]}"


def recording_stream(camera: CameraId) -> str:
    return f"recording/{camera}"


def pin_stream(pin: str) -> str:
    return f"pin/{pin}"


def archive_stream(archive: str) -> str:
    return f"archive/{archive}"
