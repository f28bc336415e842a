"""`evolve(state, recorded) -> state`: the one way in which state comes to be.

Rules of this file:
- Pure and total over the catalogue: every event has its arm, an event the life cycle forbids raises.
- It decides nothing. Whatever `decide` worked out stands in the event.
"""

from collections.abc import Iterable

import attrs
from rpds import HashTrieMap

from . import events as e
from . import lifecycle
from .lifecycle import CameraPhase, ChildPhase, PeerPhase
from .state import STRAY, Alert, Camera, Child, Learned, Peer, Slot, State, Use
from .values import Reason


def evolve(state: State, recorded: e.Recorded) -> State:
    """The state after one more event. Raises `IllegalTransition` for an event that cannot follow."""
    state = attrs.evolve(
        state, seq=recorded.seq, versions=state.versions.insert(recorded.stream, recorded.stream_version)
    )
    event = recorded.event
    match event:
        case e.CameraEvent():
            return _evolve_camera(state, event, recorded.wall_ns)
        case e.SlotEvent():
            return _evolve_slot(state, event, recorded.wall_ns)
        case e.ChildEvent():
            return _evolve_child(state, event, recorded)
        case e.PeerEvent():
            return _evolve_peer(state, event, recorded.wall_ns)
        case e.UseEvent():
            return _evolve_use(state, event, recorded.wall_ns)
        case e.AlertEvent():
            return _evolve_alert(state, event, recorded.wall_ns)
        case _:
            return _evolve_run(state, event, recorded.wall_ns)


def fold(events: Iterable[e.Recorded], state: State | None = None) -> State:
    """All of `events` folded in order, from the empty state or from a given one."""
    state = State() if state is None else state
    for recorded in events:
        state = evolve(state, recorded)
    return state


def _evolve_run(state: State, event: e.Event, now_ns: int) -> State:
    match event:
        case e.RunStarted():
            return attrs.evolve(state, run=event.run, node=event.node, stopping=False)
        case e.RunStopping():
            return attrs.evolve(state, stopping=True)
        case e.RunAbandoned() | e.RunEnded():
            return attrs.evolve(state, run=None, stopping=False)
        case e.ConfigurationApplied():
            devices = HashTrieMap({known.device: known for known in event.devices})
            return attrs.evolve(state, origin=event.origin, limits=event.limits, patrol=event.patrol, devices=devices)
        case e.DeviceFull():
            learned = Learned(event.connections, now_ns + int(event.for_s * 1e9))
            return attrs.evolve(state, learned=state.learned.insert(event.device, learned))
        case e.PatrolEnded():
            return state
        case _:
            raise TypeError(f"{type(event).__name__} has no arm in evolve")


def _evolve_camera(state: State, event: e.CameraEvent, now_ns: int) -> State:
    if isinstance(event, e.CameraAdded):
        camera = Camera(settings=event.settings, phase=CameraPhase.IDLE, since_ns=now_ns)
        return attrs.evolve(state, cameras=state.cameras.insert(event.camera, camera))
    before = state.cameras[event.camera]
    phase = lifecycle.step(lifecycle.CAMERA, before.phase, type(event))
    if phase is CameraPhase.REMOVED:
        return attrs.evolve(state, cameras=state.cameras.remove(event.camera))
    since_ns = before.since_ns if phase is before.phase else now_ns
    after = attrs.evolve(before, phase=phase, since_ns=since_ns)
    match event:
        case e.CameraChanged():
            after = attrs.evolve(after, settings=event.settings, attempts=0, crashes_ns=(), quarantines=0)
        case e.CameraConnecting():
            waited = before.phase is CameraPhase.QUEUED
            after = attrs.evolve(after, retry_at_ns=None, reason=None if waited else after.reason)
        case e.CameraQueued():
            after = attrs.evolve(after, reason=event.reason, retry_at_ns=None)
            slot = Slot(event.camera, event.device, event.use, held=False, since_ns=now_ns)
            state = attrs.evolve(state, slots=state.slots.insert(event.camera, slot))
        case e.CameraStalled():
            after = attrs.evolve(after, reason=event.reason)
        case e.CameraLive():
            shown = before.phase in (CameraPhase.LIVE, CameraPhase.STALLED)
            live_since_ns = before.live_since_ns if shown else now_ns
            after = attrs.evolve(after, reason=None, picture=event.picture, live_since_ns=live_since_ns)
        case e.CameraWaiting():
            after = attrs.evolve(_lost(after, event.reason, event.delay_s, now_ns), attempts=event.attempts)
        case e.CameraFailed():
            after = _lost(after, event.reason, event.delay_s, now_ns)
        case e.CameraCrashed():
            after = attrs.evolve(_lost(after, event.reason, event.delay_s, now_ns), crashes_ns=event.recent_ns)
        case e.CameraQuarantined():
            lost = _lost(after, event.reason, event.delay_s, now_ns)
            after = attrs.evolve(lost, crashes_ns=(), quarantines=event.times)
        case e.CameraIdle():
            after = attrs.evolve(after, reason=event.reason, retry_at_ns=None, attempts=event.attempts)
        case _:
            raise TypeError(f"{type(event).__name__} has no arm in evolve")
    return attrs.evolve(state, cameras=state.cameras.insert(event.camera, after))


