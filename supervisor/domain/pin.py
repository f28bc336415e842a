"""Pins: stretches of time whose events and footage are kept until a person releases them.

Rules of this file:
- A pin names its cameras. Somebody with a scope pins, sees and releases only what is in it.
- Pins hold at most half of an archive's budget. More is refused at once, and not found out when the disk is full.
- Nothing that is pinned is removed by the program. A pin ends only by a command of a person.
- The future cannot be pinned: nobody knows how much it holds.
"""

import re
from collections.abc import Mapping

from .access import Principal, rights_of
from .common import Arms, Changes, Decisions, Events
from .core import FIRST, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import CameraId, pin_stream
from .rights import Right
from .scoped import Visible, visible_in
from .state import State, StretchPin
from .words import plural, seconds, size

MOST_PINS = 1000
MOST_CAMERAS = 1000
"""Cameras of one pin."""
MOST_NOTE = 300
SHARE = 0.5
"""The share of an archive's budget that pins may hold."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}", re.ASCII)


class PinStretch(Command, frozen=True):
    pin: str
    from_ns: int
    to_ns: int
    cameras: tuple[CameraId, ...]
    bytes: int
    note: str
    by: str
    """The principal that asks."""

    sender = "pins service"
    right = Right.REVIEW


class ReleaseStretch(Command, frozen=True):
    pin: str
    by: str
    """The principal that asks."""

    sender = "pins service"
    right = Right.REVIEW


class PinEvent(Event, frozen=True):
    pin: str
    """Its name."""

    @property
    def stream(self) -> str:
        return pin_stream(self.pin)


class StretchPinned(PinEvent, frozen=True):
    """A stretch of time is kept: its events, and the footage of its cameras."""

    from_ns: int
    """When it begins."""
    to_ns: int
    """When it ends."""
    cameras: tuple[CameraId, ...]
    """The cameras whose footage is kept. Events are kept of all cameras."""
    bytes: int
    """The footage that it holds, as far as its files were complete."""
    note: str
    """The reason that its maker gave."""

    severity = Severity.NOTICE
    emitters = ("PinStretch",)
    when = "before the answer"
    stored = FIRST

    def sentence(self) -> str:
        lasts = seconds((self.to_ns - self.from_ns) / 1e9)
        return f"pin {self.pin} keeps {lasts} of {plural(len(self.cameras), 'camera')} ({size(self.bytes)} of footage)"


class StretchReleased(PinEvent, frozen=True):
    """A pin was released: retention may remove its stretch."""

    ends_stream = True
    severity = Severity.NOTICE
    emitters = ("ReleaseStretch",)
    when = "before the answer"
    stored = FIRST

    def sentence(self) -> str:
        return f"pin {self.pin} released"


def pin_stretch(state: State, command: PinStretch, now_ns: int) -> Events:
    require_pinnable(state, command, now_ns)
    pinned = StretchPinned(command.pin, command.from_ns, command.to_ns, command.cameras, command.bytes, command.note)
    return (pinned,)


def require_pinnable(state: State, command: PinStretch, now_ns: int) -> None:
    """Raise `Rejected` for what cannot be pinned, whatever footage there is."""
    visible = visible_to(state, rights_of(state, command.by, now_ns))
    for camera in command.cameras:
        if visible is not None and camera not in visible:
            raise Rejected(Refusal.UNKNOWN, f"there is no camera {camera!r}")
    if NAME.fullmatch(command.pin) is None:
        raise Rejected(Refusal.INVALID, "the name of a pin has letters, digits and ._:- only, at most 63 of them")
    if command.pin in state.pins:
        raise Rejected(Refusal.CONFLICT, f"there is a pin {command.pin!r} already: release it, or take another name")
    if command.to_ns > now_ns:
        raise Rejected(Refusal.INVALID, "the stretch ends in the future: only time that has passed can be pinned")
    if not 0 <= command.from_ns < command.to_ns:
        raise Rejected(Refusal.INVALID, "the stretch must begin before it ends")
    if len(command.note) > MOST_NOTE or not command.note.isprintable():
        raise Rejected(Refusal.INVALID, f"a note has at most {MOST_NOTE} characters, which can be printed")
    if len(command.cameras) > MOST_CAMERAS:
        raise Rejected(Refusal.INVALID, f"a pin has at most {MOST_CAMERAS} cameras")
    if len(state.pins) >= MOST_PINS:
        raise Rejected(Refusal.CAP_REACHED, f"there are {MOST_PINS} pins, which is the limit: release some")


def require_budget(archive: str, asked: int, held: int, budget: int, holders: Mapping[str, int]) -> None:
    """Raise `Rejected` if pins would hold more than their share of an archive.

    Args:
        asked: bytes that are not pinned yet.
        held: bytes that are.
        budget: bytes that the archive may have.
        holders: bytes of each pin that may be named.
    """
    allowed = int(budget * SHARE)
    if held + asked <= allowed:
        return
    names = sorted(holders, key=lambda name: (-holders[name], name))
    named = ", ".join(f"{name} {size(holders[name])}" for name in names[:5]) + (", …" if len(names) > 5 else "")
    raise Rejected(
        Refusal.CONFLICT,
        f"this would pin {size(asked)} more in archive {archive} ({asked} bytes); pins may hold {size(allowed)}, half "
        f"of its room, and hold {size(held)}{f' ({named})' if named else ''}: release a pin, or pin a shorter time or "
        "fewer cameras",
    )


def visible_to(state: State, who: Principal) -> Visible | None:
    """The cameras that somebody may see; None for all, also those that are not configured any more."""
    return None if who.scope.everything else visible_in(state, who.scope)


def seen_of(pin: StretchPin, visible: Visible | None) -> StretchPin | None:
    """The pin as somebody may see it: with the cameras of the scope, and without a note that may name others.

    None if no camera of it is in the scope. `visible` is as of `visible_to`.
    """
    if visible is None:
        return pin
    cameras = tuple(camera for camera in pin.cameras if camera in visible)
    if not cameras:
        return None
    if cameras == pin.cameras:
        return pin
    return StretchPin(pin.pin, pin.from_ns, pin.to_ns, cameras, 0, "", pin.by, pin.made_ns)


def release_stretch(state: State, command: ReleaseStretch, now_ns: int) -> Events:
    known = state.pins.get(command.pin)
    visible = visible_to(state, rights_of(state, command.by, now_ns))
    seen = None if known is None else seen_of(known, visible)
    if known is None or seen is None:
        raise Rejected(Refusal.UNKNOWN, f"there is no pin {command.pin!r}")
    if seen is not known:
        text = f"pin {command.pin} also keeps footage outside your scope: somebody who has all of it can release it"
        raise Rejected(Refusal.FORBIDDEN, text)
    return (StretchReleased(command.pin),)


def _stretch_pinned(state: State, event: StretchPinned, at: Recorded) -> Changes:
    made = StretchPin(
        event.pin, event.from_ns, event.to_ns, event.cameras, event.bytes, event.note, at.principal, at.wall_ns
    )
    return {"pins": state.pins.insert(event.pin, made)}


DECISIONS: Decisions = {PinStretch: pin_stretch, ReleaseStretch: release_stretch}


ARMS: Arms = {
    StretchPinned: _stretch_pinned,
    StretchReleased: lambda s, v, at: {"pins": s.pins.remove(v.pin)},
}
