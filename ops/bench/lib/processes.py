"""The processes of a benchmark: they are started for a block, and ended with it."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import msgspec
import trio

from actors.process.process import RealProcess
from supervisor.base.shield import bounded_shield

from .plan import Plan, Result

ROOT = Path(__file__).resolve().parents[3]
READY_S = 30.0
JOIN_S = 90.0
END_S = 8.0
KEPT = 4096
"""Limit of the stderr bytes that an error shows."""


class BenchError(Exception):
    """A measured process could not be started, or did not answer as expected."""


@attrs.define
class Part:
    """A running process. Its stderr is read continuously, so that it never blocks on it."""

    name: str
    process: RealProcess
    errors: bytearray = attrs.field(factory=bytearray)
    output: bytearray = attrs.field(factory=bytearray)

    @property
    def pid(self) -> int:
        return self.process.pid

    async def read_line(self, within_s: float = READY_S) -> str:
        """Return the next line of its output. Raises `BenchError` when none comes within `within_s` seconds."""
        with trio.move_on_after(within_s):
            while b"\n" not in self.output:
                data = await self.process.stdout.receive_some()
                if not data:
                    break
                self.output += data
        line, found, rest = self.output.partition(b"\n")
        if not found:
            raise BenchError(f"{self.name} does not say that it is ready: {self.errors.decode(errors='replace')}")
        self.output = rest
        return line.decode()

    async def read_all(self) -> bytes:
        """Return all of its output, until it closes it."""
        while data := await self.process.stdout.receive_some():
            self.output += data
        return bytes(self.output)

    async def keep_errors(self) -> None:
        while data := await self.process.stderr.receive_some():
            self.errors += data
            del self.errors[:-KEPT]

    async def end(self) -> None:
        """Send SIGTERM, and SIGKILL when the process does not end within `END_S`."""
        self.process.signal_group(signal.SIGTERM)
        with trio.move_on_after(END_S):
            while await self.process.stdout.receive_some():
                pass
            await self.process.wait()
        self.process.signal_group(signal.SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def open_part(
    name: str, arguments: Sequence[str], *, stdin: bytes = b"", environment: Mapping[str, str] = {}, code: Path = ROOT
) -> AsyncIterator[Part]:
    """Start a process, and end it with the block; Python imports banken from the checkout `code`.

    Raises `BenchError` when it cannot be started.

    Cancellation: ends the process, within `END_S` + 1 s. Cleanup: its process group is ended and its descriptors are
    closed.
    """
    try:
        process = RealProcess(arguments, {**os.environ, "PYTHONPATH": str(code), **environment}, stdin)
    except OSError as error:
        raise BenchError(f"{name} cannot be started: {error}") from None
    part = Part(name, process)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(part.keep_errors)
            try:
                yield part
            finally:
                with bounded_shield(END_S + 1):
                    await part.end()
    finally:
        process.close()


def python(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs a module with this Python; the current directory is not searched for it."""
    return [sys.executable, "-P", "-m", module, *arguments]


@asynccontextmanager
async def open_receivers(plan: Plan) -> AsyncIterator[Part]:
    """Start viewers in a separate process; the block begins when all that can join have joined. Raises `BenchError`."""
    command = python("ops.bench.lib.receivers")
    async with open_part("the receivers", command, stdin=msgspec.json.encode(plan)) as part:
        await part.read_line(JOIN_S)
        yield part


async def receive(plan: Plan) -> Result:
    """Carry out a plan in a receiving process, and return its result. Raises `BenchError`."""
    async with open_receivers(plan) as part:
        output = await part.read_all()
        try:
            return msgspec.json.decode(output, type=Result)
        except msgspec.DecodeError:
            raise BenchError(f"the receivers say nothing: {part.errors.decode(errors='replace')}") from None
