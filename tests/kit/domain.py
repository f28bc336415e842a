"""Given, when, then: the vocabulary of the domain tests."""

import attrs

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.decide import decide
from supervisor.domain.errors import Rejected
from supervisor.domain.evolve import evolve
from supervisor.domain.ids import CameraId, ChildId, DeviceId, LeaseId, NodeId, PeerId, RunId
from supervisor.domain.state import State
from supervisor.domain.values import (
    CameraSettings,
    Fault,
    LeaseKind,
    Limits,
    Mode,
    Picture,
    Reason,
    SourceSummary,
    Transcode,
)

SECOND = 1_000_000_000
NODE, RUN = NodeId("node"), RunId("run-1")
GATE, YARD = CameraId("gate"), CameraId("yard")
TEMPORARY = Reason("unreachable", "connection refused", Fault.TEMPORARY)
FATAL = Reason("not-found", "no such stream", Fault.FATAL)
ASKED = Reason("asked", "somebody asked for it", Fault.NONE)
PICTURE = Picture("h264", 640, 360)


def settings(
    camera: CameraId = GATE,
    url: str = "rtsp://192.0.2.1/main",
    revision: int = 0,
    *,
    device: str | None = None,
    mode: Mode = Mode.ALWAYS,
    group: str = "others",
    substream: CameraId | None = None,
    transcode: Transcode = Transcode.AUTO,
) -> CameraSettings:
    box = DeviceId(device) if device else None
    return CameraSettings(camera, SourceSummary("rtsp", url, revision), box, mode, group, substream, transcode)


@attrs.define
class Story:
    """A domain with a clock that moves on request only. Every step returns the story, or the events."""

    state: State = attrs.field(factory=State)
    now_ns: int = 1_800_000_000 * SECOND
    recorded: list[e.Recorded] = attrs.field(factory=list)

    def when(self, command: c.Command) -> tuple[e.Event, ...]:
        """Decide and fold; raises `Rejected` as the domain does."""
        events = decide(self.state, command, self.now_ns)
        for event in events:
            self.fold(event)
        return events

    def given(self, *commands: c.Command) -> "Story":
        for command in commands:
            self.when(command)
        return self

    def after(self, seconds: float) -> "Story":
        self.now_ns += int(seconds * SECOND)
        return self

    def refuses(self, command: c.Command) -> Rejected:
        """Return the refusal of `command`, and check that the state is unchanged."""
        before = self.state
        try:
            self.when(command)
        except Rejected as rejected:
            assert self.state is before
            return rejected
        raise AssertionError(f"{command} was accepted")

    def fold(self, event: e.Event) -> None:
        """Record an event that no command decided."""
        recorded = e.Recorded(
            seq=self.state.seq + 1,
            wall_ns=self.now_ns,
            mono_ns=self.now_ns,
            node=NODE,
            run=self.state.run or RUN,
            stream=event.stream,
            stream_version=self.state.versions.get(event.stream, 0) + 1,
            event=event,
            cause=None,
            correlation="story",
            principal="test",
        )
        self.recorded.append(recorded)
        self.state = evolve(self.state, recorded)


def running(*cameras: CameraId, limits: Limits | None = None) -> Story:
    """A daemon that has started, with these cameras configured."""
    return Story().given(
        c.StartRun(RUN, NODE, "0", 1),
        c.Configure("test", tuple(settings(name) for name in cameras or (GATE,)), limits or Limits()),
    )


def live(camera: CameraId = GATE) -> Story:
    return running(camera).given(c.ConnectCamera(camera), c.ReportLive(camera, PICTURE))


def child(name: str = "child-1", camera: CameraId = GATE, purpose: str = "source") -> c.PrepareChild:
    return c.PrepareChild(ChildId(name), camera, purpose, ("ffmpeg",))


def lease(
    name: str = "lease-1",
    camera: CameraId = GATE,
    kind: LeaseKind = LeaseKind.VIEWER,
    client: str = "192.0.2.9",
    *,
    ttl_s: float = 30.0,
    exclusive: bool = False,
) -> c.GrantLease:
    return c.GrantLease(LeaseId(name), kind, camera, client, "mine", ttl_s, exclusive)


def peer(name: str = "peer-1", camera: CameraId = GATE, client: str = "192.0.2.9", owner: str = "hash") -> c.OpenPeer:
    return c.OpenPeer(PeerId(name), camera, client, owner)
