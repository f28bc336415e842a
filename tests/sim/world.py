"""The world of a simulation: real actors, kernel, writer and reconciliation; everything else is a fake of this folder.

A failure prints the story of the run, and the command that repeats it.
"""

import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import attrs
import trio
from msgspec.structs import replace

from actors import registry
from actors.process.process import MARK
from actors.process.process_table import Marked
from actors.registry import Registry
from supervisor.config.config import RecordSettings, Source
from supervisor.domain import commands as c
from supervisor.domain.availability import Availability
from supervisor.domain.events import Recorded
from supervisor.domain.health import Health, health
from supervisor.domain.ids import CameraId, ChildId, DeviceId
from supervisor.domain.state import State
from supervisor.domain.values import CameraSettings, DeviceSettings, Limits, Mode, Patrol, Policy, RecordMode
from supervisor.journal import codec
from supervisor.runtime.reconcile import run_reconcile
from supervisor.runtime.vault import Vault
from supervisor.services.detections import Detections
from supervisor.services.gateway import Gateway
from supervisor.services.leases import Leases
from tests.kit.core import Core, MemoryReader, open_core
from tests.kit.decoding import FakeDecoder
from tests.kit.domain import ASKED, settings
from tests.kit.processes import wait_until
from tests.kit.tools import make_tools
from web.metrics import Process, expose

from .answers import disagreement
from .archive import SteppedClock, archive_in_memory, run_archive_faults
from .callers import run_caller, run_watcher
from .cameras import Camera, Device, draw_life
from .chance import Chance, run_seeded
from .children import Child
from .disk import Disk, run_disk
from .holders import run_detector, run_holder
from .invariants import FOLD_EVERY, LOOKED_EVERY_S, Broken, Watch, WatchedJournal
from .operator import run_operator, run_retries
from .recordings import KEEP_S, SimulatedArchive, live_again, run_kills
from .story import Note, tell
from .viewers import Connections, run_viewer
from .wires import Wire

STOP_S = 12.0
"""Maximum seconds of a stop with child processes that ignore every signal."""


