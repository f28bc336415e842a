"""A real daemon in its own process, as an operator would start it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import trio

from supervisor.domain.events import Recorded

from .http import Answer, request
from .journals import read_all
from .patience import PATIENCE
from .processes import ProcessInfo, descendants, wait_bounded, wait_until

ROOT = Path(__file__).parents[2]
MANY_REQUESTS = "journaled_burst: 100000, journaled_rate: 1000"
"""For tests in which one client asks more often than people do; `limits: {}` has the defaults."""

MOST_SHOWN = 20_000
"""Characters of a daemon's output that are printed when a test fails."""


@attrs.define
class Daemon:
    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    secure: bool = False
    """It says that it speaks https."""

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    async def get(self, path: str) -> Any:
        return (await request(self.port, "GET", path, secure=self.secure)).json

    async def wait_ready(self, within: float = 30) -> None:
        """Wait until it says where it listens. Raises AssertionError, with all it said, when it ends instead."""

        def line() -> str | int | None:
            return next((x for x in self.output.splitlines() if re.search("https?://", x)), None) or self.process.poll()

        said = await wait_until(line, within, what="the ready line")
        assert isinstance(said, str), self.output
        self.secure = "https://" in said
        self.port = int(said.rstrip("/").rpartition(":")[2])

    async def camera(self, name: str) -> Any:
        return await self.get(f"/api/cameras/{name}")

    async def offer(self, camera: str, sdp: str) -> Answer:
        return await request(self.port, "POST", f"/whep/{camera}", sdp, {"Content-Type": "application/sdp"})

    async def wait_camera(self, name: str, state: str, within: float = 60) -> Any:
        """Wait until a camera is in a state, and for `live` until it is sending pictures now."""
        camera: Any = None
        with trio.move_on_after(within * PATIENCE):
            while True:
                camera = await self.camera(name)
                fresh = camera["last_frame_age_ms"] is not None and camera["last_frame_age_ms"] < 500
                if camera["state"] == state and (state != "live" or fresh):
                    return camera
                await trio.sleep(0.05)
        story = "\n".join(f"{row.seq} {row.wall_ns} {row.event}" for row in self.journal())
        raise TimeoutError(f"{name} is not {state} after {within:g} s: {camera}\n{self.output}\n{story}")

    def children(self) -> list[ProcessInfo]:
        """The daemon's ffmpeg processes that are alive."""
        return [p for p in descendants(self.pid) if not p.zombie and "ffmpeg" in " ".join(p.cmdline)]

    def journal(self) -> list[Recorded]:
        return read_all(self.folder / "journal")

    async def end(self, number: signal.Signals = signal.SIGTERM, within: float = 20 * PATIENCE) -> int:
        """Signal the daemon and wait for its end; returns the exit code. A given `within` is a documented bound."""
        self.process.send_signal(number)
        await wait_bounded(lambda: self.process.poll() is not None, within, what=f"the end after {number.name}")
        return self.process.returncode


@asynccontextmanager
async def open_daemon(folder: Path, cameras: Mapping[str, Any], more: str = "", web: str = "") -> AsyncIterator[Daemon]:
    """Start `banken run` with these cameras (name: source) and wait until it is ready."""
    write_config(folder, cameras, more, web)
    async with launch_daemon(folder) as daemon:
        await daemon.wait_ready()
        yield daemon


def write_config(folder: Path, cameras: Mapping[str, Any], more: str = "", web: str = "") -> None:
    """`web`: more of its section, in braces' form."""
    more = more if "limits:" in more else f"{more}\nlimits: {{{MANY_REQUESTS}}}"
    lines = [f'web: {{listen: "127.0.0.1:0"{web and ", " + web}}}', "journal: {path: journal}", more, "cameras:"]
    lines += [f"  {name}: {json.dumps(source)}" for name, source in cameras.items()]
    (folder / "banken.yaml").write_text("\n".join(lines) + "\n")


@asynccontextmanager
async def launch_daemon(
    folder: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
    program: str = "supervisor",
    before: Sequence[str] = (),
) -> AsyncIterator[Daemon]:
    """Start `banken run` with the configuration in the folder, and do not wait for anything.

    `before`: a program that executes it, and its arguments. When the block fails, the daemon's output is printed.
    """
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - a test may block for the millisecond it takes
            [*before, sys.executable, "-m", program, "run", folder / "banken.yaml"],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Daemon(process, 0, folder)
    except BaseException:
        print((folder / "output").read_text(errors="replace")[-MOST_SHOWN:])
        raise
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
