"""A bad line between a viewer and banken: a UDP relay in a separate process, which no loop of a test can delay.

    async with open_relay(up=Link(loss=0.03), down=Link(loss=0.03), seed=1) as relay:
        port = await relay.open("192.0.2.1", 40000)     # sends on what comes to 192.0.2.1:port, and brings the answers

Rules of this file:
1. One relay is one viewer's line: all of its ports, and both ends of each, share the two links. `link.py` decides.
2. Each address of the viewer has its own socket towards banken, as behind a NAT, so that ICE sees distinct addresses.
3. Errors of the relay itself are counted: packets that the kernel dropped before it, and its maximum lateness.
"""

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NoReturn

import attrs
import trio

from .link import Line, Link, Traffic
from .patience import give_up_after

ROOT = Path(__file__).parents[2]
HEADERS = 28
"""Bytes of IPv4 and UDP in front of each packet: a line carries them too."""
BUFFER_BYTES = 4 * 1024 * 1024
"""In front of the relay, for two seconds of pictures that are sent at once."""
MAX_DATAGRAM = 65_536
SO_RXQ_OVFL = 40
"""Linux: say with each packet how many were dropped in front of it (socket(7)); Python has no name for it."""
CONTROL_S = 5.0


@attrs.define
class Direction(Traffic):
    """Counts for one direction."""

    rtp: int = 0
    """Those delivered that are RTP, not RTCP, DTLS or STUN (RFC 7983, RFC 5761)."""
    spoiled: int = 0
    """Dropped by the kernel before the relay could read them, or when it sent them: must be 0, or a figure is worth
    nothing."""
    latest_s: float = 0.0
    """Maximum lateness of the relay itself in seconds."""


@attrs.frozen
class Relayed:
    up: Direction
    down: Direction


class Relay:
    """Made by `open_relay`."""

    def __init__(self, control: trio.SocketStream) -> None:
        self.ports: set[int] = set()
        self._control = control
        self._turn = trio.Lock()

    async def open(self, host: str, port: int) -> int:
        """A port on the same host that leads to this one."""
        opened = int(await self._ask("open", host, port))
        self.ports.add(opened)
        return opened

    async def statistics(self) -> Relayed:
        answer = await self._ask("statistics")
        return Relayed(Direction(**answer["up"]), Direction(**answer["down"]))

    async def _ask(self, *what: object) -> Any:
        async with self._turn:
            with give_up_after(CONTROL_S):
                await _write(self._control, what)
                return await _read(self._control)


@asynccontextmanager
async def open_relay(up: Link, down: Link, seed: int) -> AsyncIterator[Relay]:
    """A relay with these links: `up` from the viewer to banken, `down` with the pictures. Ends with the block."""
    ours, theirs = socket.socketpair()
    arguments = json.dumps([theirs.fileno(), attrs.asdict(up), attrs.asdict(down), seed])
    process = subprocess.Popen(  # noqa: ASYNC220 - a test may block for the millisecond it takes
        [sys.executable, "-m", "tests.kit.relay", arguments], cwd=ROOT, pass_fds=[theirs.fileno()]
    )
    theirs.close()
    try:
        async with trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as control:
            yield Relay(control)
    finally:
        process.kill()
        process.wait()


async def _write(stream: trio.SocketStream, value: object) -> None:
    data = json.dumps(value).encode()
    await stream.send_all(len(data).to_bytes(4) + data)


async def _read(stream: trio.SocketStream) -> Any:
    """A value; none at the end of the stream."""
    data = b""
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4]):
        # One request at a time, one answer to each: no data follows it.
        more = await stream.receive_some()
        if not more:
            return None
        data += more
    return json.loads(data[4:])


# ── in its own process ──────────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class _Hop:
    """A packet and how to send it on."""

    data: bytes
    send: Callable[[bytes], object]


