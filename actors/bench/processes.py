"""The processes that a benchmark is made of: started, spoken to, ended with their block."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import attrs
import msgspec
import trio

from supervisor.shield import bounded_shield

from ..process import RealProcess
from .plan import Plan, Result

READY_S = 30.0
JOIN_S = 90.0
END_S = 8.0
KEPT = 4096
"""Bytes of its errors that a message shows, at the most."""


class BenchError(Exception):
    """What is measured could not be started, or did not say what it should."""


@attrs.define
class Part:
    """A process that runs. Its errors are read and kept, so that it never waits for us."""

    name: str
    process: RealProcess
    errors: bytearray = attrs.field(factory=bytearray)
    output: bytearray = attrs.field(factory=bytearray)

    @property
    def pid(self) -> int:
        return self.process.pid

    async def read_line(self, within_s: float = READY_S) -> str:
        """The next line of its output. Raises `BenchError` when there is none within that time."""
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
        """All of its output, until it closes it."""
        while data := await self.process.stdout.receive_some():
            self.output += data
        return bytes(self.output)

    async def keep_errors(self) -> None:
        while data := await self.process.stderr.receive_some():
            self.errors += data
            del self.errors[:-KEPT]

    async def end(self) -> None:
        """TERM, and KILL for what does not end within `END_S`."""
        self.process.signal_group(signal.SIGTERM)
        with trio.move_on_after(END_S):
            while await self.process.stdout.receive_some():
                pass
            await self.process.wait()
        self.process.signal_group(signal.SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def open_part(
    name: str, arguments: Sequence[str], *, stdin: bytes = b"", environment: Mapping[str, str] = {}
) -> AsyncIterator[Part]:
    """Start a process, and end it with the block. Raises `BenchError` when it cannot be started."""
    try:
        process = RealProcess(arguments, {**os.environ, **environment}, stdin)
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
    """The command line of one of our modules, by the Python that runs this."""
    return [sys.executable, "-m", module, *arguments]


@asynccontextmanager
async def open_receivers(plan: Plan) -> AsyncIterator[Part]:
    """Viewers in a process of their own; the block begins when all have joined who can. Raises `BenchError`."""
    command = python("actors.rtc.receivers")
    async with open_part("the receivers", command, stdin=msgspec.json.encode(plan)) as part:
        await part.read_line(JOIN_S)
        yield part


async def receive(plan: Plan) -> Result:
    """Carry out a plan. Raises `BenchError`."""
    async with open_receivers(plan) as part:
        output = await part.read_all()
        try:
            return msgspec.json.decode(output, type=Result)
        except msgspec.DecodeError:
            raise BenchError(f"the receivers say nothing: {part.errors.decode(errors='replace')}") from None
