"""Real child processes of real actors, with a misbehaving stand-in instead of ffmpeg."""

import shlex
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from actors.camera.start_gate import StartGate
from actors.process.process import Process, RealProcess
from actors.registry import Registry
from supervisor.config.config import Source
from supervisor.domain.ids import CameraId
from supervisor.runtime.reconcile import run_reconcile
from supervisor.runtime.vault import Vault
from tests.kit.tools import make_tools

from .core import Core, open_core
from .media import flv

PLAIN = "-plain"
"""Behind the name of a camera whose children have no guardian."""
JITTER = 0.999
STARTS_PER_S = 10
"""More than a daemon starts: there are many parts to be played, and little time."""
SECRET = "hunter2"


def write_stand_in(folder: Path) -> Path:
    """A script to be run as ffmpeg."""
    program = folder / "ffmpeg"
    stand_in = Path(__file__).with_name("stand_in.py")
    program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-I", "-S", str(stand_in)])} "$@"\n')
    program.chmod(0o755)
    return program


def stand_in_environment(folder: Path, part: str) -> dict[str, str]:
    """The environment of the stand-in, including its media."""
    media = folder / "media"
    if not media.exists():
        media.write_bytes(b"".join(len(chunk).to_bytes(4) + chunk for chunk in flv()))
    return {"STAND_IN_PART": part, "STAND_IN_MEDIA": str(media)}


def by_ffmpeg(address: str, *secrets: str) -> Source:
    """A source that is read by a child."""
    return Source("ffmpeg", "ffmpeg", ("-i", address), secrets)


def address_among(arguments: Sequence[str]) -> str:
    """Return the address that a child process reads."""
    return arguments[arguments.index("-i") + 1]


@attrs.define
class Stage:
    """A running core whose cameras are named for the parts that their children play."""

    folder: Path
    core: Core
    largest_gap_s: float = 0.0
    """The longest delay of a task of this loop, in seconds."""

    def open_process(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdin: bytes | None, guarded: bool
    ) -> Process:
        name = address_among(arguments).split("/")[-1]
        part = stand_in_environment(self.folder, name.removesuffix(PLAIN))
        return RealProcess(arguments, {**environment, **part}, stdin, guarded and not name.endswith(PLAIN))

    async def watch_gaps(self) -> None:
        while True:
            due = trio.current_time() + 0.005
            await trio.sleep_until(due)
            self.largest_gap_s = max(self.largest_gap_s, trio.current_time() - due)


@asynccontextmanager
async def open_stage(folder: Path, *names: CameraId) -> AsyncIterator[Stage]:
    """Real actors, kernel, reconciling and processes; they start quickly."""

    async def tcp_probe(host: str, port: int) -> bool:
        return False

    async with open_core(*names) as core:
        async with trio.open_nursery() as nursery:
            stage = Stage(folder, core)
            vault = Vault()
            address = f"rtsp://viewer:{SECRET}@192.0.2.1/"
            vault.take({name: by_ffmpeg(address + name, SECRET) for name in names})
            tools = make_tools(
                core.kernel,
                core.nursery,
                sources=vault,
                open_process=stage.open_process,
                ffmpeg=str(write_stand_in(folder)),
                tcp_probe=tcp_probe,
                jitter=lambda: JITTER,
            )
            nursery.start_soon(
                run_reconcile, core.kernel, Registry(tools, starts=StartGate(STARTS_PER_S)), tools.jitter
            )
            nursery.start_soon(stage.watch_gaps)
            yield stage
            nursery.cancel_scope.cancel()
