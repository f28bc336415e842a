"""Random sites, roles, scopes and shares: every route and every WebSocket is asked, and every byte is searched.

Rules of this file:
- A world is made from its seed alone: cameras with unmistakable names, devices and addresses, and a random past.
- A secret is a word that only a camera outside the scope has: its name, its device, its address.
- A request that names a camera outside the scope is sent again with a name of the same length that no camera has. Both
  answers must be the same, byte for byte.
- A route or a WebSocket that nobody here asks is an error (`unasked`).
"""

import json
import random
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import trio

from supervisor.domain import commands as c
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import (
    CameraId,
    ChildId,
    DetectionId,
    DeviceId,
    LeaseId,
    ParticipantId,
    PeerId,
    RoomId,
    TokenId,
    UseId,
    UserId,
)  # fmt: skip
from supervisor.domain.lifecycle import OPENABLE
from supervisor.domain.monitors import Reading
from supervisor.domain.rights import ALL, OF_SHARES, RIGHTS, Right, Role, Scope
from supervisor.domain.scoped_events import shown
from supervisor.domain.state import State
from supervisor.domain.values import (
    CameraSettings,
    DeviceSettings,
    Fault,
    LeaseKind,
    Limits,
    Mode,
    Policy,
    Reason,
    SourceSummary,
    UseKind,
)  # fmt: skip
from supervisor.ports.archives import ArchiveRoom, CameraRoom
from supervisor.ports.decisions import Origin
from supervisor.ports.facts import CameraFacts
from supervisor.ports.past import Past
from supervisor.ports.statistics import CameraStatistics, DaemonStatistics, DetectorStatistics, PeerStatistics
from supervisor.ports.viewing import Jpeg
from supervisor.services.accounts import Accounts
from supervisor.services.detections import Detections
from supervisor.services.gateway import Gateway
from supervisor.services.journal_reader import JournalReader
from supervisor.services.leases import Leases
from supervisor.services.shares import Shares
from web import router
from web.app import WebSettings, create_app
from web.loop_scheduler import METER, LoopScheduler, Meter
from web.sockets import Sockets

from .accounts import ANNA, ME, PASSWORDS, PlainHasher
from .core import Core, MemoryReader, open_core
from .domain import PICTURE
from .journals import write_journal
from .patience import give_up_after
from .site import OFFER, FakeActors

LETTERS = "bcdfghjklmnpqrstvwxz"
WORDS = ("person", "car")
OF_SOME_CAMERAS = [role for role in Role if role is not Role.ADMIN]
LEAVES = "DELETE /api/session"
"""The route after which a visitor has no rights."""


@attrs.frozen
class Place:
    """A camera and the words that nobody else has."""

    name: CameraId
    device: str
    host: str
    group: str
    substream: CameraId | None

    @property
    def settings(self) -> CameraSettings:
        source = SourceSummary("rtsp", f"rtsp://{self.host}/stream1")
        return CameraSettings(self.name, source, DeviceId(self.device), Mode.ON_DEMAND, self.group, self.substream)


@attrs.define
class ScopeActors(FakeActors):
    """As the real actors for every camera of the state: pictures, or the reason why one cannot be had."""

    async def take_picture(
        self, camera: CameraId, client: str, max_age_s: float | None, *, open_it: bool = True
    ) -> Jpeg:
        await trio.lowlevel.checkpoint()
        kernel = self.kernel
        if camera not in kernel.state.cameras:
            raise Rejected(Refusal.UNKNOWN, f"there is no camera {camera!r}")
        why = kernel.state.why(camera, kernel.clock.wall_ns())
        if why is not None:
            raise Rejected(Refusal.UNAVAILABLE, f"no picture within 5 s: {why.text}", 1.0)
        return Jpeg(self.picture, 1, 1.0)

    async def watch_pictures(self, camera: CameraId, client: str) -> AsyncGenerator[Jpeg, None]:
        yield await self.take_picture(camera, client, None)

    def statistics(self) -> Mapping[CameraId, CameraStatistics]:
        return {name: CameraStatistics(25.0, 1000, 1, 1, 0, 0.1) for name in self.kernel.state.cameras}

    def peer_statistics(self) -> Mapping[PeerId, PeerStatistics]:
        return {
            name: PeerStatistics(1, 1, 0, 0, 0, 0, 0, 0, 0.0, None, None, False) for name in self.kernel.state.peers
        }

    def about(self, camera: CameraId) -> CameraFacts | None:
        known = self.kernel.state.cameras.get(camera)
        return CameraFacts(server=known.settings.source.url) if known else None