@attrs.define
class World:
    """`children` are all child processes so far; each is alive until it is reaped."""

    chance: Chance
    configured: c.Configure
    cameras: dict[CameraId, Camera]
    stage: trio.Nursery
    core: Core = attrs.field(init=False)
    registry: Registry = attrs.field(init=False)
    gateway: Gateway = attrs.field(init=False)
    connections: Connections = attrs.field(init=False)
    children: list[Child] = attrs.field(factory=list)
    wires: list[Wire] = attrs.field(factory=list)
    """All RTSP connections so far."""
    notes: list[Note] = attrs.field(factory=list)
    most: dict[CameraId, int] = attrs.field(factory=dict)
    """The maximum number of concurrent processes and connections of each camera."""
    _alive: dict[CameraId, list[Child]] = attrs.field(factory=dict)
    _open: dict[CameraId, Wire] = attrs.field(factory=dict)
    _probed: dict[CameraId, float] = attrs.field(factory=dict)
    watch: Watch = attrs.field(init=False)
    stopping: Recorded | None = None
    archive: SimulatedArchive | None = None

    def __attrs_post_init__(self) -> None:
        self.watch = Watch(self)

    # ── what the actors are handed ──────────────────────────────────────────────────────────────────────────────

    def open_process(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdin: bytes | None, guarded: bool
    ) -> Child:
        mark = environment[MARK]
        camera = self.cameras[CameraId(mark.split("/")[2])]
        manners = camera.manners(camera.chance)
        if manners.refusal is not None:
            self.note(f"the system starts no process for {camera.name}: {manners.refusal.strerror}")
            raise manners.refusal
        self._look_at_start(camera)
        child = Child(1000 + len(self.children), arguments, stdin, camera.name, mark, manners)
        self.children.append(child)
        self._alive.setdefault(camera.name, []).append(child)
        self.most[camera.name] = max(self.most.get(camera.name, 0), self.living(camera.name))
        self.stage.start_soon(child.run, camera.play)
        return child

    async def open_tcp(self, host: str, port: int, tls: bool) -> Wire:
        camera = self.cameras[CameraId(host.removesuffix(".invalid"))]
        self._look_at_start(camera)
        wire = Wire(camera, lambda text: self.watch.require(False, text))
        self.wires.append(wire)
        self._open[camera.name] = wire
        self.most[camera.name] = max(self.most.get(camera.name, 0), self.living(camera.name))
        try:
            await wire.connect()
        except BaseException:
            await trio.aclose_forcefully(wire)
            raise
        return wire

    def _look_at_start(self, camera: Camera) -> None:
        others = [other for other in self.cameras.values() if other.device and other.device is camera.device]
        on_device = sum(self.living(other.name) for other in others)
        self.watch.starts_child(camera.name, camera.device.name if camera.device else None, on_device)

    def living(self, camera: CameraId) -> int:
        """Return the number of unreaped processes and open connections of a camera."""
        alive = self._alive.get(camera)
        if alive:
            alive[:] = [child for child in alive if child.status is None]
        wire = self._open.get(camera)
        return (len(alive) if alive else 0) + (wire is not None and not wire.closed)

    async def find(self, owner: str) -> list[Marked]:
        await trio.lowlevel.checkpoint()
        found = [child for alive in self._alive.values() for child in alive if not child.exited.is_set()]
        return [_marked(child) for child in sorted(found, key=lambda child: child.pid)]

    def signal(self, process: Marked, number: signal.Signals) -> None:
        self.children[process.pid - 1000].signal_group(number)

    async def wait_end(self, process: Marked) -> None:
        await self.children[process.pid - 1000].exited.wait()

    async def tcp_probe(self, host: str, port: int) -> bool:
        await trio.sleep(0.01)
        camera = CameraId(host.removesuffix(".invalid"))
        answers = self.cameras[camera].answers()
        if answers:
            self._probed[camera] = trio.current_time()
        return answers

    def probed_at(self, camera: CameraId) -> float:
        return self._probed.get(camera, -1.0)

    # ── what stories look at ────────────────────────────────────────────────────────────────────────────────────

    @property
    def state(self) -> State:
        return self.core.kernel.state

    def phase(self, camera: CameraId) -> str:
        return self.state.cameras[camera].phase.value

    def health(self) -> Health:
        return health(self.state, self.core.journal.fault)

    def note(self, text: str) -> None:
        self.notes.append(Note(trio.current_time(), text))

    def story(self, about: str = "") -> str:
        end = self.watch.broken_at or self.watch.seq
        return tell((row for row in self.rows() if row.seq <= end), self.notes, about)

    def rows(self) -> list[Recorded]:
        """Return the stored and the pending rows of the journal."""
        stored = self.core.disk.rows
        return [*stored, *(row for row in self.core.journal.waiting() if row.seq > len(stored))]

    async def until(self, holds: Callable[[], bool], within_s: float = 3600) -> None:
        """Let time pass until a condition holds; it is checked with every event, and every second."""
        with trio.fail_after(within_s):
            while not holds():
                with trio.move_on_after(1):
                    await self.core.kernel.wait_change(self.state.seq)

    async def watch_state(self) -> None:
        """Fold the appended events at regular intervals."""
        while True:
            await trio.sleep(LOOKED_EVERY_S)
            self.watch.look_at_clock(trio.current_time())
            if self.archive is not None and (wrong := self.archive.look(self.state)):
                self.watch.require(False, wrong)
            if len(self.watch.unfolded) >= FOLD_EVERY:
                self.watch.look_at_all(self.state)

    async def stop(self, work: trio.Nursery, reconciled: trio.Event) -> None:
        """Stop as the daemon does."""
        self.stopping = self.core.kernel.emit(c.StopRun(ASKED)).last
        with trio.move_on_after(STOP_S):
            await reconciled.wait()
        self.watch.require(reconciled.is_set(), f"not everything has ended {STOP_S:g} s after the stop")
        work.cancel_scope.cancel(reason="the end")

    async def look_for_remains(self, keep: trio.Nursery) -> None:
        """Release every hanging child, and check that no resource is left."""
        kernel = self.core.kernel
        for child in self.children:
            if child.status is None:
                child.end_by(signal.SIGKILL)
        await trio.sleep(1)
        state, require = self.state, self.watch.require
        for what in ("children", "slots", "uses", "peers"):
            left = getattr(state, what)
            require(not left, f"left at the end, of {what}: {', '.join(map(str, left.values()))}")
        unreaped = [child.mark for child in self.children if child.status is None]
        require(not unreaped, f"processes that nobody reaped: {unreaped}")
        unclosed = [child.mark for child in self.children if not child.closed]
        require(not unclosed, f"descriptors that nobody closed, of: {unclosed}")
        unclosed = [wire.camera.name for wire in self.wires if not wire.closed]
        require(not unclosed, f"connections that nobody closed, to: {unclosed}")
        require(self.connections.opened == 0, f"{self.connections.opened} connections of viewers are open")
        tasks = [task.name for task in keep.child_tasks]
        require(not tasks, f"tasks that have not ended: {tasks}")
        kernel.emit(c.EndRun(), after=self.stopping)
        require(not self.state.leases, f"left at the end, of leases: {', '.join(self.state.leases)}")
        # A disk that was full until the end works again, which the journal detects after a while.
        await wait_until(lambda: self.core.journal.fault is None, STOP_S, what="the journal to write again")
        await self.core.journal.wait_committed(self.state.seq)
        rows = self.core.disk.rows
        require([row.seq for row in rows] == list(range(1, self.watch.seq + 1)), "events are missing on the disk")
        require(self.watch.acknowledged <= len(rows), "what was acknowledged is not on the disk")
        self.watch.look_at_all(self.state)
        if self.archive is not None:
            wrong = self.archive.look_at_end(rows)
            chance = self.chance.stream("the end")
            wrong += await live_again(list(rows), self.archive.folder, self.archive.clock, chance, torn=0)
            require(not wrong, "; ".join(wrong[:3]))


