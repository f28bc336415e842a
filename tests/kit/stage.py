"""The world as it is: real child processes of real actors, with a stand-in that misbehaves where ffmpeg would be."""

import shlex
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from actors.process import Process, RealProcess
from actors.process_table import RealProcessTable
from actors.registry import Registry
from actors.tools import StartGate, Tools
from supervisor.config import Source
from supervisor.domain.ids import CameraId
from supervisor.reconcile import run_reconcile
from supervisor.vault import Vault

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
    """What the stand-in has to know, its media included."""
    media = folder / "media"
    if not media.exists():
        media.write_bytes(b"".join(len(chunk).to_bytes(4) + chunk for chunk in flv()))
    return {"STAND_IN_PART": part, "STAND_IN_MEDIA": str(media)}


def by_ffmpeg(address: str, *secrets: str) -> Source:
    """A source that is read by a child."""
    return Source("ffmpeg", "ffmpeg", ("-i", address), secrets)


def address_among(arguments: Sequence[str]) -> str:
    """What a child is to read."""
    return arguments[arguments.index("-i") + 1]


@attrs.define
class Stage:
    """A running core whose cameras are named for the parts that their children play."""

    folder: Path
    core: Core
    largest_gap_s: float = 0.0
    """The longest that a task of this loop had to wait for its turn."""

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
    """Real actors, kernel, reconciling and processes; they start in a hurry."""

    async def knock(host: str, port: int) -> bool:
        return False

    async with open_core(*names) as core:
        async with trio.open_nursery() as nursery:
            stage = Stage(folder, core)
            vault = Vault()
            address = f"rtsp://viewer:{SECRET}@192.0.2.1/"
            vault.take({name: by_ffmpeg(address + name, SECRET) for name in names})
            tools = Tools(
                kernel=core.kernel,
                sources=vault,
                open_process=stage.open_process,
                processes=RealProcessTable(),
                ffmpeg=str(write_stand_in(folder)),
                knock=knock,
                ice_servers=(),
                jitter=lambda: JITTER,
                keep=core.nursery,
                starts=StartGate(STARTS_PER_S),
            )
            nursery.start_soon(run_reconcile, core.kernel, Registry(tools), tools.jitter)
            nursery.start_soon(stage.watch_gaps)
            yield stage
            nursery.cancel_scope.cancel()
