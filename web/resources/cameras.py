"""Cameras: their present state, and attempts by an operator."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal

from supervisor.domain import commands as c
from supervisor.domain.access import shown
from supervisor.domain.clients import PREFIX
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, DeviceId
from supervisor.domain.lifecycle import CameraPhase
from supervisor.domain.rights import USER
from supervisor.domain.schedule import standing
from supervisor.domain.state import Camera as Known
from supervisor.domain.state import Privacy as Switched
from supervisor.domain.state import State
from supervisor.domain.values import Mode, Transcode
from supervisor.domain.values import Reason as Why
from supervisor.ports.asking import origin_of
from supervisor.ports.facts import CameraFacts
from supervisor.ports.snapshot import Snapshot
from supervisor.ports.statistics import CameraStatistics

from ..bodies import Strict
from ..client import client
from ..json import Answer, Reason, Time, iso
from ..queries import Query
from ..render_cache import in_turns
from ..routes import Right, Route, Web


class Source(Answer, frozen=True):
    """The source of a camera, without its secrets."""

    kind: str
    url: str


class Privacy(Answer, frozen=True):
    """The time in which a camera is private."""

    since: Time
    until: Time | None
    """When its schedule ends it; null if only a person does."""
    reason: Reason
    """By whom it was switched off."""
    camera: CameraId
    """The camera that was switched off: this one, or one whose substream it is."""


class PrivacySwitch(Strict, frozen=True):
    on: bool


class Camera(Answer, frozen=True):
    """A camera as it is at one instant."""

    id: CameraId
    title: str
    watch: bool
    """Whether its mode is `always`: the page plays such a camera by itself."""
    state: CameraPhase
    """Its phase: [states.md](states.md)."""
    since: Time
    """When it entered its phase."""
    reason: Reason | None
    """Why it is not live."""
    mode: Mode
    device: DeviceId | None
    substream: CameraId | None
    retry_at: Time | None
    """The time of the next attempt; for a queued camera, when a limit expires that its device has set by refusals."""
    retried: bool
    """Whether somebody asked for that attempt."""
    attempts: int
    """Failed attempts in a row."""
    source: Source
    codec: str | None
    """Null when unknown, as its size."""
    width: int | None
    """In pixels."""
    height: int | None
    """In pixels."""
    audio: str
    """The codec of its audio; empty when unknown."""
    viewers: int
    """Its peers and MJPEG streams."""
    fps: float | None
    """Frames per second over the last 2 s. Null in the past, as all counts of this object: the journal has none."""
    bitrate: int | None
    """Bits per second over the last 2 s."""
    frames: int | None
    """Access units received."""
    skipped: int | None
    """Access units that viewers missed."""
    truncated_gops: int | None
    """GOPs that were too long to be kept whole."""
    cut_groups: int | None
    """Old name of `truncated_gops`, in 0.2 only."""
    lost_packets: int | None
    """RTP packets that never arrived."""
    discarded_frames: int | None
    """Access units that were discarded because of lost packets."""
    broken_pictures: int | None
    """Old name of `discarded_frames`, in 0.2 only."""
    last_frame_age_ms: int | None
    """Age of the last access unit in milliseconds."""
    mute: str
    """Why there is no audio, where that needs an explanation."""
    b_frames: bool
    """Whether its stream has B-frames, which browsers show jerkily unless it is transcoded."""
    transcode: Transcode
    """Whether its video is transcoded for viewers."""
    transcoder_cpu: float | None
    """The share of one processor that its video transcoder uses, over about a second; null while none runs."""
    privacy: Privacy | None
    """Null while it is not private."""


class Cameras(Answer, frozen=True):
    cameras: list[Camera]
    """In the order of the configuration."""


class RetryQuery(Query, frozen=True, forbid_unknown_fields=False):
    confirm: Literal["lockout"] | None = None


async def list_cameras(web: Web) -> Cameras:
    return Cameras(cameras=await in_turns(cameras(web.gateway.snapshot())))


async def show_camera(web: Web, name: str) -> Camera:
    snapshot = web.gateway.snapshot()
    known = snapshot.state.cameras.get(CameraId(name))
    if known is None:
        raise Rejected(Refusal.UNKNOWN, f"there is no camera {name!r}")
    return camera_now(known, snapshot, viewer_counts(snapshot.state))


async def show_facts(web: Web, name: str) -> CameraFacts:
    """Show what the camera announced and what was measured. Empty for a camera that was never opened."""
    if not web.gateway.has_camera(CameraId(name)):
        raise Rejected(Refusal.UNKNOWN, f"there is no camera {name!r}")
    return web.gateway.about(CameraId(name)) or CameraFacts()


async def retry_camera(web: Web, name: str, query: RetryQuery) -> Camera | None:
    """Start an attempt now (202). After a refused password this requires `?confirm=lockout`."""
    by, gateway = client(), web.gateway
    await gateway.submit(c.RetryCamera(CameraId(name), by, query.confirm is not None), origin_of(by))
    snapshot = gateway.snapshot()
    known = snapshot.state.cameras.get(CameraId(name))
    return camera_now(known, snapshot, viewer_counts(snapshot.state)) if known else None


async def switch_privacy(web: Web, name: str, body: PrivacySwitch) -> Camera | None:
    """Switch a camera off for privacy, or on again. The same request twice changes nothing more."""
    origin, gateway = origin_of(client()), web.gateway
    by = shown(origin.principal).removeprefix(PREFIX).removeprefix(USER)
    snapshot = gateway.snapshot(cameras=False)
    known = snapshot.state.cameras.get(CameraId(name))
    until_ns = None
    if known is not None and known.settings.privacy:
        says = standing(known.settings.privacy, snapshot.now_ns)
        until_ns = says.ends_ns if body.on else says.begins_ns
    await gateway.submit(c.SetPrivacy(CameraId(name), body.on, by, until_ns), origin)
    snapshot = gateway.snapshot()
    known = snapshot.state.cameras.get(CameraId(name))
    return camera_now(known, snapshot, viewer_counts(snapshot.state)) if known else None


def cameras(snapshot: Snapshot) -> Iterator[Camera]:
    """Yield all cameras in the order of the configuration; each is rendered on demand, in up to 50 µs."""
    viewers = viewer_counts(snapshot.state)
    for known in snapshot.state.in_order():
        yield camera_now(known, snapshot, viewers)


def camera_now(known: Known, snapshot: Snapshot, viewers: Mapping[CameraId, int]) -> Camera:
    """Return one camera of the snapshot; `viewers` is the result of `viewer_counts`."""
    name, state = known.settings.camera, snapshot.state
    why, measured = state.why(name, snapshot.now_ns), snapshot.cameras.get(name)
    retry_at_ns = state.next_attempt_ns(name, snapshot.now_ns)
    muted, switched = mute_of(known, state), state.private(name)
    return camera(known, why, retry_at_ns, measured, viewers.get(name, 0), muted, switched)


def mute_of(known: Known, state: State) -> str:
    """Return the reason why there is no audio at present; empty if no explanation is needed."""
    alert = state.alerts.get(f"sound/{known.settings.camera}")
    if alert is not None:
        return alert.text
    return known.picture.mute if known.picture else ""


def camera(
    known: Known,
    why: Why | None,
    retry_at_ns: int | None,
    statistics: CameraStatistics | None,
    viewers: int,
    mute: str,
    switched: Switched | None = None,
) -> Camera:
    """Return a camera; `why` is the reason why it is not live, and `retry_at_ns` the time of the next attempt."""
    name = known.settings.camera
    picture = known.picture
    age_s = statistics.last_frame_age_s if statistics else None
    return Camera(
        id=name,
        title=name,
        watch=known.settings.mode is Mode.ALWAYS,
        state=known.phase,
        since=iso(known.since_ns),
        reason=Reason.of(why),
        mode=known.settings.mode,
        device=known.settings.device,
        substream=known.settings.substream,
        retry_at=None if retry_at_ns is None else iso(retry_at_ns),
        retried=known.retried,
        attempts=known.attempts,
        source=Source(kind=known.settings.source.kind, url=known.settings.source.url),
        codec=picture.codec if picture else None,
        width=picture.width if picture else None,
        height=picture.height if picture else None,
        audio=picture.audio if picture else "",
        viewers=viewers,
        fps=statistics.fps if statistics else 0.0,
        bitrate=statistics.bitrate if statistics else 0,
        frames=statistics.frames if statistics else 0,
        skipped=statistics.skipped if statistics else 0,
        truncated_gops=statistics.truncated_gops if statistics else 0,
        cut_groups=statistics.truncated_gops if statistics else 0,
        lost_packets=statistics.lost_packets if statistics else 0,
        discarded_frames=statistics.discarded_frames if statistics else 0,
        broken_pictures=statistics.discarded_frames if statistics else 0,
        last_frame_age_ms=None if age_s is None else round(age_s * 1000),
        mute=mute,
        b_frames=picture is not None and picture.b_frames,
        transcode=known.settings.transcode,
        transcoder_cpu=statistics.rendition.cpu if statistics and statistics.rendition else None,
        privacy=privacy(switched) if switched else None,
    )


def privacy(switched: Switched) -> Privacy:
    reason = Reason.of(switched.reason)
    assert reason is not None
    until_ns = switched.until_ns
    return Privacy(
        since=iso(switched.since_ns),
        until=None if until_ns is None else iso(until_ns),
        reason=reason,
        camera=switched.camera,
    )


def viewer_counts(state: State) -> Mapping[CameraId, int]:
    """Return the number of peers of each camera, whatever their leases."""
    peers = list(state.peers.values())  # one pass: a persistent map takes more than 1 µs per item
    under = {peer.lease for peer in peers}
    rows = [lease.camera for lease in state.leases.values() if lease.is_held and lease.lease not in under]
    return Counter([peer.camera for peer in peers] + rows)


ROUTES = (
    Route(
        method="GET",
        path="/api/cameras",
        right=Right.VIEW,
        handler=list_cameras,
        summary="List all cameras.",
        answer=Cameras,
        response="`cameras`: a list of [cameras](#camera), in the order of the configuration",
    ),
    Route(
        method="GET",
        path="/api/cameras/{name}",
        right=Right.VIEW,
        handler=show_camera,
        summary="Show one camera.",
        answer=Camera,
        response="one [camera](#camera)",
        errors=(404,),
    ),
    Route(
        method="GET",
        path="/api/cameras/{name}/about",
        right=Right.INSPECT,
        handler=show_facts,
        summary="Show the facts about one camera: its announcements, its stream, and its deviations from standards.",
        answer=CameraFacts,
        response="the [facts](#camerafacts) of the current connection, or of the last one; empty without any",
        errors=(404,),
    ),
    Route(
        method="POST",
        path="/api/cameras/{name}/retry",
        right=Right.OPERATE,
        handler=retry_camera,
        summary="Try a waiting, failed or quarantined camera again at once.",
        query=RetryQuery,
        request="`confirm=lockout` after a refused password",
        status=202,
        answer=Camera | None,
        response="the [camera](#camera); the attempt begins now",
        errors=(404, 409, 429),
    ),
    Route(
        method="PUT",
        path="/api/cameras/{name}/privacy",
        right=Right.OPERATE,
        handler=switch_privacy,
        summary="Switch a camera off for privacy, or on again.",
        body=PrivacySwitch,
        request="`on`: whether it is private",
        answer=Camera | None,
        response="the [camera](#camera); its `privacy` is null when it is on again",
        errors=(404, 409, 415, 429),
    ),
)
