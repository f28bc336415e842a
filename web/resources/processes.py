"""Child processes of the daemon."""

from supervisor.domain.ids import CameraId, ChildId
from supervisor.domain.lifecycle import ChildPhase
from supervisor.domain.rendition import transcoding
from supervisor.domain.restart import NO_SHARED_MEMORY
from supervisor.domain.state import DAEMON, VIDEO, Camera, Child, State
from supervisor.ports.snapshot import Snapshot
from supervisor.ports.statistics import DaemonStatistics

from ..json import Answer, Time, iso
from ..routes import Right, Route, Web


class Process(Answer, frozen=True):
    """A child process of the daemon."""

    id: ChildId
    pid: int | None
    """Null until it has started."""
    parent: int | None
    """The pid of the daemon; null in the past."""
    camera: CameraId
    """Empty for one that belongs to no camera."""
    purpose: str
    cpu: float | None
    """The share of one processor that it uses, over about a second; known of video transcoders only."""
    state: ChildPhase
    started: Time
    age_s: float
    arguments: list[str]


class Processes(Answer, frozen=True):
    processes: list[Process]
    """The oldest first."""


class Provider(Answer, frozen=True):
    """A program of the section `daemons`."""

    name: str
    provides: str
    """The shared memory that it makes; empty: none."""
    is_there: bool
    """Whether that exists."""
    state: str
    """`running`, `backoff` or `quarantined`."""
    reason: str
    """Why it ended the last time, until it has run for 10 s."""
    starts: int
    """Since banken's start, or the last change of its settings."""
    pid: int | None
    """Of the guardian above it; null while it does not run."""
    waiting: list[CameraId]
    """The cameras that wait for its shared memory."""


class Providers(Answer, frozen=True):
    providers: list[Provider]
    """In the order of their first start."""


async def list_providers(web: Web) -> Providers:
    snapshot = web.gateway.snapshot(cameras=False)
    return Providers(providers=[provider(each, snapshot.state) for each in snapshot.daemons])


def provider(known: DaemonStatistics, state: State) -> Provider:
    child = next((each for each in state.children.values() if each.purpose == f"{DAEMON}/{known.name}"), None)
    waiting = [camera for camera in state.in_order() if _waits(camera, known.provides)]
    return Provider(
        name=known.name,
        provides=known.provides,
        is_there=known.is_there,
        state=known.state,
        reason=known.reason,
        starts=known.starts,
        pid=child.pid if child is not None else None,
        waiting=[camera.settings.camera for camera in waiting],
    )


def _waits(camera: Camera, provides: str) -> bool:
    code = camera.reason.code if camera.reason is not None else ""
    return code == NO_SHARED_MEMORY and camera.settings.source.url == f"shm:{provides}"


async def list_processes(web: Web) -> Processes:
    transcoded = bool(transcoding(web.gateway.state))
    return Processes(processes=processes(web.gateway.snapshot(cameras=transcoded)))


def processes(snapshot: Snapshot) -> list[Process]:
    """Return all child processes, the oldest first."""
    children = sorted(snapshot.state.children.values(), key=lambda c: (c.started_ns, c.child))
    return [process(known, snapshot.pid, snapshot.now_ns, share_of(known, snapshot)) for known in children]


def share_of(known: Child, snapshot: Snapshot) -> float | None:
    """Return the share of a processor that a video transcoder uses."""
    measured = snapshot.cameras.get(known.camera) if known.purpose == VIDEO else None
    return measured.rendition.cpu if measured and measured.rendition else None


def process(known: Child, parent: int | None, now_ns: int, cpu: float | None = None) -> Process:
    return Process(
        id=known.child,
        pid=known.pid,
        parent=parent,
        camera=known.camera,
        purpose=known.purpose,
        cpu=cpu,
        state=known.phase,
        started=iso(known.started_ns),
        age_s=round((now_ns - known.started_ns) / 1e9, 1),
        arguments=list(known.arguments),
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/processes",
        right=Right.INSPECT,
        handler=list_processes,
        summary="List the child processes, the oldest first.",
        answer=Processes,
        response="`processes`: a list of [processes](#process)",
    ),
    Route(
        method="GET",
        path="/api/providers",
        right=Right.READ,
        handler=list_providers,
        summary="List the programs of the section `daemons`.",
        answer=Providers,
        response="`providers`: a list of [programs](#provider)",
    ),
)