def room_of(places: Sequence[Place]) -> ArchiveRoom:
    """An archive with footage of every camera."""
    cameras = tuple(CameraRoom(place.name, 1000, 10.0, 1) for place in places)
    return ArchiveRoom("recordings", 1000 * len(places), 0, 0, 10**9, 10.0, 9.0, None, 1, 0.0, "", cameras)


@attrs.frozen
class WorldReader(MemoryReader):
    """Events from memory, answers about the past from a folder."""

    past: JournalReader

    async def ask(self, question: Callable[[Past], Any]) -> Any:
        return await self.past.ask(question)


@attrs.frozen
class World:
    core: Core
    gateway: Gateway
    places: Sequence[Place]
    """Configured now, or removed."""


@attrs.frozen
class Program:
    """A program with a token, or a browser that has opened the link of a share."""

    rights: frozenset[Right]
    scope: Scope
    """All that it may know of; of a share, what its maker has of it now."""
    headers: Mapping[str, str]

    def may(self, right: Right) -> bool:
        return right in self.rights


class Switch:
    """The gateway of the application: another one for each world."""

    now: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.now, name)


@attrs.define
class Tally:
    """Of all principals."""

    principals: int = 0
    requests: int = 0
    sockets: int = 0
    bytes: int = 0
    compared: int = 0
    """Pairs of a camera outside the scope and one that does not exist."""
    hidden: int = 0
    """Cameras outside the scopes, summed."""
    leaks: list[str] = attrs.field(factory=list)
    asked: set[str] = attrs.field(factory=set)
    """The routes."""


def word(dice: random.Random, kind: str) -> str:
    return f"{kind}-{''.join(dice.choices(LETTERS, k=10))}"


