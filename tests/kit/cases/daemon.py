"""The daemon of a run, started as a user does it: `python -m supervisor check`, then `run`, of this tree."""

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import attrs

from ..processes import wait_until

ROOT = Path(__file__).parents[3]
READY_S = 60.0
STOP_S = 10.0
SHOWN = 2000
"""Characters of the daemon's output that an error has."""
LIMITS = "limits: {linger: 0s, journaled_burst: 100000, journaled_rate: 1000}"
"""A camera is let go with its viewer; one client opens all viewers."""


class DaemonError(Exception):
    """The daemon refuses the configuration, or does not start."""


@attrs.define
class Daemon:
    """`port`: its TCP port on 127.0.0.1."""

    port: int
    _process: subprocess.Popen[bytes]
    _output: Path

    @property
    def ending(self) -> str:
        """How it ended; empty while it runs."""
        code = self._process.poll()
        return "" if code is None else f"the daemon ended with exit code {code}: {_end_of(self._output)}"


@asynccontextmanager
async def open_daemon(folder: Path, cameras: Mapping[str, Mapping[str, Any]]) -> AsyncIterator[Daemon]:
    """A daemon with these cameras, by their ids, as the configuration has them. Raises `DaemonError`.

    Cleanup: it ends with SIGTERM, or with SIGKILL after `STOP_S`, and is reaped.
    """
    config, output = folder / "banken.yaml", folder / "output"
    lines = ['web: {listen: "127.0.0.1:0"}', "journal: {path: journal}", LIMITS, "cameras:"]
    config.write_text("\n".join([*lines, *(f"  {name}: {json.dumps(each)}" for name, each in cameras.items()), ""]))
    with _open_process("check", config, output) as process:
        await _wait_for(lambda: process.poll() is not None, "check", output)
    if process.returncode != 0:
        raise DaemonError(f"the configuration was refused: {_end_of(output)}")
    with _open_process("run", config, output) as process:
        yield Daemon(await _wait_ready(process, output), process, output)


async def _wait_ready(process: subprocess.Popen[bytes], output: Path) -> int:
    """The TCP port that the daemon names. Raises `DaemonError`."""

    def port() -> int | None:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", output.read_text(errors="replace"))
        return int(found[1]) if found else None

    await _wait_for(lambda: port() or process.poll() is not None, "run", output)
    found = port()
    if found is None:
        raise DaemonError(f"the daemon did not start: {_end_of(output)}")
    return found


async def _wait_for(predicate: Callable[[], object], command: str, output: Path) -> None:
    """Raises `DaemonError` after `READY_S`."""
    try:
        await wait_until(predicate, READY_S)
    except TimeoutError:
        raise DaemonError(f"`{command}` takes more than {READY_S:g} s: {_end_of(output)}") from None


@contextmanager
def _open_process(command: str, config: Path, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [sys.executable, "-m", "supervisor", command, str(config)]
    with output.open("wb") as writing:
        process = subprocess.Popen(
            arguments, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _end_of(output: Path) -> str:
    return output.read_text(errors="replace").strip()[-SHOWN:]
