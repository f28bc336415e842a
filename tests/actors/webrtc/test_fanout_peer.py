"""The phases of a peer in the fan-out: every pair of phase and signal, and the position in the ring buffer."""

from itertools import product

import pytest

from actors.media.hub import Hub
from actors.media.media import CLOCK_RATE
from actors.webrtc.fanout_peer import TRANSITIONS, FanoutPeer, Phase, Signal
from supervisor.base.clock import SystemClock
from tests.kit.media import FPS, access_units

from .test_fanout import Sink

W, C, L, K = Phase.WAITING, Phase.CATCHING_UP, Phase.LIVE, Phase.KEY_FRAMES_ONLY
CHANGES = {
    W: {Signal.RESTARTED: C, Signal.KEY_FRAME: L, Signal.NARROW: K},
    C: {Signal.NOT_CACHED: W, Signal.REFUSED: W, Signal.NARROW: K, Signal.CAUGHT_UP: L},
    L: {Signal.RESTARTED: C, Signal.NOT_CACHED: W, Signal.REFUSED: W, Signal.NARROW: K},
    K: {Signal.RESTARTED: C, Signal.NOT_CACHED: W, Signal.KEY_FRAME: L, Signal.ACCESS_UNIT: W, Signal.REFUSED: W},
    Phase.ENDED: {},
}
"""Where a signal changes the phase; `END` ends every one. Every other pair keeps the phase."""


def make_peer(hub: Hub) -> FanoutPeer:
    return FanoutPeer(Sink(), hub.subscribe())  # type: ignore[arg-type]


def make_hub() -> Hub:
    hub = Hub(SystemClock())
    hub.begin()
    return hub


def publish(hub: Hub, first: int, last: int) -> None:
    for index in range(first, last):
        hub.publish(access_units()[index % 40], index * CLOCK_RATE // FPS)


@pytest.mark.parametrize(("phase", "signal"), list(product(Phase, Signal)), ids=lambda each: each.name.lower())
def test_each_pair_of_phase_and_signal_has_its_next_phase(phase: Phase, signal: Signal) -> None:
    """The table is complete, and changes the phase exactly where `CHANGES` says so."""
    peer = make_peer(make_hub())
    peer.phase = phase
    expected = Phase.ENDED if signal is Signal.END else CHANGES[phase].get(signal, phase)
    assert peer.take(signal) is peer.phase is expected


def test_every_phase_is_reached_from_the_first_one_and_only_the_end_is_final() -> None:
    """No phase is useless, and no phase but `ENDED` is a trap."""
    reached, before = {FanoutPeer(Sink(), make_hub().subscribe()).phase}, set[Phase]()  # type: ignore[arg-type]
    while reached != before:
        before, reached = reached, reached | {after for phase in reached for after in TRANSITIONS[phase]}
    assert reached == set(Phase)
    assert [phase for phase in Phase if set(TRANSITIONS[phase]) == {phase}] == [Phase.ENDED]


def test_live_follows_from_a_key_frame_or_from_all_that_is_cached_and_from_nothing_else() -> None:
    """Otherwise a decoder would get access units without their key frame."""
    begins = {
        (phase, signal) for phase, signal in product(Phase, Signal)
        if TRANSITIONS[phase][signal] is L and phase is not L
    }  # fmt: skip
    assert begins == {(W, Signal.KEY_FRAME), (K, Signal.KEY_FRAME), (C, Signal.CAUGHT_UP)}


def owe_a_unit(peer: FanoutPeer, hub: Hub) -> None:
    """Let the oldest access unit be due, and a key frame be requested."""
    peer.due, peer.key_requested = (hub.units.read_nowait(hub.units.start, 1)[0], iter(()), 0), True


def test_restart_discards_what_was_due_and_begins_at_the_newest_key_frame() -> None:
    """Without a cached key frame, the peer waits."""
    hub = make_hub()
    peer = make_peer(hub)
    peer.restart()
    assert (peer.phase, peer.restarts) == (W, 1)
    publish(hub, 0, 25)
    owe_a_unit(peer, hub)
    peer.restart()
    assert (peer.phase, peer.restarts, peer.due, peer.key_requested) == (C, 2, None, False)
    assert peer.place.at == hub.newest_key()


def test_peer_that_catches_up_is_live_after_the_last_cached_access_unit() -> None:
    """It gets each of them once, the key frame first."""
    hub = make_hub()
    publish(hub, 0, 5)
    peer = make_peer(hub)
    peer.restart()
    taken = [peer.take_cached() for _ in range(5)]
    assert [each[0].key for each in taken if each is not None] == [True, False, False, False, False]
    assert peer.phase is C
    assert peer.take_cached() is None
    assert peer.phase is L


@pytest.mark.parametrize(("newer", "phase"), [(True, C), (False, W)])
def test_skip_goes_to_a_newer_key_frame_or_waits_at_the_end(newer: bool, phase: Phase) -> None:
    """The key frame that it has got already is no newer one."""
    hub = make_hub()
    publish(hub, 0, 5)
    peer = make_peer(hub)
    peer.restart()
    peer.take_cached()
    publish(hub, 5, 25 if newer else 10)
    peer.skip(Signal.REFUSED)
    assert peer.phase is phase
    assert peer.place.at == (hub.newest_key() if newer else hub.units.end)


@pytest.mark.parametrize(("cached", "phase"), [(True, C), (False, W)])
def test_peer_whose_position_is_no_longer_cached_restarts(cached: bool, phase: Phase) -> None:
    """It continues at the newest key frame, or waits for the next one."""
    hub = make_hub()
    publish(hub, 0, 5)
    peer = make_peer(hub)
    peer.restart()
    publish(hub, 5, 65)
    if not cached:
        hub.rest()
    following = peer.take_cached()
    assert (following is not None, peer.phase) == (cached, phase)
    assert following is None or following[0].key


def test_peer_that_has_ended_stays_ended() -> None:
    """A late request or restart does not bring it back."""
    hub = make_hub()
    publish(hub, 0, 5)
    peer = make_peer(hub)
    peer.leave()
    peer.restart()
    peer.skip(Signal.REFUSED)
    assert peer.phase is Phase.ENDED