def _lost(camera: Camera, reason: Reason, delay_s: float, now_ns: int) -> Camera:
    return attrs.evolve(camera, reason=reason, retry_at_ns=now_ns + int(delay_s * 1e9))


def _evolve_slot(state: State, event: e.SlotEvent, now_ns: int) -> State:
    match event:
        case e.SlotTaken():
            slot = Slot(event.camera, event.device, event.use, held=True, since_ns=now_ns)
            return attrs.evolve(state, slots=state.slots.insert(event.camera, slot))
        case e.SlotFreed():
            return attrs.evolve(state, slots=state.slots.remove(event.camera))
        case _:
            raise TypeError(f"{type(event).__name__} has no arm in evolve")


def _evolve_child(state: State, event: e.ChildEvent, recorded: e.Recorded) -> State:
    if isinstance(event, e.ChildStarting | e.ChildFound):
        return attrs.evolve(state, children=state.children.insert(event.child, _born(event, recorded)))
    before = state.children[event.child]
    phase = lifecycle.step(lifecycle.CHILD, before.phase, type(event))
    if phase is ChildPhase.ENDED:
        return attrs.evolve(
            state,
            children=state.children.remove(event.child),
            versions=state.versions.remove(event.stream),
        )
    after = attrs.evolve(before, phase=phase, since_ns=recorded.wall_ns)
    if isinstance(event, e.ChildStarted):
        after = attrs.evolve(after, pid=event.pid, start_ticks=event.start_ticks)
    return attrs.evolve(state, children=state.children.insert(event.child, after))


def _born(event: e.ChildStarting | e.ChildFound, recorded: e.Recorded) -> Child:
    """A child that we start, or a stray that runs already."""
    child = Child(
        child=event.child,
        camera=event.camera,
        purpose=STRAY,
        arguments=event.arguments,
        run=recorded.run,
        phase=ChildPhase.STARTING,
        since_ns=recorded.wall_ns,
        started_ns=recorded.wall_ns,
    )
    if isinstance(event, e.ChildStarting):
        return attrs.evolve(child, purpose=event.purpose)
    return attrs.evolve(child, phase=ChildPhase.RUNNING, pid=event.pid, start_ticks=event.start_ticks)


def _evolve_use(state: State, event: e.UseEvent, now_ns: int) -> State:
    match event:
        case e.UseBegan():
            use = Use(event.use, event.camera, event.kind, event.client, now_ns)
            return attrs.evolve(state, uses=state.uses.insert(event.use, use))
        case e.UseEnded():
            return attrs.evolve(state, uses=state.uses.remove(event.use), versions=state.versions.remove(event.stream))
        case _:
            raise TypeError(f"{type(event).__name__} has no arm in evolve")


def _evolve_alert(state: State, event: e.AlertEvent, now_ns: int) -> State:
    match event:
        case e.AlertRaised():
            return attrs.evolve(state, alerts=state.alerts.insert(event.alert, Alert(event.text, now_ns)))
        case e.AlertCleared():
            return attrs.evolve(state, alerts=state.alerts.remove(event.alert))
        case _:
            raise TypeError(f"{type(event).__name__} has no arm in evolve")


def _evolve_peer(state: State, event: e.PeerEvent, now_ns: int) -> State:
    if isinstance(event, e.PeerOpened):
        peer = Peer(
            peer=event.peer,
            camera=event.camera,
            client=event.client,
            owner=event.owner,
            phase=PeerPhase.NEGOTIATING,
            since_ns=now_ns,
            opened_ns=now_ns,
        )
        return attrs.evolve(state, peers=state.peers.insert(event.peer, peer))
    before = state.peers[event.peer]
    phase = lifecycle.step(lifecycle.PEER, before.phase, type(event))
    if phase is PeerPhase.CLOSED:
        return attrs.evolve(state, peers=state.peers.remove(event.peer), versions=state.versions.remove(event.stream))
    after = attrs.evolve(before, phase=phase, since_ns=now_ns)
    if isinstance(event, e.PeerClosing):
        after = attrs.evolve(after, reason=event.reason)
    return attrs.evolve(state, peers=state.peers.insert(event.peer, after))
