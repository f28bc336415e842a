"""The part of a state that somebody with a scope may know. Pure.

Rules of this file:
- A field of the state is in the part only if `part_of` names it. The others have their defaults, so a field that is
  added later is hidden until somebody decides otherwise.
- A camera is visible if it is in the scope, or if it is a substream of a visible camera: its viewers get that stream.
- With `own`, there are no viewers but those of this principal.
- A text in which banken names other cameras is shown without their names, whether or not such cameras exist.
"""

from __future__ import annotations  # rpds maps take no type arguments at run time

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

import attrs
from msgspec.structs import replace
from rpds import HashTrieMap

from .ids import CameraId, DeviceId
from .rights import Scope
from .state import Alert, Camera, Privacy, State, named
from .substreams import tried
from .values import Reason

Visible = frozenset[CameraId]
Name = TypeVar("Name")
Thing = TypeVar("Thing")

ANOTHER = "another camera"
NOBODY = CameraId("(no camera)")
"""A name that no camera can have: a camera outside a scope is asked for under it."""
OF_CAMERAS = frozenset({"sound", "video", "b-frames", "children", "go2rtc", "decoder"})
"""The kinds of alerts that concern one camera, which follows a slash."""
_HOLDERS = re.compile(r"(?<=taken by )[^;]*|(?<=banken has those of )[^;]*")
"""Where a text names the cameras that hold the slots of a device (`State.why_queued`, `device.with_holders`)."""
_HOLDER = re.compile(r"([a-z0-9][a-z0-9_-]*) \([a-z]+\)")
_SUGGESTED = re.compile(r"(?:^|(?<=: ))[a-z0-9_, -]+ (?:is|are) shown, which (?:is|are) as important")
"""Where a text names the cameras that all pages show (`detection._all_as_important`)."""
_ABOVE = re.compile(r"(?<=is a substream of )([a-z0-9][a-z0-9_-]*)(, and private with it: switch )\1")
"""Where a text names the camera with which its substream is private (`privacy.set_privacy`)."""


class PartOfState(State, frozen=True):
    """A state without the cameras outside a scope."""

    def holders_of(self, device: DeviceId) -> str:
        """Cameras outside the scope may hold slots, too."""
        holders = named(self.slots_of(device, held=True))
        return f"{holders} and possibly others" if holders else "other cameras"


def redacted(text: str, visible: Collection[str]) -> str:
    """A text of banken without the names of cameras that are not visible."""
    if " by " not in text and " of " not in text and " as important" not in text:
        return text
    text = _HOLDERS.sub(lambda found: _HOLDER.sub(lambda one: _holder(one, visible), found[0]), text)
    text = _ABOVE.sub(lambda found: found[0] if found[1] in visible else f"{ANOTHER}{found[2]}it", text)
    return _SUGGESTED.sub("another suggestion is shown, which is as important", text)


def _holder(found: re.Match[str], visible: Collection[str]) -> str:
    return found[0] if found[1] in visible else ANOTHER


def redacted_reason(reason: Reason, visible: Collection[str]) -> Reason:
    text = redacted(reason.text, visible)
    return reason if text == reason.text else replace(reason, text=text)


def alert_is_shown(alert: str, visible: Collection[str]) -> bool:
    kind, _, camera = alert.partition("/")
    return kind in OF_CAMERAS and camera in visible


@attrs.define
class Part:
    """The visible cameras of a scope and the part of the state, as the newest state has them.

    Parts that did not change since the last call are not made again: the same map of the state gives the same object.
    """

    scope: Scope
    own: str | None = None
    """The principal whose viewers alone are in the part; None: those of all visible cameras are."""
    _order: object = None
    """The configured cameras among which `visible` was found: each configuration makes another tuple."""
    visible: Visible = frozenset()
    """Found by `see`."""
    _state: State | None = None
    _part: State = attrs.field(factory=State)
    _made: dict[str, tuple[object, Visible, Any]] = attrs.field(factory=dict)

    def see(self, state: State) -> Visible:
        """Find the visible cameras. After a new configuration it takes 1 µs for each camera of the site."""
        if state.order is not self._order or not state.order:
            self._order, self.visible = state.order, visible_in(state, self.scope)
        return self.visible

    def of(self, state: State) -> State:
        """The part of `state`."""
        if state is not self._state:
            self._part, self._state = _part(state, self.see(state), self._keep, self.own), state
        return self._part

    def _keep(self, name: str, source: object, make: Callable[[], Any]) -> Any:
        """Return what `make` returns; what it returned last if neither its source nor the visible cameras changed."""
        kept = self._made.get(name)
        if kept is None or kept[0] is not source or kept[1] is not self.visible:
            kept = self._made[name] = source, self.visible, make()
        return kept[2]


