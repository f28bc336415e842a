"""How the daemon's values look in JSON. Times are ISO 8601 in UTC; no secret and no hash of one is among them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from quart import Response

from supervisor.domain.describe import describe
from supervisor.domain.events import DetectionMade, LeaseGranted, PeerOpened, Recorded
from supervisor.domain.health import Health, PartHealth
from supervisor.domain.ids import CameraId, DeviceId, LeaseId
from supervisor.domain.state import Camera, Child, Lease, Peer, Slot, State, Use
from supervisor.domain.values import Mode, Reason, UseKind, plain
from supervisor.gateway import CameraStatistics, Lent, PeerStatistics, Snapshot
from supervisor.leases import HEARTBEAT_S

if TYPE_CHECKING:
    from supervisor.analysis.causes import Why
    from supervisor.analysis.finding import Step
    from supervisor.analysis.timeline import Lane, Mark, Span, Stretch, Timeline
    from supervisor.past import Moment

encode = msgspec.json.Encoder().encode

Json = dict[str, Any]


def respond(body: object, status: int = 200) -> Response:
    """`body` as JSON, never cached: it was true a moment ago."""
    return Response(encode(body), status=status, content_type="application/json", headers={"Cache-Control": "no-store"})


@lru_cache(maxsize=8192)
def iso(wall_ns: int, timespec: str = "milliseconds") -> str:
    """Nanoseconds since the epoch as ISO 8601 in UTC."""
    seconds, ns = divmod(wall_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=ns // 1000)
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def event(recorded: Recorded) -> Json:
    severity, text = describe(recorded.event)
    body = plain(recorded.event)
    if isinstance(recorded.event, PeerOpened | LeaseGranted):
        del body["owner"]
    return {
        "seq": recorded.seq,
        "time": iso(recorded.wall_ns, "microseconds"),
        "node": recorded.node,
        "run": recorded.run,
        "stream": recorded.stream,
        "stream_version": recorded.stream_version,
        "type": recorded.type,
        "version": recorded.event.version,
        "cause": recorded.cause,
        "correlation": recorded.correlation,
        "principal": recorded.principal,
        "severity": severity.value,
        "text": text,
        "body": body,
    }


def events(batch: Sequence[Recorded]) -> list[Json]:
    return [event(recorded) for recorded in batch]


def cameras(snapshot: Snapshot) -> Iterator[Json]:
    """All cameras, by name; each is made when it is taken, in up to 50 µs."""
    viewers = viewer_counts(snapshot.state)
    for _, known in sorted(snapshot.state.cameras.items()):
        yield camera_now(known, snapshot, viewers)


def camera_now(known: Camera, snapshot: Snapshot, viewers: Mapping[CameraId, int]) -> Json:
    """One of the snapshot's cameras; `viewers` are its `viewer_counts`."""
    name, state = known.settings.camera, snapshot.state
    why, measured = state.why(name, snapshot.now_ns), snapshot.cameras.get(name)
    return camera(known, why, measured, viewers.get(name, 0)) | {"mute": mute_of(known, state)}


def mute_of(known: Camera, state: State) -> str:
    """Why there is no sound just now, where that needs saying."""
    alert = state.alerts.get(f"sound/{known.settings.camera}")
    if alert is not None:
        return alert.text
    return known.picture.mute if known.picture else ""


def camera(known: Camera, why: Reason | None, statistics: CameraStatistics | None, viewers: int) -> Json:
    """`why` says why it is not live."""
    name = known.settings.camera
    picture = known.picture
    age_s = statistics.last_frame_age_s if statistics else None
    return {
        "id": name,
        "title": name,
        "watch": known.settings.mode is Mode.ALWAYS,
        "state": known.phase.value,
        "since": iso(known.since_ns),
        "reason": plain(why),
        "mode": known.settings.mode.value,
        "device": known.settings.device,
        "substream": known.settings.substream,
        "retry_at": None if known.retry_at_ns is None else iso(known.retry_at_ns),
        "attempts": known.attempts,
        "source": {"kind": known.settings.source.kind, "url": known.settings.source.url},
        "codec": picture.codec if picture else None,
        "width": picture.width if picture else None,
        "height": picture.height if picture else None,
        "audio": picture.audio if picture else "",
        "viewers": viewers,
        "fps": statistics.fps if statistics else 0.0,
        "bitrate": statistics.bitrate if statistics else 0,
        "frames": statistics.frames if statistics else 0,
        "skipped": statistics.skipped if statistics else 0,
        "cut_groups": statistics.cut_groups if statistics else 0,
        "lost_packets": statistics.lost_packets if statistics else 0,
        "broken_pictures": statistics.broken_pictures if statistics else 0,
        "last_frame_age_ms": None if age_s is None else round(age_s * 1000),
    }


def viewer_counts(state: State) -> Mapping[CameraId, int]:
    """Connections, whatever leases they live under."""
    peers = list(state.peers.values())  # one walk: a persistent map takes more than a microsecond for each
    under = {peer.lease for peer in peers}
    rows = [lease.camera for lease in state.leases.values() if lease.is_held and lease.lease not in under]
    return Counter([peer.camera for peer in peers] + rows)


