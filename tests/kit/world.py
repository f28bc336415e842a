"""A world in memory: child processes that follow a script, hosts that answer a TCP probe or not.

For tests under the autojump clock: nothing here is a thread, a process or a socket, so days pass in moments.
"""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self

import attrs
import trio
from trio.testing import memory_stream_one_way_pair

from actors.addresses import open_tcp
from actors.process.process import MARK, OpenProcess
from actors.process.process_table import Marked
from actors.registry import Registry
from actors.tools import OpenTcp
from actors.webrtc.deferred import Connect, run_connection
from supervisor.config.config import Source
from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId, NodeId
from supervisor.domain.values import CameraSettings, DeviceSettings, Limits, Patrol
from supervisor.runtime.reconcile import run_reconcile
from supervisor.runtime.vault import Vault
from tests.kit.tools import make_tools

from .core import Core, open_core
from .decoding import FakeDecoder
from .domain import GATE, settings
from .media import flv


class FakeProcess:
    """A child that lives in this process's nursery. Its script says what it writes and when it ends."""

    def __init__(self, pid: int, arguments: Sequence[str], stdin: bytes | None) -> None:
        self.pid, self.start_ticks = pid, pid * 10
        self.arguments, self.stdin = tuple(arguments), stdin
        self.status: int | None = None
        self.signals: list[signal.Signals] = []
        self.ignores: set[signal.Signals] = set()
        self.closed = False
        self.exited = trio.Event()
        self.stdout: trio.abc.ReceiveStream
        self.stderr: trio.abc.ReceiveStream
        self.output, self.stdout = memory_stream_one_way_pair()
        self.errors, self.stderr = memory_stream_one_way_pair()
        self.feed: trio.abc.SendStream | None = None
        self._scope = trio.CancelScope()
        self._ended_by = 0

    async def run(self, script: Callable[[Self], Awaitable[int]]) -> None:
        try:
            with self._scope:
                self._ended_by = await script(self)
        finally:
            self.output.close()
            self.errors.close()
            self.exited.set()

    async def wait(self) -> int:
        await self.exited.wait()
        self.status = self._ended_by
        return self.status

    def signal_group(self, number: signal.Signals) -> None:
        self.signals.append(number)
        if number not in self.ignores and self.status is None:
            self._ended_by = -number
            self._scope.cancel()

    def close(self) -> None:
        self.closed = True

    async def say(self, line: str) -> None:
        await self.errors.send_all(line.encode() + b"\n")


Script = Callable[[FakeProcess], Awaitable[int]]
"""Plays the part of a program; returns its exit code."""


async def streams(process: FakeProcess) -> int:
    """A camera that works: ten pictures a second, for ever."""
    pictures = list(flv())
    for chunk in pictures[:2]:
        await process.output.send_all(chunk)
    while True:
        for chunk in pictures[2:]:
            await process.output.send_all(chunk)
            await trio.sleep(0.1)


async def refused(process: FakeProcess) -> int:
    await trio.sleep(0.1)
    await process.say("[tcp @ 0x1] Connection to tcp://192.0.2.1:554 failed: Connection refused")
    return 1


async def not_found(process: FakeProcess) -> int:
    await process.say("[rtsp @ 0x1] method DESCRIBE failed: 404 Not Found")
    return 1


async def hangs(process: FakeProcess) -> int:
    """Connects and then says nothing."""
    await trio.sleep_forever()
    return 0


def streams_for(seconds: float, then: Script) -> Script:
    async def script(process: FakeProcess) -> int:
        with trio.move_on_after(seconds):
            await streams(process)
        return await then(process)

    return script


