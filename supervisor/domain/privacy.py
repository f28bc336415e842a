"""Privacy: times in which a camera is off, so that no video and no audio of it exists in banken.

Rules of this file:
- Everything that watches the camera ends in the step that begins the time: leases, their peers, and uses.
- The privacy of a camera is also that of its substreams, which show the same scene.
- Nothing begins while a camera is private: see `require_not_private`.
- The time of a private camera is neither wanted nor lost (`domain/availability.py`).
"""

from msgspec.structs import replace

from .common import Arms, Changes, Decisions, Events, require_camera
from .core import FIRST, OUTSIDE, SOON, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import CameraId, camera_stream
from .lease import end
from .lifecycle import PeerPhase
from .peer import PeerClosing
from .rights import Right
from .state import Privacy, State
from .use import UseEnded
from .values import Fault, Reason

PRIVACY = "privacy"
"""The code of the reason of everything that ends with a camera's privacy."""
RESTORED_PRIVACY = Reason("privacy", "the access file has it as private", Fault.NONE)


class SetPrivacy(Command, frozen=True):
    """Switch a camera off for privacy, or on again."""

    camera: CameraId
    private: bool
    by: str = ""
    """The address or the name of the one who asks; empty for the schedule."""
    until_ns: int | None = None
    """When the schedule switches it next, if it has one."""

    sender = "gateway, schedules service"
    right = Right.OPERATE


class PrivacyEvent(Event, frozen=True):
    camera: CameraId
    """Its name in the configuration."""

    @property
    def stream(self) -> str:
        return camera_stream(self.camera)


class PrivacyBegan(PrivacyEvent, frozen=True):
    """The camera is private: its source is closed, and nobody sees or hears it, or its substreams."""

    reason: Reason
    """Code `privacy`; the text says by whom."""
    until_ns: int | None = None
    """When the schedule ends it; None if only a person does."""
    scheduled: bool = False
    """Whether the schedule switched it, and no person."""

    severity = Severity.NOTICE
    emitters = ("SetPrivacy", "RestoreAccess")
    causes = (
        OUTSIDE,
        "UserAdded",
        "UserChanged",
        "UserRemoved",
        "TrustEnded",
        "PasskeyRemoved",
        "SessionEnded",
        "TokenEnded",
        "PrivacyBegan",
    )
    cause_note = "none; at a start, the first difference between the access file and the journal"
    when = (
        "an operator or the schedule switches the camera off; again if the end of the schedule has changed; at a "
        "start, for a camera that only the access file has as private"
    )
    stored = f"{FIRST} for a client, {SOON} for the schedule"

    def sentence(self) -> str:
        return f"{self.camera} is private: {self.reason.text}"

    def timeline_mark(self) -> str:
        return "privacy"


class PrivacyEnded(PrivacyEvent, frozen=True):
    """The camera is no longer private. It is opened if it is wanted."""

    reason: Reason
    """Code `privacy`; the text says by whom."""
    until_ns: int | None = None
    """When the schedule begins the next such time; None if only a person does."""
    scheduled: bool = False
    """Whether the schedule switched it, and no person."""

    severity = Severity.NOTICE
    emitters = ("SetPrivacy",)
    when = "an operator or the schedule switches the camera on again"
    stored = f"{FIRST} for a client, {SOON} for the schedule"

    def sentence(self) -> str:
        return f"{self.camera} is no longer private: {self.reason.text}"

    def timeline_mark(self) -> str:
        return "privacy"


def set_privacy(state: State, command: SetPrivacy, now_ns: int) -> Events:
    require_camera(state, command.camera)
    switched = state.privacy.get(command.camera)
    by, scheduled = command.by or "its schedule", not command.by
    if switched is not None and switched.on:
        if not command.private:
            reason = Reason("privacy", f"switched on by {by}", Fault.NONE)
            return (PrivacyEnded(command.camera, reason, command.until_ns, scheduled),)
        if command.until_ns == switched.until_ns:
            return ()
        return (PrivacyBegan(command.camera, switched.reason, command.until_ns, switched.scheduled),)
    if command.private:
        reason = Reason("privacy", f"switched off by {by}", Fault.NONE)
        began = PrivacyBegan(command.camera, reason, command.until_ns, scheduled)
        return (began, *end_watching(state, began, now_ns))
    above = state.private(command.camera)
    if above is not None:
        text = f"{command.camera} is a substream of {above.camera}, and private with it: switch {above.camera} on"
        raise Rejected(Refusal.CONFLICT, text)
    return ()


def end_watching(state: State, began: PrivacyBegan, now_ns: int) -> Events:
    """The ends of everything that watches the camera or its substreams."""
    reason, switched = began.reason, Privacy(began.camera, on=True, since_ns=now_ns, reason=began.reason)
    private = replace(state, privacy=state.privacy.insert(began.camera, switched)).private_cameras()
    events: list[Event] = []
    leases = [lease for _, lease in sorted(state.leases.items()) if lease.camera in private]
    events += [event for lease in leases for event in end(state, lease, reason, now_ns)]
    closing = {event.peer for event in events if isinstance(event, PeerClosing)}
    for name, peer in sorted(state.peers.items()):
        if peer.camera in private and peer.phase is not PeerPhase.CLOSING and name not in closing:
            events.append(PeerClosing(name, peer.camera, reason=reason))
    uses = [use for _, use in sorted(state.uses.items()) if use.camera in private]
    return (*events, *(UseEnded(use.use, use.camera, reason) for use in uses))


def _privacy_began(state: State, event: PrivacyBegan, at: Recorded) -> Changes:
    before = state.privacy.get(event.camera)
    since_ns = before.since_ns if before is not None and before.on else at.wall_ns
    began = Privacy(event.camera, True, since_ns, event.reason, event.until_ns, scheduled=event.scheduled)
    return {"privacy": state.privacy.insert(event.camera, began)}


def _privacy_ended(state: State, event: PrivacyEnded, at: Recorded) -> Changes:
    began_ns = state.privacy[event.camera].since_ns
    ended = Privacy(event.camera, False, at.wall_ns, event.reason, event.until_ns, began_ns, event.scheduled)
    return {"privacy": state.privacy.insert(event.camera, ended)}


DECISIONS: Decisions = {
    SetPrivacy: set_privacy,
}


ARMS: Arms = {
    PrivacyBegan: _privacy_began,
    PrivacyEnded: _privacy_ended,
}