def peers(snapshot: Snapshot) -> list[Json]:
    """All viewers, the oldest first."""
    found = sorted(snapshot.state.peers.values(), key=lambda p: (p.opened_ns, p.peer))
    return [peer(known, snapshot.peers.get(known.peer)) for known in found]


def peer(known: Peer, statistics: PeerStatistics | None) -> Json:
    return {
        "id": known.peer,
        "camera": known.camera,
        "client": known.client,
        "lease": known.lease,
        "state": known.phase.value,
        "since": iso(known.since_ns),
        "opened": iso(known.opened_ns),
        "sent": statistics,
    }


def leases(snapshot: Snapshot, expiries: Mapping[LeaseId, int]) -> list[Json]:
    """All live leases, the oldest first; `expires` is null where nobody knows what was heard of their holders."""
    state = snapshot.state
    found = sorted(state.leases.values(), key=lambda known: (known.since_ns, known.lease))
    peers = sorted(state.peers.values(), key=lambda known: (known.opened_ns, known.peer))
    under: dict[LeaseId, list[str]] = {}
    for known in peers:
        under.setdefault(known.lease, []).append(known.peer)
    return [lease(each, under.get(each.lease, []), expiries.get(each.lease), _ttl_s(each, state)) for each in found]


def suggestion(snapshot: Snapshot) -> Json | None:
    """The suggestion that all pages show now, for the time that remains; null when it is over, or there is none."""
    shown = snapshot.state.suggestion
    if shown is None or shown.until_ns <= snapshot.now_ns:
        return None
    return {
        "lease": shown.lease,
        "camera": shown.camera,
        "label": shown.label,
        "score": shown.score,
        "since": iso(shown.since_ns),
        "until": iso(shown.until_ns),
        "remaining_s": round((shown.until_ns - snapshot.now_ns) / 1e9, 3),
        "detection": shown.detection,
    }


def detection(recorded: Recorded, has_image: bool) -> Json:
    """`image` is relative to `/api/detections`, so it is right below any prefix of a proxy."""
    made = recorded.event
    assert isinstance(made, DetectionMade)
    return {
        "detection": made.detection,
        "camera": made.camera,
        "time": iso(made.at_ns),
        "label": made.label,
        "score": made.score,
        "box": list(made.box) or None,
        "by": made.by,
        "suggested": made.suggested,
        "why": made.why,
        "image": f"detections/{made.detection}/image.jpg" if has_image else None,
    }


def _ttl_s(known: Lease, state: State) -> float:
    """How long it lives without anything being heard: of its holder, or of the connection that holds it."""
    if known.until_ns is not None and not known.ttl_s:
        return (known.until_ns - known.since_ns) / 1e9
    return known.ttl_s or state.limits.disconnected_after_s


def lent(own: Lent) -> Json:
    """As its holder sees it; the secret is among it only when the lease was just granted."""
    body = lease(own.lease, own.peers, own.expires_ns, own.lease.ttl_s)
    return {**body, "secret": own.secret} if own.secret else body


def lease(known: Lease, under: Sequence[str], expires_ns: int | None, ttl_s: float) -> Json:
    return {
        "lease": known.lease,
        "kind": known.kind.value,
        "camera": known.camera,
        "client": known.client,
        "purpose": known.purpose,
        "exclusive": known.exclusive,
        "since": iso(known.since_ns),
        "expires": None if expires_ns is None else iso(expires_ns),
        "until": None if known.until_ns is None else iso(known.until_ns),
        "heartbeat_s": HEARTBEAT_S,
        "ttl_s": ttl_s,
        "peers": under,
    }


def uses(state: State) -> list[Json]:
    """All who want a camera open and are no WebRTC viewers, the oldest first."""
    found = [use(known.use, known, known.kind) for known in state.uses.values()]
    found += [use(known.lease, known, UseKind.MJPEG) for known in state.rows()]
    return sorted(found, key=lambda use: (use["since"], use["id"]))


def use(name: str, known: Use | Lease, kind: UseKind) -> Json:
    return {
        "id": name,
        "camera": known.camera,
        "client": known.client,
        "kind": kind.value,
        "since": iso(known.since_ns),
    }


def devices(snapshot: Snapshot) -> list[Json]:
    """All devices that have a budget, or somebody connected or waiting."""
    state = snapshot.state
    names = {slot.device for slot in state.slots.values()} | set(state.devices)
    return [device(name, state, snapshot.now_ns) for name in sorted(names)]


def device(name: DeviceId, state: State, now_ns: int) -> Json:
    """`max_connections` is null where neither the configuration nor the device has named one."""
    configured, wanted = state.devices.get(name), state.uses_of_cameras()
    return {
        "id": name,
        "max_connections": state.budget(name, now_ns),
        "configured": configured.max_connections if configured else None,
        "holders": [place(slot, slot.use) for slot in state.slots_of(name, held=True)],
        "waiting": [place(slot, wanted.get(slot.camera, slot.use)) for slot in state.slots_of(name, held=False)],
    }


