"""Cameras with every kind of misbehavior, all in one yard at the same time, each over its own connection.

Rules of this file:
- A line of `FAULTS` is one misbehavior with the expected report; it becomes a test with the line's name.
- The scenario runs once. Each camera misbehaves until banken has reported it, and is then repaired.
- Healthy cameras run beside them, and their frames are never delayed.
"""

import os
from collections.abc import Iterator
from contextlib import AsyncExitStack

import attrs
import pytest
import trio

from supervisor.config.config import Source
from supervisor.domain import events as e
from supervisor.domain.ids import CameraId
from supervisor.domain.lifecycle import CameraPhase
from supervisor.domain.values import Reason
from tests.kit.cameras import ScriptedCamera, open_camera
from tests.kit.habits import CONNECT, HEALTHY, Behaviour, Then
from tests.kit.media import follow
from tests.kit.processes import descendants, descriptors, wait_bounded, wait_until
from tests.kit.rtp import Codec
from tests.kit.yard import Yard, open_yard

pytestmark = pytest.mark.paired

SAID_WITHIN_S = 29.0
"""Seconds for a fault: 15 s without a first frame, plus the wait at the herd's gate, on a busy machine."""
HEALED_WITHIN_S = 29.0
"""The same again: who goes is who comes last to the gate."""
STALL_SEEN_S = 7.0
"""Six, and one for a busy machine."""
GAP_S = 1.0
"""Between two pictures of a healthy camera, on a machine that serves forty cameras meanwhile."""
STARTS_PER_S = 8
"""More than banken's default: the herd is not tested here."""
GOOD_S = 5.0
"""Seconds of correct streaming before the fault: long enough for all cameras to be live."""


@attrs.frozen
class Fault:
    behaviour: Behaviour
    phase: CameraPhase
    codes: tuple[str, ...]
    text: str
    """The reported reason, or a part of it."""
    healed: Behaviour = HEALTHY


def waits(behaviour: Behaviour, code: str, text: str, *or_code: str, healed: Behaviour = HEALTHY) -> Fault:
    """A fault that may pass."""
    return Fault(behaviour, CameraPhase.WAITING, (code, *or_code), text, healed)


def fails(behaviour: Behaviour, code: str, text: str) -> Fault:
    """A fault that does not pass by itself."""
    return Fault(behaviour, CameraPhase.FAILED, (code,), text)


def turns(then: Then) -> Behaviour:
    return Behaviour(then=then, after_s=GOOD_S)


def places(count: int, then: Then = Then.GOES_ON) -> Behaviour:
    """A camera that counts sessions until their timeout, which is longer than banken takes to come back."""
    return Behaviour(then=then, after_s=GOOD_S, max_sessions=count, session_timeout_s=12)


# In the middle of a GOP: small units precede a key frame, and a drip would complete one of them.
SLOWING = Behaviour(size=(320, 240), then=Then.DRIPS, after_s=GOOD_S + 0.2)

NO_PICTURE, NO_MORE = "connected, but no picture came within 15 s", "no picture came for 6 s"
H263 = "v=0\r\nm=video 0 RTP/AVP 34\r\na=control:track1\r\n"
NO_ANSWER = "no usable answer"