class _Way:
    """One direction: a line, and the task that waits for what comes out of it."""

    def __init__(self, link: Link, seed: str) -> None:
        self._line = Line[_Hop](link, Random(seed))
        self._rtp = self._spoiled = 0
        self._latest_s = 0.0
        self._sent = trio.Event()

    def send(self, hop: _Hop) -> None:
        earliest = self._line.next_at
        self._line.send(hop, len(hop.data) + HEADERS, trio.current_time())
        if self._line.next_at < earliest:
            self._sent.set()

    def spoil(self, packets: int) -> None:
        self._spoiled += packets

    def statistics(self) -> Direction:
        return Direction(
            **attrs.asdict(self._line.traffic), rtp=self._rtp, spoiled=self._spoiled, latest_s=self._latest_s
        )

    async def run(self) -> NoReturn:
        while True:
            due_at, now = self._line.next_at, trio.current_time()
            if due_at <= now:
                self._latest_s = max(self._latest_s, now - due_at)
            for hop in self._line.receive(now):
                self._deliver(hop)
            self._sent = trio.Event()
            with trio.move_on_at(self._line.next_at):
                await self._sent.wait()

    def _deliver(self, hop: _Hop) -> None:
        try:
            hop.send(hop.data)
        except BlockingIOError:
            self._spoiled += 1
        except OSError:
            pass  # the receiver has gone, which the kernel reports as an error
        self._rtp += hop.data[0] >> 6 == 2 and not 192 <= hop.data[1] <= 223


class _Exchange:
    """The sockets of a relay."""

    def __init__(self, up: _Way, down: _Way, nursery: trio.Nursery) -> None:
        self._up = up
        self._down = down
        self._nursery = nursery

    def open(self, host: str, port: int) -> int:
        listening = _socket(host)
        self._nursery.start_soon(self._run_port, listening, (host, port))
        return int(listening.getsockname()[1])

    async def _run_port(self, listening: socket.socket, upstream: tuple[str, int]) -> None:
        sockets: dict[Any, socket.socket] = {}

        def take(data: bytes, viewer: Any) -> None:
            if viewer not in sockets:
                sockets[viewer] = _socket(upstream[0])
                sockets[viewer].connect(upstream)
                back = partial(self._bring_back, listening, viewer)
                self._nursery.start_soon(_run_reader, sockets[viewer], back, self._down)
            self._up.send(_Hop(data, sockets[viewer].send))

        await _run_reader(listening, take, self._up)

    def _bring_back(self, listening: socket.socket, viewer: Any, data: bytes, _: Any) -> None:
        self._down.send(_Hop(data, lambda data: listening.sendto(data, viewer)))


def _socket(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), BUFFER_BYTES)
    except PermissionError:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    made.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    made.bind((host, 0))
    return made


async def _run_reader(reading: socket.socket, take: Callable[[bytes, Any], None], way: _Way) -> NoReturn:
    dropped = 0
    while True:
        await trio.lowlevel.wait_readable(reading)
        try:
            while True:
                data, ancillary, _, sender = reading.recvmsg(MAX_DATAGRAM, 64)
                for _, kind, value in ancillary:
                    if kind == SO_RXQ_OVFL:
                        total = struct.unpack("I", value)[0]
                        way.spoil(total - dropped)
                        dropped = total
                if len(data) > 1:
                    take(data, sender)
        except BlockingIOError:
            pass
        except ConnectionRefusedError:
            pass  # an answer to what was sent before: banken has closed that port


async def serve(control: trio.SocketStream, up: Link, down: Link, seed: int) -> None:
    """Execute requests until the client has gone."""
    ways = {"up": _Way(up, f"{seed}/up"), "down": _Way(down, f"{seed}/down")}
    async with control, trio.open_nursery() as nursery:
        exchange = _Exchange(ways["up"], ways["down"], nursery)
        for way in ways.values():
            nursery.start_soon(way.run)
        while (question := await _read(control)) is not None:
            match question:
                case ["open", host, port]:
                    answer: Any = exchange.open(host, port)
                case _:
                    answer = {name: attrs.asdict(way.statistics()) for name, way in ways.items()}
            await _write(control, answer)
        nursery.cancel_scope.cancel()


async def main(descriptor: int, up: Any, down: Any, seed: int) -> None:
    control = trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=descriptor)))
    await serve(control, Link(**up), Link(**down), seed)


if __name__ == "__main__":
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -10)  # a line is not slower because a browser computes
    except PermissionError:
        pass
    trio.run(main, *json.loads(sys.argv[1]))
