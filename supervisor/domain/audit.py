"""Traces for the audit: pictures that were sent, access that was refused, bundles and profiles.

Rules of this file:
- The services that report them bound their rate (`services/audit_traces.py`). So a client cannot fill the journal.
- A refusal names a camera only if there is such a camera. A name that somebody invents is in no journal.
"""

from .common import Arms, Decisions, Events
from .core import FIRST, Command, Event, Severity
from .ids import AUDIT, CameraId
from .rights import Right
from .state import State
from .words import plural, size

MOST_WHAT = 80
"""Characters of what was refused."""


class ReportPictures(Command, frozen=True):
    """Snapshots of a camera were sent to a client."""

    camera: CameraId
    client: str
    pictures: int
    bytes: int
    over_s: float

    sender = "audit traces service"


class ReportAccessRefused(Command, frozen=True):
    """Somebody asked for what they may not have. `suppressed` counts further refusals since the last report."""

    what: str
    client: str
    camera: CameraId | None = None
    suppressed: int = 0

    sender = "audit traces service"


class ReportExport(Command, frozen=True):
    """Events of the journal were exported as a bundle."""

    first: int
    last: int
    client: str
    digest: str
    anonymous: bool = False

    sender = "gateway"
    right = Right.ADMINISTER


class ReportProfile(Command, frozen=True):
    """Somebody takes a profile of the daemon."""

    seconds: float
    client: str

    sender = "gateway"
    right = Right.ADMINISTER


class PicturesSent(Event, frozen=True):
    """A client got snapshots of a camera. One event covers those of a minute; MJPEG streams have a lease instead."""

    camera: CameraId
    """Its name in the configuration."""
    client: str
    """Address of the client, without its port."""
    pictures: int
    """Since the last such event of the client and the camera."""
    bytes: int
    """Of all these pictures."""
    over_s: float = 0.0
    """Time from the first of them to this report."""

    severity = Severity.INFO
    emitters = ("ReportPictures",)
    when = "within a second of the first picture, then once a minute while there are more"

    @property
    def stream(self) -> str:
        return AUDIT

    def sentence(self) -> str:
        return f"{plural(self.pictures, 'snapshot')} of {self.camera} sent to {self.client}, {size(self.bytes)}"


class AccessRefused(Event, frozen=True):
    """Somebody asked for what they may not have. At most one refusal a second is journaled."""

    what: str
    """The right that is missing, or `camera` for one outside the scope or one that does not exist."""
    client: str
    """Address of the client, without its port."""
    camera: CameraId | None = None
    """The camera, if there is one of that name; null for a request that names none."""
    suppressed: int = 0
    """Refusals, of any client, since the last journaled one."""

    severity = Severity.NOTICE
    emitters = ("ReportAccessRefused",)
    when = "within a second of the answer; only for somebody who has logged in"

    @property
    def stream(self) -> str:
        return AUDIT

    def sentence(self) -> str:
        what = "a camera" if self.what == "camera" else f"what needs the right {self.what}"
        of = f" ({self.camera})" if self.camera else ""
        more = f"; {plural(self.suppressed, 'more refusal')} before" if self.suppressed else ""
        return f"{self.client} was refused {what}{of}{more}"


class BundleExported(Event, frozen=True):
    """Events of the journal were exported as an incident bundle, and the command has said so."""

    first: int
    """The first event of the bundle."""
    last: int
    """The last one."""
    client: str
    """Address of the client; `local` for a command on this machine."""
    digest: str
    """The digest of the bundle."""
    anonymous: bool = False
    """Whether names and addresses were replaced."""

    severity = Severity.NOTICE
    emitters = ("ReportExport",)
    when = "after the export; an export while no daemon runs, or of a copy of the journal, is not known to any"
    stored = FIRST

    @property
    def stream(self) -> str:
        return AUDIT

    def sentence(self) -> str:
        how = ", anonymized" if self.anonymous else ""
        return f"events {self.first} to {self.last} exported{how}: bundle {self.digest[:16]}"


class ProfileTaken(Event, frozen=True):
    """Somebody took a profile: which functions of the daemon used the time. It names functions, and no data."""

    seconds: float
    """For how long; less if the client has left."""
    client: str
    """Address of the client; `local` for a command on this machine."""

    severity = Severity.NOTICE
    emitters = ("ReportProfile",)
    when = "before it begins"
    stored = FIRST

    @property
    def stream(self) -> str:
        return AUDIT

    def sentence(self) -> str:
        return f"{self.client} takes a profile of {self.seconds:g} s"


def report_pictures(state: State, command: ReportPictures, now_ns: int) -> Events:
    if command.camera not in state.cameras:
        return ()
    return (PicturesSent(command.camera, command.client, command.pictures, command.bytes, command.over_s),)


def report_access_refused(state: State, command: ReportAccessRefused, now_ns: int) -> Events:
    camera = command.camera if command.camera in state.cameras else None
    return (AccessRefused(command.what[:MOST_WHAT], command.client, camera, command.suppressed),)


def report_export(state: State, command: ReportExport, now_ns: int) -> Events:
    return (BundleExported(command.first, command.last, command.client, command.digest, command.anonymous),)


def report_profile(state: State, command: ReportProfile, now_ns: int) -> Events:
    return (ProfileTaken(command.seconds, command.client),)


DECISIONS: Decisions = {
    ReportPictures: report_pictures,
    ReportAccessRefused: report_access_refused,
    ReportExport: report_export,
    ReportProfile: report_profile,
}


ARMS: Arms = {
    PicturesSent: lambda s, v, at: {},
    AccessRefused: lambda s, v, at: {},
    BundleExported: lambda s, v, at: {},
    ProfileTaken: lambda s, v, at: {},
}
