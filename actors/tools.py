"""What every actor is handed. The seams to the world are here and nowhere else, so that a test can be the world."""

import socket
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import attrs
import trio

from supervisor.domain.restart import STARTS_PER_S
from supervisor.domain.values import Reason
from supervisor.kernel import Kernel
from supervisor.vault import Vault

from .hub import Still
from .process import OpenProcess
from .process_table import ProcessTable
from .rtc.connection import Witness, run_connection
from .rtc.fanout import Fanout
from .rtc.offer import Candidate, Offer


class StartGate:
    """One gate for all cameras: `STARTS_PER_S` may start in a second, the first few at once, in the order they came."""

    def __init__(self, per_second: int = STARTS_PER_S) -> None:
        self._turns: deque[float] = deque([-1.0] * per_second, maxlen=per_second)

    async def wait_turn(self) -> None:
        """Returns when it is this caller's turn. A turn that is cancelled while waiting is not given to another."""
        turn = max(trio.current_time(), self._turns[0] + 1.0)
        self._turns.append(turn)
        await trio.sleep_until(turn)


_resolvers = trio.CapacityLimiter(4)

Knock = Callable[[str, int], Awaitable[bool]]
"""`await knock(host, port)`: whether something accepts TCP connections there."""


class Connect(Protocol):
    async def __call__(
        self,
        offer: Offer,
        fanout: Fanout,
        candidates: trio.MemoryReceiveChannel[Candidate],
        witness: Witness,
        *,
        ice_servers: tuple[str, ...],
        disconnected_after_s: float,
    ) -> Reason:
        """Serve one viewer until its connection ends, and say why: as `run_connection` does."""
        ...


@attrs.frozen
class Tools:
    kernel: Kernel
    sources: Vault
    """Where the pictures really come from, secrets included."""
    open_process: OpenProcess
    processes: ProcessTable
    ffmpeg: str
    """Path of the ffmpeg program."""
    knock: Knock
    develop: Callable[[Still], Awaitable[bytes]]
    """A key frame → JPEG. Raises `Undecodable`."""
    ice_servers: tuple[str, ...]
    """`stun:` URLs; none on a LAN."""
    jitter: Callable[[], float]
    """Uniform in [0, 1)."""
    keep: trio.Nursery
    """Outlives every actor: for children that do not die when they are told to."""
    starts: StartGate = attrs.field(factory=StartGate)
    connect: Connect = run_connection


async def knock(host: str, port: int) -> bool:
    """The real one: one TCP connection, closed at once. Bounded by 2 s."""
    with trio.move_on_after(2):
        try:
            # Names are looked up in threads of our own, few and not waited for: a dead resolver must hold nobody else.
            look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            (*_, address), *_ = await trio.to_thread.run_sync(look_up, abandon_on_cancel=True, limiter=_resolvers)
            stream = await trio.open_tcp_stream(str(address[0]), port)
        except (OSError, UnicodeError):
            return False
        await stream.aclose()
        return True
    return False