def part_with(state: State, visible: Visible) -> State:
    """The part of a state of the past; `visible` are the cameras that are visible now."""
    return _part(state, visible, lambda name, source, make: make())


def _part(
    state: State, visible: Visible, keep: Callable[[str, object, Callable[[], Any]], Any], own: str | None = None
) -> State:
    cameras = keep("cameras", state.cameras, lambda: _cameras(state, visible))
    devices = {device for known in cameras.values() if (device := known.settings.device) is not None}

    def of_cameras(name: str) -> Any:
        source = getattr(state, name)
        return keep(name, source, lambda: _only(source, lambda _, one: one.camera in visible))

    def alerts() -> HashTrieMap[str, Alert]:
        return _only(state.alerts, lambda name, _: alert_is_shown(name, visible))

    shown = tuple(each for each in state.suggestions if each.camera in visible)
    part = PartOfState(
        seq=state.seq,
        node=state.node,
        run=state.run,
        stopping=state.stopping,
        limits=state.limits,
        patrol=state.patrol,
        policy=state.policy,
        devices=_some(state.devices, devices),
        learned=_some(state.learned, devices),
        slots=of_cameras("slots"),
        uses=of_cameras("uses"),
        alerts=keep("alerts", state.alerts, alerts),
        cameras=cameras,
        children=of_cameras("children"),
        peers=of_cameras("peers"),
        leases=of_cameras("leases"),
        recordings=of_cameras("recordings"),
        recording_requests=of_cameras("recording_requests"),
        suggestion=shown[0] if shown else None,
        suggested_before=shown[1:],
        rooms=state.rooms,
        participants=state.participants,
        order=keep("order", state.order, lambda: tuple(name for name in state.order if name in visible)),
        trust_ended=state.trust_ended,
        privacy=_privacy(state, visible) if state.privacy else state.privacy,
    )
    return part if own is None else _without_others(part, own)


def _without_others(part: PartOfState, own: str) -> PartOfState:
    """The part with no viewers but those of one principal, and without what others do."""
    leases = _only(part.leases, lambda _, lease: lease.by == own)
    return replace(
        part,
        leases=leases,
        peers=_only(part.peers, lambda _, peer: peer.lease in leases),
        uses=State().uses,
        alerts=State().alerts,
        children=State().children,
        suggestion=None,
        suggested_before=(),
        rooms=State().rooms,
        participants=State().participants,
    )


def visible_in(state: State, scope: Scope) -> Visible:
    """The cameras of a scope, and their substreams."""
    if scope.groups:
        chosen: Iterable[CameraId] = (
            name for name, known in state.cameras.items() if scope.has(name, known.settings.group)
        )
    else:
        chosen = (name for name in scope.cameras if name in state.cameras)
    return frozenset(each for name in chosen for each in tried(state, name))


def _cameras(state: State, visible: Visible) -> HashTrieMap[CameraId, Camera]:
    return HashTrieMap({name: _camera(known, visible) for name in visible if (known := state.cameras.get(name))})


def _privacy(state: State, visible: Visible) -> HashTrieMap[CameraId, Privacy]:
    """The switches of visible cameras. A substream that is private with another camera has its switch, too."""
    own = {name: switched for name, switched in state.privacy.items() if name in visible}
    private = {
        name: replace(switched, camera=name) for name, switched in state.private_cameras().items() if name in visible
    }
    return HashTrieMap(own | private)


def _camera(known: Camera, visible: Visible) -> Camera:
    if known.settings.substream is not None and known.settings.substream not in visible:
        known = replace(known, settings=replace(known.settings, substream=None))
    if known.reason is None:
        return known
    reason = redacted_reason(known.reason, visible)
    return known if reason is known.reason else replace(known, reason=reason)


def _only(source: Mapping[Name, Thing], is_shown: Callable[[Name, Thing], bool]) -> HashTrieMap[Name, Thing]:
    return HashTrieMap({name: one for name, one in source.items() if is_shown(name, one)})


def _some(source: HashTrieMap[Name, Thing], names: Iterable[Name]) -> HashTrieMap[Name, Thing]:
    return HashTrieMap({name: one for name in names if (one := source.get(name)) is not None})