FAULTS = {
    # it never comes to a picture
    "says nothing": waits(Behaviour(hangs_at=CONNECT), "no-answer", NO_ANSWER),
    "hangs at DESCRIBE": waits(Behaviour(hangs_at="DESCRIBE"), "no-answer", NO_ANSWER),
    "hangs at SETUP": waits(Behaviour(hangs_at="SETUP"), "no-answer", NO_ANSWER),
    "hangs at PLAY": waits(Behaviour(hangs_at="PLAY"), "no-answer", NO_ANSWER),
    "drips": waits(Behaviour(drips=True), "no-answer", NO_ANSWER),
    "plays nothing": waits(Behaviour(then=Then.STOPS, after_s=0), "stalled", NO_PICTURE),
    "never sends a key frame": waits(Behaviour(key_frames=False), "stalled", "no key frame was among what came"),
    "sends a header of 1 MB": waits(
        Behaviour(babbles=b"RTSP/1.0 200 OK\r\nServer: " + bytes(1_000_000)), "stalled", "", "no-answer"
    ),
    "refuses connections": waits(Behaviour(listens=False), "unreachable", "connection refused"),
    "speaks another language": waits(Behaviour(babbles=b"\x00\x01nonsense\xff\r\n\r\n" * 20), "no-answer", NO_ANSWER),
    "refuses the user": fails(Behaviour(refuses={"DESCRIBE": "401 Unauthorized"}), "no-password", "requires a user"),
    "forbids the stream": fails(Behaviour(refuses={"DESCRIBE": "403 Forbidden"}), "forbidden", "to this user"),
    "has no such stream": fails(Behaviour(refuses={"DESCRIBE": "404 Not Found"}), "not-found", "under this path"),
    "has no place": waits(Behaviour(refuses={"SETUP": "453 Not Enough Bandwidth"}), "full", "as many connections"),
    "is too busy": waits(Behaviour(refuses={"DESCRIBE": "503 Service Unavailable"}), "full", "as many connections"),
    "forgets its session": waits(Behaviour(refuses={"PLAY": "454 Session Not Found"}), "refused", "refuses the"),
    "has an error": waits(Behaviour(refuses={"PLAY": "500 Internal Server Error"}), "camera-error", "internal error"),
    "knows only UDP": fails(
        Behaviour(refuses={"SETUP": "461 Unsupported Transport"}), "unsupported-transport", "neither over TCP nor"
    ),
    "describes nothing": waits(Behaviour(sdp=""), "no-answer", NO_ANSWER),
    "describes nonsense": waits(Behaviour(sdp="this is no description\r\n" * 5), "no-answer", "that is no description"),
    "sends sound only": fails(Behaviour(codec=Codec.PCMU), "no-video", "has no video"),
    "sends H.263": fails(Behaviour(sdp=H263), "unsupported-codec", "H263, which cannot be passed on"),
    # it is live, and then
    "stops": waits(turns(Then.STOPS), "stalled", NO_MORE),
    "stops midway": waits(turns(Then.STOPS_MIDWAY), "stalled", NO_MORE),
    "slows to a drip": waits(SLOWING, "stalled", NO_MORE),
    "begins to babble": waits(turns(Then.UNASKED_MESSAGES), "stalled", NO_MORE),
    "sends packets of nonsense": waits(turns(Then.GARBLES), "stalled", NO_MORE),
    "closes": waits(turns(Then.CLOSES), "ended", "ended the connection"),
    "resets": waits(turns(Then.RESETS), "ended", "ended the connection"),
    "stops, and has two places": waits(places(2, Then.STOPS), "stalled", NO_MORE, healed=places(2)),
    "stops, and has one place": waits(places(1, Then.STOPS), "stalled", NO_MORE, healed=places(1)),
}
"""The behavior of the camera and the expected reaction of banken, by name."""

SILENT = [name for name, fault in FAULTS.items() if fault.text == NO_MORE]
PASSING = [name for name, fault in FAULTS.items() if fault.phase is CameraPhase.WAITING]
HARMLESS = {"pauses for three seconds": turns(Then.PAUSES), "changes its size": turns(Then.RESIZES)}
STEADY = {"steady": HEALTHY, "steady and large": Behaviour(size=(320, 240)), "steady and slow": Behaviour(fps=10),
          "steady, in H.265": Behaviour(codec=Codec.H265),
          "steady behind OPTIONS": Behaviour(hangs_at="OPTIONS")}  # fmt: skip


@attrs.define
class Seen:
    """The observations of one camera. Times are those of trio's clock."""

    camera: ScriptedCamera
    phase: CameraPhase | None = None
    """Of its first loss; with the reason for it."""
    reason: Reason | None = None
    turned_at: float | None = None
    left_at: float | None = None
    """When banken first told it that it leaves."""
    live_again: bool = False
    arrivals: list[float] = attrs.field(factory=list)
    """When its pictures came, for a healthy one; and how many it had sent meanwhile."""
    sent: int = 0
    skipped: int = 0
    events: list[e.Event] = attrs.field(factory=list)


@attrs.frozen
class Night:
    seen: dict[str, Seen]
    processes: list[str]
    """Children that were left."""
    connections: int
    descriptors: set[str]
    """Those that were not there before."""


@pytest.fixture(scope="module")
def night() -> Night:
    return trio.run(spend_night)


async def spend_night() -> Night:
    """Run all faults at once. The time is bounded: in the worst case every fault is reported late and repaired late."""
    before = descriptors(os.getpid())
    habits = {name: fault.behaviour for name, fault in FAULTS.items()} | HARMLESS | STEADY
    async with AsyncExitStack() as cameras:
        seen = {name: Seen(await cameras.enter_async_context(open_camera(habits[name]))) for name in habits}
        sources = {to_id(name): Source("rtsp", one.camera.url) for name, one in seen.items()}
        async with open_yard(sources, starts_per_s=STARTS_PER_S) as yard:
            async with trio.open_nursery() as watching:
                for name in STEADY:
                    watching.start_soon(count_pictures, yard, name, seen[name])
                async with trio.open_nursery() as misbehaving:
                    for name, fault in FAULTS.items():
                        misbehaving.start_soon(misbehave, yard, name, fault, seen[name])
                    for name in HARMLESS:
                        misbehaving.start_soon(go_on, yard, name, seen[name])
                watching.cancel_scope.cancel()
        for name, one in seen.items():
            one.events = [recorded.event for recorded in yard.events(to_id(name))]
        with trio.move_on_after(1):
            await wait_until(lambda: not any(one.camera.connections for one in seen.values()))
        connections = sum(one.camera.connections for one in seen.values())
        processes = [" ".join(process.cmdline) for process in descendants(os.getpid())]
    left = {f"{number}: {target}" for number, target in descriptors(os.getpid()).items() if number not in before}
    return Night(seen, processes, connections, left)