def _marked(child: Child) -> Marked:
    _, run, camera, name = child.mark.split("/")
    return Marked(child.pid, child.start_ticks, run, CameraId(camera), ChildId(name), child.arguments)


@asynccontextmanager
async def open_world(
    chance: Chance,
    cameras: Sequence[Camera],
    *,
    limits: Limits | None = None,
    patrol: Patrol | None = None,
    again: str = "",
    records: bool = False,
) -> AsyncIterator[World]:
    """Start a daemon with these cameras; it is stopped at the end of the block, and must leave no resource behind.

    Raises `Broken` if an invariant was violated. `again` is the command that repeats the run.
    """
    devices = {camera.device.name: camera.device for camera in cameras if camera.device}
    budgets = tuple(DeviceSettings(box.name, box.budget) for box in devices.values() if box.budget is not None)
    wanted = c.Configure(
        "simulation",
        tuple(camera.settings for camera in cameras),
        limits or Limits(),
        budgets,
        patrol or Patrol(),
        Policy(("person", "car")),
    )
    ids, secrets = chance.stream("ids"), chance.stream("secrets")
    async with trio.open_nursery() as stage:
        world, clock = World(chance, wanted, {camera.name: camera for camera in cameras}, stage), SteppedClock()
        with (
            archive_in_memory(stage, lambda text: world.watch.require(False, text)) as (folder, disk),
            world.watch.scope,
        ):
            world.archive = SimulatedArchive(folder, disk, clock) if records else None
            async with (
                open_core(
                    configuration=wanted,
                    disk=Disk(),
                    ids=lambda: f"{ids.getrandbits(64):016x}",
                    make_journal=partial(WatchedJournal, world.watch),
                    clock=clock,
                ) as world.core,
                trio.open_nursery() as keep,
            ):
                async with trio.open_nursery() as work:
                    reconciled = _compose(world, keep, work, lambda: f"{secrets.getrandbits(128):032x}")
                    try:
                        yield world
                    except Exception as error:
                        error.add_note(f"{world.story()}\n{again}")
                        raise
                    await world.stop(work, reconciled)
                await world.look_for_remains(keep)
        if world.watch.broken is not None:
            raise Broken(f"{world.watch.broken}\n{world.story()}\n{again}")
        stage.cancel_scope.cancel()


