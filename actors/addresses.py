"""From a host to a connection, without one that hangs keeping the others from theirs.

Rules of this file:
- An address that is written as a number needs no thread, and waits for no name.
- A name is looked up by one thread at a time, however many ask and however often; all names by `MAX_THREADS`.
- Nobody waits for a name longer than `LOOKUP_S`, or than the caller allows. One that was found before is then used as
  it was.
"""

import errno
import socket
from collections.abc import Callable
from functools import partial

import attrs
import trio

from supervisor.threads import refusing_threads

MAX_THREADS = 32
"""A hung lookup keeps its thread until the system's resolver gives up, mostly after 10 to 40 s."""
LOOKUP_S = 4.0
"""Less than a connection may take, so that the reason is the name and not the connection."""
MAX_ADDRESSES = 4
ADDRESS_S = 5.0
"""For each address of a name, before the next is tried."""
MAX_KNOWN = 256
"""Names whose last addresses are remembered."""

Found = list[tuple[int, int, int, str, tuple[object, ...]]]
"""As `socket.getaddrinfo` returns it; the port does not count."""
LookUp = Callable[[str], Found]


class NameNotResolved(OSError):
    """No answer to the question for a name within `LOOKUP_S`, and none is known from before."""


@attrs.define
class _Lookup:
    done: trio.Event = attrs.field(factory=trio.Event)
    found: Found = attrs.field(factory=list)
    error: Exception | None = None


def _look_up(name: str) -> Found:
    return socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)  # type: ignore[return-value]


class Resolver:
    """`look_up(name)` blocks, and is called in a thread. Raises `OSError` and `UnicodeError`."""

    def __init__(self, look_up: LookUp = _look_up, threads: int = MAX_THREADS) -> None:
        self._look_up, self._threads = look_up, threads
        self._running: dict[str, _Lookup] = {}
        self._known: dict[str, Found] = {}
        self._freed = trio.lowlevel.ParkingLot()

    async def resolve(self, host: str, within_s: float = LOOKUP_S) -> Found:
        """The addresses of `host`. Raises `OSError` (`NameNotResolved`, `ThreadRefused` among them), `UnicodeError`.

        A name that is not resolved in `within_s` seconds goes on to be looked up, for those who ask later.

        Cancellation: at any time. Cleanup: a thread that still asks is abandoned; it is the only one for its name.
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
        """In the thread."""
        try:
            lookup.found = self._look_up(host)
        except (OSError, UnicodeError) as error:
            lookup.error = error

    def _finish(self, host: str, lookup: _Lookup) -> None:
        """In the loop again."""
        del self._running[host]
        if lookup.error is None:
            self._known.pop(host, None)
            self._known[host] = lookup.found
            if len(self._known) > MAX_KNOWN:
                del self._known[next(iter(self._known))]
        lookup.done.set()
        self._freed.unpark_all()  # one alone may find its name being looked up already, and another would wait on


def _deliver(deliver: Callable[[], None]) -> None:
    try:
        deliver()
    except trio.RunFinishedError:
        return  # nobody waits for it any more


def _is_unknown(error: Exception) -> bool:
    """Whether the resolver answered that there is no such name: then nothing that was known counts."""
    return isinstance(error, UnicodeError) or (isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME)


def numeric_addresses(host: str) -> Found:
    """The address that `host` is, IPv4 or IPv6, with a zone or without; nothing for a name. Does not block."""
    try:
        return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)  # type: ignore[return-value]
    except (OSError, UnicodeError):
        return []


RESOLVER = Resolver()
"""For all connections of the daemon."""


async def open_stream(host: str, port: int, resolver: Resolver | None = None) -> trio.SocketStream:
    """A connection to the first address that takes one. Raises `OSError` and `UnicodeError`."""
    found = await (resolver or RESOLVER).resolve(host)
    refusal: OSError = socket.gaierror("no address")
    for family, kind, protocol, _, (address, _port, *rest) in found[:MAX_ADDRESSES]:
        connection = trio.socket.socket(family, kind, protocol)
        try:
            with trio.fail_after(ADDRESS_S):
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