async def misbehave(yard: Yard, name: str, fault: Fault, seen: Seen) -> None:
    """Wait until banken has reported the fault; then repair the camera, which returns if banken reconnects."""
    lost = (CameraPhase.WAITING, CameraPhase.FAILED)
    camera = to_id(name)
    if not await yard.until(lambda: yard.camera(camera).phase in lost, SAID_WITHIN_S):
        return
    seen.phase, seen.reason = yard.camera(camera).phase, yard.camera(camera).reason
    seen.turned_at, seen.left_at = seen.camera.turned_at, seen.camera.left_at
    seen.camera.behaviour = fault.healed
    if seen.phase is CameraPhase.WAITING:
        seen.live_again = await yard.until(lambda: yard.camera(camera).phase is CameraPhase.LIVE, HEALED_WITHIN_S)


async def go_on(yard: Yard, name: str, seen: Seen) -> None:
    """Wait until the harmless event has happened and a stall would have been detected."""
    await wait_bounded(lambda: seen.camera.turned_at, SAID_WITHIN_S, what=name)
    await trio.sleep(STALL_SEEN_S)
    seen.phase = yard.camera(to_id(name)).phase


async def count_pictures(yard: Yard, name: str, seen: Seen) -> None:
    await yard.until(lambda: yard.camera(to_id(name)).phase is CameraPhase.LIVE, SAID_WITHIN_S)
    hub, sent = yard.hub(to_id(name)), seen.camera.pictures_sent
    place = hub.subscribe()
    place.begin()
    try:
        while True:
            await follow(hub, place)
            seen.arrivals.append(trio.current_time())
    finally:
        seen.sent, seen.skipped = seen.camera.pictures_sent - sent, hub.skipped


def to_id(name: str) -> CameraId:
    return CameraId("".join(letter if letter.isalnum() else "-" for letter in name.lower()))


def gaps(seen: Seen) -> Iterator[float]:
    return (later - earlier for earlier, later in zip(seen.arrivals, seen.arrivals[1:], strict=False))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_called_by_its_name(night: Night, name: str) -> None:
    """The first loss has the expected phase, code and text."""
    seen, fault = night.seen[name], FAULTS[name]
    assert seen.reason is not None, "nothing was said"
    assert (seen.phase, seen.reason.code in fault.codes) == (fault.phase, True), seen.reason
    assert fault.text in seen.reason.text


@pytest.mark.parametrize("name", PASSING)
def test_repaired_camera_is_live_again(night: Night, name: str) -> None:
    """A repaired camera is live again."""
    assert night.seen[name].live_again, night.seen[name].events


@pytest.mark.parametrize("name", SILENT)
def test_a_stall_is_seen_in_time(night: Night, name: str) -> None:
    """Between 5.5 s and 7 s after the last data, banken leaves the camera."""
    seen = night.seen[name]
    assert seen.left_at is not None
    assert seen.turned_at is not None
    assert 5.5 < seen.left_at - seen.turned_at < STALL_SEEN_S


@pytest.mark.parametrize("name", [*FAULTS, *HARMLESS, *STEADY])
def test_a_camera_never_sees_two_connections(night: Night, name: str) -> None:
    """Many cameras serve only one; each camera counts its own maximum."""
    assert night.seen[name].camera.most_connections == 1


@pytest.mark.parametrize("name", ["stops, and has two places", "stops, and has one place"])
def test_no_session_takes_the_place_of_the_next(night: Night, name: str) -> None:
    """Closed sessions are torn down, so that banken never uses up the slots itself."""
    assert not night.seen[name].camera.refusals


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_change_of_a_camera_is_not_a_loss(night: Night, name: str) -> None:
    """A pause that is shorter than a stall, another size midway: live, on the same connection."""
    seen = night.seen[name]
    assert (seen.phase, seen.camera.requests["PLAY"]) == (CameraPhase.LIVE, 1)
    assert not [event for event in seen.events if isinstance(event, e.CameraWaiting | e.CameraFailed)]


def test_new_picture_size_is_reported(night: Night) -> None:
    """Two `CameraLive`, from 64 × 64 to 128 × 128."""
    live = [event.picture for event in night.seen["changes its size"].events if isinstance(event, e.CameraLive)]
    assert [(picture.width, picture.height) for picture in live] == [(64, 64), (128, 128)]


@pytest.mark.parametrize("name", STEADY)
def test_a_healthy_camera_never_notices(night: Night, name: str) -> None:
    """Frames of a healthy camera arrive all the time, on one connection."""
    seen, fps = night.seen[name], STEADY[name].fps
    assert seen.camera.requests["PLAY"] == 1
    assert max(gaps(seen)) < GAP_S
    assert len(seen.arrivals) > 0.97 * seen.sent > 5 * fps
    assert seen.skipped == 0


def test_a_night_leaves_nothing_behind(night: Night) -> None:
    """No child process, no connection and no file descriptor is left."""
    assert (night.processes, night.connections, night.descriptors) == ([], 0, set())