def _compose(world: World, keep: trio.Nursery, work: trio.Nursery, new_secret: Callable[[], str]) -> trio.Event:
    """Assemble the daemon and start it; the event is set when reconciliation has ended."""
    core, reconciled, vault = world.core, trio.Event(), Vault()
    vault.take({name: _source(camera) for name, camera in world.cameras.items()})
    world.connections = Connections(world.chance.stream("connections"))
    leases, detections = Leases(core.kernel), Detections(core.kernel)
    tools = make_tools(
        core.kernel,
        keep,
        leases=leases,
        detections=detections,
        sources=vault,
        open_process=world.open_process,
        processes=world,
        tcp_probe=world.tcp_probe,
        jitter=world.chance.stream("jitter").random,
        open_tcp=world.open_tcp,
    )
    archives = None if world.archive is None else world.archive.settings
    registry.RECORDERS.is_loaded = True
    world.registry = Registry(tools, decoder=FakeDecoder(), connect=world.connections.connect, archives=archives)
    reader = MemoryReader(core.disk)
    world.gateway = Gateway(
        core.kernel,
        core.journal,
        core.feed,
        reader,
        world.registry,
        leases,
        detections,
        new_secret,
    )

    async def reconcile() -> None:
        await run_reconcile(core.kernel, world.registry, tools.jitter)
        reconciled.set()

    work.start_soon(reconcile)
    work.start_soon(world.registry.run_sweep)
    if world.archive is not None:
        world.archive.has_compared = partial(_has_compared, world.registry)
        work.start_soon(world.registry.run_recordings)
    work.start_soon(world.gateway.leases.run)
    work.start_soon(world.watch_state)
    return reconciled


def _has_compared(registry: Registry) -> bool:
    """Whether all files of the archive were compared with its index."""
    return all(not known.fault and known.compared is None for known in registry.archive_statistics().values())


def _source(camera: Camera) -> Source:
    address = f"rtsp://{camera.name}.invalid/main"
    arguments = ("-i", address) if camera.kind == "ffmpeg" else ()
    keep = RecordSettings(KEEP_S, KEEP_S)
    return Source(camera.kind, address, arguments, transport="tcp", recording=keep)  # a `Wire` has no UDP ports


# ── a whole life, drawn from a seed ─────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class Simulated:
    """The result of one seed. `broken` is the story of a violation; None if all invariants held."""

    seed: int
    simulated_s: float
    real_s: float
    events: int
    children: int
    wires: int
    """RTSP connections."""
    pictures: int
    digest: str
    """Digest of all rows of the journal; empty unless requested."""
    rows: list[Recorded] = attrs.field(factory=list, repr=False)
    """All rows of the journal; empty unless requested."""
    disagreement: str | None = None
    """Two answers about its journal that differ; none if all agree, or if not requested."""
    broken: str | None = None

    @property
    def ratio(self) -> float:
        """Ratio of simulated time to processor time of one core."""
        return self.simulated_s / self.real_s


def simulate(
    seed: int,
    hours: float = 1.0,
    cameras: int = 16,
    *,
    digest: bool = False,
    keep: bool = False,
    answers: bool = False,
    records: bool = False,
) -> Simulated:
    """Simulate `hours` of operation drawn from this seed, with all kinds of faults.

    `digest` requests the digest of all rows, which takes a while; `keep` the rows; `answers` compares the availability
    from all interfaces, which adds a third of the time. `records`: half of the cameras are recorded into an archive
    whose disk fails, the clock is set, and kills are tried. Its threads make no two such lives the same.
    """
    began = time.process_time()
    asks = Asks(digest, keep, answers, records)
    life, end = run_seeded(seed, partial(_live, hours=hours, cameras=cameras, began=began, asks=asks))
    return attrs.evolve(life, disagreement=disagreement(*end)) if end else life


@attrs.frozen
class Asks:
    """The results that are requested from a run."""

    digest: bool
    rows: bool
    answers: bool
    records: bool