@attrs.define
class World:
    """`scripts` says which part each child of a camera plays; the last script is played again and again."""

    scripts: dict[CameraId, list[Script]]
    core: Core
    nursery: trio.Nursery
    registry: Registry = attrs.field(init=False)
    vault: Vault = attrs.field(factory=Vault)
    processes: list[FakeProcess] = attrs.field(factory=list)
    starts: list[float] = attrs.field(factory=list)
    strays: list[Marked] = attrs.field(factory=list)
    """Processes with our mark that nobody started here."""
    answers: bool = False
    """Whether hosts answer a TCP probe."""
    probes: int = 0
    decoder: FakeDecoder = attrs.field(factory=FakeDecoder)
    opener: OpenProcess = attrs.field(default=attrs.Factory(lambda world: world.open_process, takes_self=True))
    """Opens the children; a test may replace it."""
    connect: Connect = run_connection
    """Connects the viewers; a test may replace it."""

    def open_process(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdin: bytes | None, guarded: bool
    ) -> FakeProcess:
        camera = CameraId(environment[MARK].split("/")[2])
        script = self.scripts[camera].pop(0) if len(self.scripts[camera]) > 1 else self.scripts[camera][0]
        process = FakeProcess(1000 + len(self.processes), arguments, stdin)
        assert self.alive(camera) == [], "a second child beside one that lives"
        self.processes.append(process)
        self.starts.append(trio.current_time())
        self.nursery.start_soon(process.run, script)
        return process

    def alive(self, camera: CameraId) -> list[FakeProcess]:
        """The children of a camera that have not been reaped."""
        return [p for p in self.processes if p.status is None and address_of(camera) in p.arguments]

    async def find(self, node: NodeId) -> list[Marked]:
        await trio.lowlevel.checkpoint()
        return list(self.strays)

    def signal(self, process: Marked, number: signal.Signals) -> None:
        self.strays = [stray for stray in self.strays if stray is not process]

    async def wait_end(self, process: Marked) -> None:
        await trio.lowlevel.checkpoint()

    async def tcp_probe(self, host: str, port: int) -> bool:
        await trio.sleep(0.01)
        self.probes += 1
        return self.answers

    async def until(self, holds: Callable[[], bool], within_s: float = 3600) -> None:
        """Let virtual time pass until a condition holds; looked at with every event, and ten times a second."""
        with trio.fail_after(within_s):
            while not holds():
                with trio.move_on_after(0.1):
                    await self.core.kernel.wait_change(self.core.kernel.state.seq)

    def camera(self, name: CameraId = GATE) -> str:
        return self.core.kernel.state.cameras[name].phase.value


def address_of(camera: CameraId) -> str:
    return f"rtsp://192.0.2.1/{camera}"


@asynccontextmanager
async def open_world(
    scripts: Mapping[CameraId, Sequence[Script]],
    jitter: float = 0.999,
    cameras: Sequence[CameraSettings] = (),
    devices: Sequence[DeviceSettings] = (),
    patrol: Patrol | None = None,
    limits: Limits | None = None,
    open_tcp: OpenTcp = open_tcp,
) -> AsyncIterator[World]:
    """Real actors, a real kernel and reconciling, over this world; every camera is read by an ffmpeg child.

    `cameras` says more of those that are not always open on a device without a budget.
    """
    chosen = {name: settings(name) for name in scripts} | {known.camera: known for known in cameras}
    wanted = c.Configure("test", tuple(chosen.values()), limits or Limits(), tuple(devices), patrol or Patrol())
    async with open_core(configuration=wanted) as core, trio.open_nursery() as nursery:
        world = World({name: list(script) for name, script in scripts.items()}, core, nursery)
        world.vault.take({name: Source("ffmpeg", address_of(name), ("-i", address_of(name))) for name in scripts})
        tools = make_tools(
            core.kernel,
            nursery,
            sources=world.vault,
            open_process=lambda *given: world.opener(*given),
            processes=world,
            tcp_probe=world.tcp_probe,
            jitter=lambda: jitter,
            open_tcp=open_tcp,
        )
        world.registry = Registry(
            tools, decoder=world.decoder, connect=lambda *given, **more: world.connect(*given, **more)
        )
        nursery.start_soon(run_reconcile, core.kernel, world.registry, tools.jitter)
        yield world
        nursery.cancel_scope.cancel()
    assert all(process.closed for process in world.processes), "descriptors of a child were not given back"