def make_places(dice: random.Random) -> list[Place]:
    """Up to a dozen cameras, of half as many devices, in three groups; some are a substream of another one."""
    count = dice.randint(3, 12)
    devices = [word(dice, "dev") for _ in range(max(2, count // 2))]
    groups = [word(dice, "grp") for _ in range(3)]
    names = [CameraId(word(dice, "cam")) for _ in range(count)]
    return [
        Place(
            name,
            dice.choice(devices),
            f"{word(dice, 'host')}.example",
            dice.choice(groups),
            dice.choice(names[number + 1 :]) if number + 1 < count and dice.random() < 0.3 else None,
        )
        for number, name in enumerate(names)
    ]


def configuration(places: Sequence[Place], dice: random.Random) -> c.Configure:
    devices = tuple(DeviceSettings(DeviceId(name), 1) for name in sorted({each.device for each in places}))
    limits = Limits(journaled_burst=10**6, journaled_rate=1e6)
    names = {each.name for each in places}
    cameras = tuple(
        attrs.evolve(each, substream=each.substream if each.substream in names else None).settings for each in places
    )
    return c.Configure(
        "/etc/banken.yaml", cameras, limits, devices, policy=Policy(score=0.1, at_once=dice.randint(1, 2))
    )


def happenings(places: Sequence[Place], dice: random.Random, now_ns: int) -> list[Sequence[c.Command]]:
    """A random past, in steps; where the domain refuses a command, its step ends."""
    found: list[Sequence[c.Command]] = []
    for number in range(dice.randint(20, 60)):
        place, other = dice.choice(places), dice.choice(places)
        name, text = place.name, f"{place.host} does not answer"
        lost = Reason(dice.choice(["full", "unreachable", "no-answer"]), text, dice.choice(list(Fault)[:2]))
        ended = Reason("ended", text)
        child, peer, lease, use = (f"{kind}-{number}" for kind in ("child", "peer", "lease", "use"))
        kind = dice.choice(["sound", "decoder", "b-frames", "children", "go2rtc", "patrol", "crash", "stderr"])
        detection = DetectionId(f"detection-{number}")
        seen = (now_ns, dice.choice(WORDS), 0.5, place.host)
        one: Sequence[Sequence[c.Command]] = (
            [c.TakeSlot(name), c.ConnectCamera(name), c.ReportLive(name, PICTURE)],
            [c.TakeSlot(name), c.ConnectCamera(name), c.ReportLoss(name, lost, 0.5)],
            [c.TakeSlot(name), c.TakeSlot(other.name)],
            [c.FreeSlot(name, ended)],
            [c.PrepareChild(ChildId(child), name, "source", ("ffmpeg", place.host)),
             c.ReportChildStarted(ChildId(child), 4000 + number, 1)],
            [c.PrepareChild(ChildId(child), name, "source", ("ffmpeg", place.host)),
             c.ReportChildEnded(ChildId(child), 1, None, ended, (f"{place.host}: refused",))],
            [c.ReportChildFound(ChildId(child), name, 5000 + number, 1, ("ffmpeg", place.host))],
            [c.GrantLease(LeaseId(lease), LeaseKind.VIEWER, name, "192.0.2.7", "hash", 30.0, purpose=f"to see {name}")],
            [c.GrantLease(LeaseId(lease), LeaseKind.MODAL, name, "192.0.2.7", "hash", 30.0, exclusive=True)],
            [c.OpenPeer(PeerId(peer), name, "192.0.2.8", "hash"), c.ReportPeerConnected(PeerId(peer))],
            [c.OpenPeer(PeerId(peer), name, "192.0.2.8", "hash"), c.ReportPeerClosed(PeerId(peer), ended)],
            [c.ReportRefusal(name, LeaseKind.VIEWER, "192.0.2.8", Reason("not-lent", f"{name} is full"))],
            [c.BeginUse(UseId(use), name, UseKind.SNAPSHOT, "192.0.2.9")],
            [c.BeginUse(UseId(use), name, UseKind.PATROL, "patrol"), c.EndUse(UseId(use), lost)],
            [c.ReportDetection(detection, LeaseId(lease), name, *seen, key=str(number % 5))],
            [c.RaiseAlert(f"{kind}/{name}", f"{name} at {place.host} is odd")],
            [c.RaiseAlert(f"{kind}/{name}", f"{name} is odd"), c.ClearAlert(f"{kind}/{name}")],
            [c.ReportPatrol(place.group, 1, (name, other.name), 3.0, 0)],
            [c.RefuseConfiguration("/etc/banken.yaml", (f"banken.yaml:3: {name} of {place.device} is odd",))],
            [c.ReportOddity(name, "cseq", f"{place.host} answers with another CSeq", "taken in order")],
            [c.RetryCamera(name, "192.0.2.9")],
            [c.SetPrivacy(name, True, "anna")],
            [c.SetPrivacy(name, True, "anna"), c.SetPrivacy(name, False, "anna")],
            [c.OpenRoom(RoomId(f"room-{number}"), ParticipantId(f"one-{number}"), "192.0.2.9")],
            [c.MakeToken(TokenId(f"token-{number}"), Role.WATCHER, Scope(cameras=(name,)), "hash")],
            [configuration(dice.sample(list(places), max(1, len(places) - 1)), dice)],
            [configuration(places, dice)],
        )  # fmt: skip
        found.append(dice.choice(one))
    return found


def _is_openable(state: State, camera: CameraId) -> bool:
    return camera in state.cameras and state.cameras[camera].phase in OPENABLE


@asynccontextmanager
async def open_world(seed: int) -> AsyncIterator[World]:
    dice = random.Random(seed)
    places = make_places(dice)
    with tempfile.TemporaryDirectory() as folder:
        async with open_core(configuration=configuration(places, dice)) as core:
            kernel = core.kernel
            accounts = Accounts(kernel, Path(folder) / "access.json", PlainHasher)
            await accounts.restore()
            await accounts.add_user(ANNA, Role.ADMIN, ALL, PASSWORDS[ANNA], ME)
            for step in happenings(places, dice, kernel.clock.wall_ns()):
                with suppress(Rejected):
                    for command in step:
                        if isinstance(command, c.TakeSlot) and not _is_openable(kernel.state, command.camera):
                            break  # an actor takes no slot then
                        kernel.emit(command)
            actors, detections = ScopeActors(kernel), Detections(kernel)
            actors.detectors = (DetectorStatistics(places[0].host, "url", "running", places[0].name, 1, 1, {}, None),)
            actors.daemons = (DaemonStatistics(places[0].host, places[0].name, True, "running", "", 1),)
            actors.rooms = (room_of(places),)
            actors.sizes = dict.fromkeys((place.name for place in places), 1000)
            kernel.emit(
                c.PinStretch("kept", 0, 1, tuple(actors.sizes), 9, places[0].name, "local"), origin=Origin("local")
            )
            for place in places:
                detections.thumbnails.keep(place.name, DetectionId(f"kept-{place.name}"), b"a thumbnail")
            write_journal(Path(folder) / "journal", list(await core.stored()))
            reader = WorldReader(core.disk, JournalReader(Path(folder) / "journal", running=True))
            readings = {"disk": Reading(0.95, f"95 % full because of {places[0].name}")}
            gateway = Gateway(
                kernel, core.journal, core.feed, reader, actors, Leases(kernel), detections, readings=readings,
                accounts=accounts, shares=Shares(kernel, accounts), refuse_not_live=dice.random() < 0.5,
            )  # fmt: skip
            yield World(core, gateway, places)
            reader.past.close()


@attrs.frozen
class Heard:
    """An answer: its headers without the date."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@attrs.frozen
class Rig:
    """One application for all worlds. It is called as the server calls it, without a connection."""

    app: Any
    switch: Switch

    async def request(self, method: str, path: str, body: str, headers: Mapping[str, str]) -> Heard:
        sent: list[dict[str, Any]] = []
        inbox = [{"type": "http.request", "body": body.encode(), "more_body": False}]

        async def receive() -> dict[str, Any]:
            if not inbox:
                await trio.sleep_forever()
            return inbox.pop()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        length = {"Content-Length": str(len(body.encode()))} if body else {}
        with give_up_after(15):
            await self.app(_scope("http", method, path, {**length, **headers}), receive, send)
        start, *rest = sent
        kept = sorted((name.lower(), value) for name, value in start["headers"] if name.lower() != b"date")
        return Heard(start["status"], tuple(kept), b"".join(each.get("body", b"") for each in rest))

    @asynccontextmanager
    async def socket(
        self, path: str, headers: Mapping[str, str], say: str, protocols: Sequence[str] = ()
    ) -> AsyncIterator[trio.MemoryReceiveChannel[str]]:
        """The texts that come over a WebSocket, on which the client says one thing."""
        said, texts = trio.open_memory_channel[dict[str, Any]](2), trio.open_memory_channel[str](1)
        said[0].send_nowait({"type": "websocket.connect"})
        said[0].send_nowait({"type": "websocket.receive", "text": say})

        async def send(message: dict[str, Any]) -> None:
            assert message["type"] in ("websocket.accept", "websocket.send"), message
            if message["type"] == "websocket.send":
                await texts[0].send(message["text"])

        scope = _scope("websocket", "GET", path, headers) | {"subprotocols": list(protocols)}
        with give_up_after(15):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.app, scope, said[1].receive, send)
                yield texts[1]
                nursery.cancel_scope.cancel()


def _scope(kind: str, method: str, target: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """An ASGI scope of a client of this machine, whose work costs nothing."""
    path, _, query = target.partition("?")
    sent = {"Host": "127.0.0.1", **headers}
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 80),
        "extensions": {},
        "state": {METER: Meter(LoopScheduler(lambda: 0.0), None)},
    }


@asynccontextmanager
async def open_rig() -> AsyncIterator[Rig]:
    switch = Switch()
    async with open_world(0) as world:
        switch.now = world.gateway
        yield Rig(create_app(switch, WebSettings(), Sockets()), switch)


async def random_principal(dice: random.Random, world: World) -> Program:
    places, accounts, shares = world.places, world.gateway.accounts, world.gateway.shares
    assert accounts is not None
    assert shares is not None
    role = dice.choice([Role.OPERATOR, Role.OPERATOR, *OF_SOME_CAMERAS])
    cameras = tuple(each.name for each in places if dice.random() < dice.choice([0.1, 0.5]))
    groups = tuple(dice.sample(sorted({each.group for each in places}), dice.choice([0, 0, 1])))
    scope = Scope(cameras=cameras, groups=groups)
    if (cameras or groups) and dice.random() < 0.3:
        return await random_visitor(dice, world, scope)
    token = await accounts.make_token(TokenId(word(dice, "token")), role, scope, None, ME)
    return Program(RIGHTS[role], scope, {"Authorization": f"Bearer {token}"})


async def random_visitor(dice: random.Random, world: World, scope: Scope) -> Program:
    """A browser that has opened a link, made by a user who has this scope and perhaps more."""
    accounts, shares, state = world.gateway.accounts, world.gateway.shares, world.core.kernel.state
    assert accounts is not None
    assert shares is not None
    known = {known.settings.group for known in state.cameras.values()}
    named = Scope(
        cameras=tuple(name for name in scope.cameras if name in state.cameras),
        groups=tuple(name for name in scope.groups if name in known),
    )
    if not (named.cameras or named.groups):
        named = Scope(cameras=(dice.choice(state.order),))
    more = tuple(each.name for each in world.places if dice.random() < 0.3)
    maker, role = UserId(word(dice, "user")), dice.choice([Role.WATCHER, Role.OPERATOR])
    wide = Scope(cameras=(*named.cameras, *more), groups=named.groups)
    await accounts.add_user(maker, role, wide, PASSWORDS[ANNA], ME)
    opened = await accounts.log_in(maker, PASSWORDS[ANNA], "127.0.0.1", "a browser")
    made = await shares.make(named, 3600.0, 1, "", Origin(f"user:{maker}/{opened.session.session}"))
    entered = await shares.enter(made.secret, "127.0.0.1", "a browser", "")
    own_page = {"Cookie": f"banken={entered.secret}", "Sec-Fetch-Site": "same-origin"}
    return Program(OF_SHARES, named, own_page)


def visible_of(world: World, scope: Scope) -> frozenset[CameraId]:
    """The cameras of the scope with their substreams, found without the code that is tested."""
    cameras = {name: known.settings for name, known in world.core.kernel.state.cameras.items()}
    found = {name for name, known in cameras.items() if name in scope.cameras or known.group in scope.groups}
    while more := {cameras[name].substream for name in found} & set(cameras) - found:
        found |= more  # type: ignore[arg-type]
    return frozenset(found)


def secrets_of(world: World, who: Program) -> list[bytes]:
    """The words of cameras that are not visible, and that no visible one shares. The own scope may be known."""
    visible = visible_of(world, who.scope)
    ours = [each for each in world.places if each.name in visible]
    shared = {word for each in ours for word in (each.name, each.device, each.host)} | set(who.scope.cameras)
    theirs = {word for each in world.places for word in (each.name, each.device, each.host)}
    return sorted(word.encode() for word in theirs - shared)


@attrs.frozen
class Ask:
    """One request. `{camera}` is replaced by a name."""

    route: str
    method: str
    path: str
    body: str = ""
    headers: Mapping[str, str] = attrs.field(factory=dict)


def asks(world: World, dice: random.Random) -> list[Ask]:
    """At least one request for each route."""
    state, rows = world.core.kernel.state, world.core.disk.rows

    def some(names: Any, nothing: str = "nothing") -> str:
        return dice.choice(sorted(names)) if names and dice.random() < 0.8 else nothing

    event = dice.choice(rows)
    typed = {"Content-Type": "application/json"}
    seen = {"camera": "{camera}", "time": "2026-01-01T00:00:00Z", "label": "person", "score": 0.5, "key": "1"}
    keys = {
        "seq": str(event.seq),
        "peer": some(state.peers),
        "lease": some(state.leases),
        "session": f"{some(state.peers)}.secret",
        "detection": f"kept-{dice.choice(world.places).name}",
        "name": "{camera}",
        "camera": "{camera}",
        "user": "nobody",
        "token": "nothing",
        "share": some(state.shares),
        "pin": some(state.pins),
    }
    queries = {
        "/api/events": [
            "?limit=1000", "?camera={camera}", "?stream=camera/{camera}", "?stream=*{camera}*", "?order=newest&limit=3",
            f"?correlation={event.correlation}", f"?type={event.type}", f"?after={event.seq}&limit=2",
            f"?before={event.seq}&limit=2", "?principal=system",
        ],
        "/api/state": [f"?seq={event.seq}", ""],
        "/api/timeline": ["", "?camera={camera}"],
        "/api/availability": ["", "?camera={camera}", "?from=1h", "?from=1h&camera={camera}"],
        "/api/failures": [f"?after={event.seq}", f"?before={event.seq}"],
        "/api/detections": ["", "?camera={camera}", "?label=person"],
        "/cameras/{camera}/snapshot.jpg": ["", "?cached"],
        "/api/cameras/{name}/retry": ["", "?confirm=lockout"],
        "/start": ["?camera={camera}&for=10m", ""],
        "/stop": ["?camera={camera}", ""],
        "/dashboard/{name:path}": [""],
    }  # fmt: skip
    bodies: dict[str, tuple[str, Mapping[str, str]]] = {
        "POST /whep/{camera}": (OFFER, {"Content-Type": "application/sdp"}),
        "PATCH /whep/{camera}/{session}": ("a=x", {"Content-Type": "application/trickle-ice-sdpfrag"}),
        "POST /api/leases": ('{"kind": "viewer", "camera": "{camera}"}', typed),
        "PUT /api/leases/{lease}": ("{}", typed | {"Banken-Lease": f"{keys['lease']}.secret"}),
        "PUT /api/cameras/{name}/privacy": (json.dumps({"on": dice.random() < 0.5}), typed),
        "POST /api/recordings": ('{"camera": "{camera}", "for": "10m"}', typed),
        "POST /offer": (json.dumps({"sdp": OFFER, "camera": "{camera}"}), typed),
        "POST /api/detections": (json.dumps(seen), typed),
        "POST /api/shares": ('{"cameras": ["{camera}"], "for_s": 3600, "viewers": 1}', typed),
        "POST /api/pins": (json.dumps({"pin": "a", "from": "2026-01-01T00:00:00Z", "cameras": ["{camera}"]}), typed),
        "POST /api/session/share": ('{"secret": "a guess"}', typed),
    }
    found = []
    for resource in router.load():
        for route in resource.routes:
            if route.is_websocket:
                continue
            row = f"{route.method} {route.path}"
            body, headers = bodies.get(row, ("", {}))
            for query in queries.get(route.path, [""]):
                path = f"{route.path}{query}"
                for name, value in keys.items():
                    path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:int}}", value)
                path = path.replace("{name:path}", "index.html")
                found.append(Ask(row, route.method, path, body, headers))
    return found


def unasked(asked: set[str]) -> set[str]:
    """The routes of the router that were not asked."""
    routes = {f"{route.method} {route.path}" for resource in router.load() for route in resource.routes}
    return routes - asked


@attrs.frozen
class Questioner:
    """Asks one world everything as one principal."""

    rig: Rig
    world: World
    who: Program
    dice: random.Random
    tally: Tally
    visible: frozenset[CameraId]
    secrets: Sequence[bytes]
    share: float
    """Of the requests, and of the WebSockets; chosen at random."""

    async def run(self) -> None:
        self.rig.switch.now = self.world.gateway
        outside = [each.name for each in self.world.places if each.name not in self.visible]
        self.tally.principals += 1
        self.tally.hidden += len(outside)
        found = [one for one in asks(self.world, self.dice) if self.dice.random() < self.share]
        for one in found:
            if one.route != LEAVES:
                await self._ask(one, outside)
        for query in ("?after=0", "?after=0&state=changes&views=viewers,rooms"):
            if self.who.may(Right.VIEW) and self.dice.random() < self.share:
                await self._follow(query)
        if self.who.may(Right.ROOM) and self.dice.random() < self.share:
            await self._signal()
        for one in found:
            if one.route == LEAVES:
                await self._ask(one, outside)

    async def _ask(self, one: Ask, outside: Sequence[CameraId]) -> None:
        """Ask about a camera; about one outside the scope twice."""
        name = self.dice.choice(self.world.places).name if "{camera}" in one.path + one.body else ""
        answer = await self._send(one, name)
        if name in outside:
            self.tally.compared += 1
            other = await self._send(one, "x" * len(name))
            if answer != other:
                self.tally.leaks.append(f"{one.method} {one.path}: {answer!r} is not {other!r}")

    async def _send(self, one: Ask, name: str) -> Heard:
        """Send a request; return the answer, in which the name that was asked for is blanked."""
        path, body = one.path.replace("{camera}", name), one.body.replace("{camera}", name)
        found = await self.rig.request(one.method, path, body, {**self.who.headers, **one.headers})
        self.tally.requests += 1
        self.tally.asked.add(one.route)
        if name and name not in self.visible:
            asked, blank = name.encode(), b"NAME"
            headers = tuple((key, value.replace(asked, blank)) for key, value in found.headers)
            found = Heard(found.status, headers, found.body.replace(asked, blank))
        self._search(f"{one.method} {path}", repr(found.headers).encode() + found.body)
        return found

    def _search(self, where: str, data: bytes) -> None:
        self.tally.bytes += len(data)
        for secret in self.secrets:
            if secret in data:
                at = data.index(secret)
                self.tally.leaks.append(f"{where}: {data[max(0, at - 160) : at + 60]!r}")
                return

    async def _follow(self, query: str) -> None:
        """Follow the events until the state and, if there are any, the events have come; and ask for a lease."""
        expected = {"hello", "state", "reply"}
        if self.who.may(Right.READ) and any(shown(row, self.visible) for row in self.world.core.disk.rows):
            expected.add("events")
        camera = self.dice.choice(self.world.places).name
        grant = json.dumps({"type": "lease.grant", "id": 1, "kind": "viewer", "camera": camera})
        async with self.rig.socket(f"/ws/events{query}", self.who.headers, grant) as texts:
            while expected:
                text = await texts.receive()
                expected.discard(json.loads(text)["type"])
                data = text.encode() if camera in self.visible else text.replace(camera, "NAME").encode()
                self._search(f"WS /ws/events{query}", data)
        self.tally.sockets += 1
        self.tally.asked.add("WS /ws/events")

    async def _signal(self) -> None:
        """Open a room, and read what is answered."""
        say = json.dumps({"type": "CreateRoom"})
        async with self.rig.socket("/ws/signaling", self.who.headers, say, ["banken.signaling.v1"]) as texts:
            self._search("WS /ws/signaling", (await texts.receive()).encode())
        self.tally.sockets += 1
        self.tally.asked.add("WS /ws/signaling")


async def run_worlds(
    seeds: Sequence[int], principals: int, share: float, after_each: Callable[[Tally], object] = lambda tally: None
) -> Tally:
    """Ask every world as so many random principals; each asks this share of the requests. Leaks are in the tally."""
    tally = Tally()
    async with open_rig() as rig:
        for seed in seeds:
            dice = random.Random(f"who {seed}")
            async with open_world(seed) as world:
                for _ in range(principals):
                    who = await random_principal(dice, world)
                    visible, secrets = visible_of(world, who.scope), secrets_of(world, who)
                    await Questioner(rig, world, who, dice, tally, visible, secrets, share).run()
                    after_each(tally)
    return tally
