"""Resolve host names and open TCP connections; a lookup that hangs does not delay the others.

Rules of this file:
- A numeric address needs no thread and no lookup.
- One thread at a time looks up a name, regardless of the number and the rate of requests; all names share
  `MAX_THREADS`.
- A caller waits for a name at most `LOOKUP_S` seconds, or less if it asks so. After that time the addresses of the last
  successful lookup are used.
"""

import errno
import math
import socket
from collections.abc import Callable
from functools import partial

import attrs
import trio

from supervisor.base.threads import refusing_threads

from .tls import open_tls

MAX_THREADS = 32
"""A lookup that hangs keeps its thread until the system's resolver gives up, usually after 10 to 40 s."""
LOOKUP_S = 4.0
"""Shorter than the limit of a connection, so that the reported reason is the name and not the connection."""
MAX_ADDRESSES = 4
ADDRESS_S = 5.0
"""Time limit for each address of a name, if the caller has none; else the addresses share the caller's."""
MAX_KNOWN = 256
"""Limit of the cache: names whose last addresses are kept."""

Found = list[tuple[int, int, int, str, tuple[object, ...]]]
"""As `socket.getaddrinfo` returns it; its port is ignored."""
LookUp = Callable[[str], Found]


class NameNotResolved(OSError):
    """The name was not resolved within `LOOKUP_S`, and no earlier result is known."""


@attrs.define
class _Lookup:
    done: trio.Event = attrs.field(factory=trio.Event)
    found: Found = attrs.field(factory=list)
    error: Exception | None = None


def _look_up(name: str) -> Found:
    return socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)  # type: ignore[return-value]


class Resolver:
    """Looks up names in threads.

    `look_up(name)` may block. It may raise `OSError` and `UnicodeError`.
    """

    def __init__(self, look_up: LookUp = _look_up, threads: int = MAX_THREADS) -> None:
        self._look_up, self._threads = look_up, threads
        self._running: dict[str, _Lookup] = {}
        self._known: dict[str, Found] = {}
        self._freed = trio.lowlevel.ParkingLot()

    async def resolve(self, host: str, within_s: float = LOOKUP_S) -> Found:
        """Return the addresses of `host`.

        Raises `OSError` (`NameNotResolved` and `ThreadRefused` among them) and `UnicodeError`. A lookup that exceeds
        `within_s` seconds continues in its thread; its result serves later callers.

        Cancellation: at any time. Cleanup: a thread that still waits for the resolver is abandoned; it is the only one
        for its name.
        """
        if numeric := numeric_addresses(host):
            await trio.lowlevel.checkpoint()
            return numeric
        lookup = _Lookup(error=NameNotResolved(errno.ETIMEDOUT, "the name was not resolved in time"))
        with trio.move_on_after(within_s):
            lookup = await self._ask(host)
        if lookup.error is None:
            return lookup.found
        if host in self._known and not _is_unknown(lookup.error):
            return self._known[host]
        raise lookup.error

    async def _ask(self, host: str) -> _Lookup:
        while (lookup := self._running.get(host)) is None and len(self._running) >= self._threads:
            await self._freed.park()
        if lookup is None:
            lookup = _Lookup()
            deliver = partial(trio.lowlevel.current_trio_token().run_sync_soon, self._finish, host, lookup)
            with refusing_threads():
                trio.lowlevel.start_thread_soon(partial(self._work, host, lookup), lambda _: _deliver(deliver))
            self._running[host] = lookup
        await lookup.done.wait()
        return lookup

    def _work(self, host: str, lookup: _Lookup) -> None:
        """Runs in the thread."""
        try:
            lookup.found = self._look_up(host)
        except (OSError, UnicodeError) as error:
            lookup.error = error

    def _finish(self, host: str, lookup: _Lookup) -> None:
        """Runs in the event loop."""
        del self._running[host]
        if lookup.error is None:
            self._known.pop(host, None)
            self._known[host] = lookup.found
            if len(self._known) > MAX_KNOWN:
                del self._known[next(iter(self._known))]
        lookup.done.set()
        self._freed.unpark_all()  # the first waiter may join a running lookup; the next one then has to wake as well


def _deliver(deliver: Callable[[], None]) -> None:
    try:
        deliver()
    except trio.RunFinishedError:
        return  # the loop has ended, and every waiter with it


def _is_unknown(error: Exception) -> bool:
    """Whether the resolver answered that the name does not exist; earlier results are then invalid."""
    return isinstance(error, UnicodeError) or (isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME)


def numeric_addresses(host: str) -> Found:
    """Return the address of a numeric `host` (IPv4 or IPv6, with or without a zone); empty for a name. Never blocks."""
    try:
        return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)  # type: ignore[return-value]
    except (OSError, UnicodeError):
        return []


RESOLVER = Resolver()
"""Shared by all connections of the daemon."""


async def open_stream(host: str, port: int, resolver: Resolver | None = None) -> trio.SocketStream:
    """Connect to the first address that accepts a connection. Raises `OSError` and `UnicodeError`."""
    found = await (resolver or RESOLVER).resolve(host)
    refusal: OSError = socket.gaierror("no address")
    addresses = found[:MAX_ADDRESSES]
    for index, (family, kind, protocol, _, (address, _port, *rest)) in enumerate(addresses):
        connection = trio.socket.socket(family, kind, protocol)
        try:
            with trio.fail_after(_share_s(len(addresses) - index)):
                await connection.connect((address, port, *rest))
            return trio.SocketStream(connection)
        except OSError as error:
            connection.close()
            refusal = error
        except trio.TooSlowError:
            connection.close()
            refusal = TimeoutError(errno.ETIMEDOUT, "no connection in time")
        except BaseException:
            connection.close()
            raise
    raise refusal


def _share_s(left: int) -> float:
    """Return the time for one of `left` addresses: an equal share of the caller's time limit, if it has one."""
    whole_s = trio.current_effective_deadline() - trio.current_time()
    return ADDRESS_S if whole_s == math.inf else whole_s / left


async def tcp_probe(host: str, port: int) -> bool:
    """Probe with one real TCP connection, which is closed at once. Takes at most 2 s."""
    with trio.move_on_after(2):
        try:
            stream = await open_stream(host, port)
        except (OSError, UnicodeError):
            return False
        await stream.aclose()
        return True
    return False


async def open_tcp(host: str, port: int, tls: bool) -> trio.abc.Stream:
    """Open a real connection. Raises as `open_stream`; also `trio.BrokenResourceError` when it does not speak TLS."""
    stream = await open_stream(host, port)
    if not tls:
        return stream
    return await open_tls(stream, None if numeric_addresses(host) else host)