def place(slot: Slot, use: str) -> Json:
    return {"camera": slot.camera, "use": use, "since": iso(slot.since_ns)}


def processes(snapshot: Snapshot, parent: int | None) -> list[Json]:
    """All child processes, the oldest first; `parent` is the daemon's pid, as far as it is known."""
    children = sorted(snapshot.state.children.values(), key=lambda c: (c.started_ns, c.child))
    return [process(known, parent, snapshot.now_ns) for known in children]


def process(known: Child, parent: int | None, now_ns: int) -> Json:
    return {
        "id": known.child,
        "pid": known.pid,
        "parent": parent,
        "camera": known.camera,
        "purpose": known.purpose,
        "state": known.phase.value,
        "started": iso(known.started_ns),
        "age_s": round((now_ns - known.started_ns) / 1e9, 1),
        "arguments": list(known.arguments),
    }


def standing(snapshot: Snapshot, expiries: Mapping[LeaseId, int]) -> Json:
    """How things stand."""
    return dict(parts(snapshot, expiries))


def parts(snapshot: Snapshot, expiries: Mapping[LeaseId, int]) -> Iterator[tuple[str, Any]]:
    """The fields of `standing`, each made when it is taken: all together take a while where many are.

    The cameras are an iterator, for the same reason.
    """
    yield "type", "state"
    yield "now", iso(snapshot.now_ns)
    yield "cameras", cameras(snapshot)
    yield "peers", peers(snapshot)
    yield "uses", uses(snapshot.state)
    yield "leases", leases(snapshot, expiries)
    yield "suggestion", suggestion(snapshot)
    yield "rooms", rooms(snapshot.state)
    yield "health", health(snapshot.health)


UNKNOWN = dict.fromkeys(("fps", "bitrate", "frames", "skipped", "cut_groups", "lost_packets", "broken_pictures"))
"""Statistics of cameras, which are in no journal."""


def moment(then: "Moment") -> Json:
    """As `standing`, with all else that the page asks for, and with the bounds of the journal."""
    body, snapshot = standing(then.snapshot, {}), then.snapshot
    body["cameras"] = [{**camera, **UNKNOWN} for camera in body["cameras"]]
    return {
        **body,
        "processes": processes(snapshot, None),
        "devices": devices(snapshot),
        "seq": then.event.seq,
        "event": event(then.event),
        "first": bound(then.first),
        "last": bound(then.last),
    }


def bound(recorded: Recorded) -> Json:
    return {"seq": recorded.seq, "time": iso(recorded.wall_ns, "microseconds")}


def why(found: "Why") -> Json:
    """`cut`: the event that the first step follows from, where the journal has it no more."""
    return {"seq": found.seq, "cut": found.cut, "steps": [timed(step) for step in found.steps]}


def timeline(drawn: "Timeline") -> Json:
    """Times of spans, marks and gaps are milliseconds since the epoch: a page draws thousands of them."""
    return {
        "from": drawn.since_ns / 1e6,
        "to": drawn.until_ns / 1e6,
        "lanes": [lane(each) for each in drawn.lanes],
        "marks": [mark(each) for each in drawn.marks],
        "gaps": [stretch(gap) for gap in drawn.gaps],
    }


def lane(drawn: "Lane") -> Json:
    return {**msgspec.structs.asdict(drawn), "spans": [stretch(span) for span in drawn.spans]}


def mark(drawn: "Mark") -> Json:
    fields = msgspec.structs.asdict(drawn)
    return {**fields, "at": fields.pop("wall_ns") / 1e6}


def timed(step: "Step") -> Json:
    return {**msgspec.structs.asdict(step), "time": iso(step.wall_ns, "microseconds")}


def stretch(part: "Span | Stretch") -> Json:
    fields = msgspec.structs.asdict(part)
    return {**fields, "begin": fields.pop("begin_ns") / 1e6, "end": fields.pop("end_ns") / 1e6}


def rooms(state: State) -> list[Json]:
    """All rooms, the oldest first, with who is in them, in the order in which they came."""
    return [
        {
            "id": room.room,
            "opened": iso(room.opened_ns),
            "empty_since": iso(room.empty_since_ns) if room.empty_since_ns else None,
            "participants": [
                {"id": name, "client": known.client, "since": iso(known.since_ns)}
                for name in room.participants
                if (known := state.participants.get(name))
            ],
        }
        for room in sorted(state.rooms.values(), key=lambda room: (room.opened_ns, room.room))
    ]


def health(verdict: Health) -> Json:
    return {"verdict": verdict.verdict.value, "parts": [health_of(part) for part in verdict.parts]}


def health_of(part: PartHealth) -> Json:
    return {"part": part.part, "verdict": part.verdict.value, "reason": part.reason}