async def _live(
    chance: Chance, hours: float, cameras: int, began: float, asks: Asks
) -> tuple[Simulated, tuple[list[Recorded], Availability, str] | None]:
    """Return the result, with the rows, the daemon's sum and its metrics if requested."""
    again = f".venv/bin/python ops/simulate.py --first {chance.seed} --seeds 1 --hours {hours:g} --cameras {cameras}"
    broken = world = None
    try:
        async with (
            open_world(
                chance,
                draw_cameras(chance, cameras, hours * 3600, records=asks.records),
                limits=Limits(peers=12, peers_per_camera=4, leases=6, leases_per_client=2, modal_s=600.0),
                again=again,
                records=asks.records,
            ) as world,
            trio.open_nursery() as crowd,
        ):
            _invite(world, crowd)
            await trio.sleep(hours * 3600)
            crowd.cancel_scope.cancel(reason="the end of the story")
    except* Broken as group:
        broken = str(group.exceptions[0])
    assert world is not None
    life = Simulated(
        seed=chance.seed,
        simulated_s=trio.current_time(),
        real_s=time.process_time() - began,
        events=world.watch.seq,
        children=len(world.children),
        wires=len(world.wires),
        pictures=world.connections.served,
        digest=codec.chain(codec.GENESIS, map(codec.encode, world.rows())).hex() if asks.digest else "",
        rows=world.rows() if asks.rows else [],
        broken=broken,
    )
    if not asks.answers:
        return life, None
    kept = await world.gateway.availability()
    exposed = expose(world.gateway.snapshot(), Process(0, 0, 0, None, {}), kept).decode()
    return life, (world.rows(), kept, exposed)


def _invite(world: World, crowd: trio.Nursery) -> None:
    """Start the clients of an ordinary hour."""
    names, gateway, chance = list(world.cameras), world.gateway, world.chance
    for number in range(6):
        crowd.start_soon(run_viewer, f"192.0.2.{10 + number}", names, gateway, chance.stream(f"viewer/{number}"))
    for number in range(3):
        crowd.start_soon(run_holder, f"192.0.2.{10 + number}", names, world, chance.stream(f"holder/{number}"))
        crowd.start_soon(run_caller, f"192.0.2.{20 + number}", names, gateway, chance.stream(f"caller/{number}"))
        crowd.start_soon(run_watcher, f"192.0.2.{30 + number}", names, gateway, chance.stream(f"watcher/{number}"))
    crowd.start_soon(run_detector, "192.0.2.40", names, world, chance.stream("detector"))
    crowd.start_soon(run_operator, world.configured, gateway, chance.stream("operator"))
    crowd.start_soon(run_retries, gateway, chance.stream("retries"))
    disk = world.core.disk
    assert isinstance(disk, Disk)
    crowd.start_soon(run_disk, disk, chance.stream("disk"))
    archive = world.archive
    if archive is None:
        return
    faults = chance.stream("archive's disk")
    crowd.start_soon(run_archive_faults, archive.disk, archive.folder, archive.clock, faults)
    crowd.start_soon(
        run_kills,
        archive,
        disk,
        world.core.journal.waiting,
        chance.stream("kills"),
        partial(world.watch.require, False),
    )


def draw_cameras(chance: Chance, count: int, seconds: float, *, records: bool) -> list[Camera]:
    """Create cameras of every mode: some share a device with a configured limit, some one with an unknown limit; most
    are alone on their device."""
    draw, recorded = chance.stream("cameras"), chance.stream("recorded")
    boxes = [Device(DeviceId("box-of-2"), 2, 2), Device(DeviceId("box-of-1"), 1, 1), Device(DeviceId("recorder"), 3)]
    cameras = []
    for number in range(count):
        device = draw.choice([*boxes, None, None, None])
        mode = draw.choice([Mode.ALWAYS, Mode.ALWAYS, Mode.ON_DEMAND, Mode.PATROL])
        known: CameraSettings = settings(
            CameraId(f"camera-{number:02}"), device=device.name if device else None, mode=mode,
            group=draw.choice(("east", "west")),
        )  # fmt: skip
        own = chance.stream(f"camera/{number}")
        kind = draw.choice(("rtsp", "rtsp", "ffmpeg"))
        if records and mode is not Mode.PATROL and recorded.random() < 0.5:
            known = replace(known, record=RecordMode.ALWAYS)
        cameras.append(Camera(known, draw_life(own, seconds), own, device, kind=kind))
    return cameras
