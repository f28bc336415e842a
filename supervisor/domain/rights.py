"""Rights, roles and scopes: who may do what, as literal tables.

Rules of this file:
- A right that no table grants is denied.
- A role is a row of `RIGHTS`, not a language.
- A scope is a set of cameras. Groups are looked up when a decision is made, so a camera that joins a group is in it.
"""

from collections.abc import Mapping
from enum import StrEnum

from .ids import CameraId
from .values import Value


class Right(StrEnum):
    """The right that a request or a command needs."""

    NONE = "none"
    """Everybody who reaches banken: its page, and whether it runs."""
    VIEW = "view"
    """Cameras as they are now: their state."""
    INSPECT = "inspect"
    """Devices, processes and viewers of cameras as they are now."""
    WATCH = "watch"
    """Pictures of cameras as they are now, and leases of one's own."""
    READ = "read"
    """The journal: events, the past, and what follows from them."""
    REVIEW = "review"
    """Recorded video: to see it, to take it away, and to pin it."""
    REPORT = "report"
    """Detections, by a detector."""
    ROOM = "room"
    """Rooms, in which clients exchange signaling messages."""
    SHARE = "share"
    """Links with which others watch one's own cameras."""
    OPERATE = "operate"
    """Other people's viewers, attempts at cameras, and recordings: their start and their stop."""
    HEALTH = "health"
    """Whether the daemon and its cameras are well."""
    MEASURE = "measure"
    """Measurements of the daemon and of cameras."""
    ADMINISTER = "administer"
    """The configuration and users."""


class Role(StrEnum):
    """A set of rights."""

    WATCHER = "watcher"
    """Watches cameras now."""
    ANALYST = "analyst"
    """Reads what happened."""
    OPERATOR = "operator"
    """Watches, reads, and operates cameras and viewers."""
    ADMIN = "admin"
    """Has all rights on all cameras."""
    DETECTOR = "detector"
    """Reports detections; for tokens only."""
    MONITOR = "monitor"
    """Reads health and measurements; for tokens only."""


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.WATCHER: frozenset(
        {Right.NONE, Right.VIEW, Right.INSPECT, Right.HEALTH, Right.WATCH, Right.ROOM, Right.SHARE}
    ),
    Role.ANALYST: frozenset({Right.NONE, Right.VIEW, Right.INSPECT, Right.HEALTH, Right.READ, Right.REVIEW}),
    Role.OPERATOR: frozenset(Right) - {Right.REPORT, Right.MEASURE, Right.ADMINISTER},
    Role.ADMIN: frozenset(Right),
    Role.DETECTOR: frozenset({Right.NONE, Right.REPORT}),
    Role.MONITOR: frozenset({Right.NONE, Right.HEALTH, Right.MEASURE}),
}
OF_PROGRAMS = frozenset({Role.DETECTOR, Role.MONITOR})
"""The roles that only tokens have."""
PROXY_ROLES = (Role.ADMIN, Role.OPERATOR, Role.ANALYST, Role.WATCHER)
"""The roles that a trusted proxy can give, the one with the most rights first."""
EVERYTHING = frozenset(Right)
OF_USERS = frozenset({Right.SHARE})
"""The rights that only a user of banken has: their end is the end of what was made with them."""
OF_SHARES = frozenset({Right.NONE, Right.VIEW, Right.WATCH})
"""The rights of whoever opens a link: pictures of now, and nothing about other viewers."""
NOTHING = frozenset({Right.NONE})


class Scope(Value, frozen=True):
    """The cameras that somebody may know of."""

    everything: bool = False
    """All cameras, also those that are configured later."""
    cameras: tuple[CameraId, ...] = ()
    groups: tuple[str, ...] = ()
    """The cameras whose `group` is one of these."""

    def has(self, camera: CameraId, group: str) -> bool:
        return self.everything or camera in self.cameras or group in self.groups

    def common(self, other: "Scope") -> "Scope":
        """The scope that is in both. Groups and cameras are compared by name."""
        if self.everything or other.everything:
            return other if self.everything else self
        cameras = tuple(name for name in self.cameras if name in other.cameras)
        return Scope(cameras=cameras, groups=tuple(name for name in self.groups if name in other.groups))


ALL = Scope(everything=True)
NOWHERE = Scope()
USER, TOKEN, PROXY, SHARE = "user:", "token:", "proxy:", "share:"
PEOPLE = (USER, TOKEN, PROXY, SHARE)
"""Prefixes of the principals that have proved who they are, here or at a trusted proxy, or that show a link."""
