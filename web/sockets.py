"""The open WebSockets, and the route `/ws/events`: new events of the journal, the current state, and leases.

Rules of this file:
- A subscriber to the events is a position in the journal. One that does not read neither blocks others nor takes
  memory.
- Messages are sent when the client is scheduled (`web/loop_scheduler.py`), so that many clients that connect at once
  are not served in one pass of the loop.
- Each request of a client is answered before the next one is read.
- Messages for many clients are made once for each scope, and kept while a client of that scope is connected.
- The number of clients is bounded per path, and the number of WebSockets per client. On shutdown every WebSocket is
  closed with 1001 before the server ends.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from weakref import WeakValueDictionary

import trio
from quart import websocket
from werkzeug.exceptions import BadRequest, ServiceUnavailable, TooManyRequests

from supervisor import __version__
from supervisor.domain.clients import network_of
from supervisor.domain.events import Recorded
from supervisor.domain.rights import ALL
from supervisor.domain.words import plural
from supervisor.ports.errors import JournalError
from supervisor.ports.gateway import GatewayPort, ReadPort
from supervisor.ports.statistics import SocketStatistics

from . import json
from .board import VIEWS, Board
from .client import client
from .current_state import parts
from .limited import Sight, sight_of
from .loop_scheduler import own_meter
from .messages import Caller, Hello, NewEvents, answer
from .render_cache import in_turns
from .resources.events import events

MAX_SOCKETS = 256
"""Maximum number of WebSockets per path."""
MAX_PER_CLIENT = 32
"""Maximum number of WebSockets per client, over all paths."""
RECENT = 200
"""Number of recent events that a client without a position receives first."""
STATE_EVERY_S = 1.0
SETTLE_S = 0.2
"""Delay in seconds between an event and the state message, so that a burst of events causes one message."""
GOING_AWAY = 1001

Messages = Callable[[], Awaitable[Sequence[str]]]
"""Returns the current state as messages for one client."""


class Sockets:
    """The open WebSockets."""

    def __init__(self) -> None:
        self._open: dict[trio.CancelScope, tuple[str, str]] = {}
        """Path and client of each WebSocket: the limit applies to each path separately."""
        self._closed = trio.lowlevel.ParkingLot()
        self._draining = False
        self._boards: WeakValueDictionary[Sight, Board] = WeakValueDictionary()
        self._states: WeakValueDictionary[Sight, StateMessage] = WeakValueDictionary()
        self._of_all = (
            self._boards.setdefault((ALL, None), Board()),
            self._states.setdefault((ALL, None), StateMessage()),
        )
        self.exposed = ""
        """The address at which other machines can reach the server; every page warns of it."""

    def statistics(self) -> SocketStatistics:
        return SocketStatistics(max(Counter(path for path, _ in self._open.values()).values(), default=0), MAX_SOCKETS)

    async def drain(self) -> None:
        """Close every WebSocket with 1001 and wait until all are closed; new ones are refused."""
        self._draining = True
        for scope in list(self._open):
            scope.cancel(reason="draining")
        while self._open:
            await self._closed.park()

    @asynccontextmanager
    async def open(self, protocol: str | None = None) -> AsyncIterator[trio.Nursery]:
        """Accept the current WebSocket and open a nursery for its tasks.

        Raises `ServiceUnavailable` if the path has no free place, and `TooManyRequests` if the client has reached its
        limit.

        Draining cancels the nursery, and then closes the WebSocket with 1001.
        """
        name = network_of(client())
        taken = sum(path == websocket.path for path, _ in self._open.values())
        if self._draining or taken >= MAX_SOCKETS:
            raise ServiceUnavailable(f"{plural(taken, 'page is', 'pages are')} connected, which is the limit")
        if sum(other == name for _, other in self._open.values()) >= MAX_PER_CLIENT:
            raise TooManyRequests(f"{name} has {MAX_PER_CLIENT} WebSockets, which is the limit; close a page first")
        scope = trio.CancelScope()
        self._open[scope] = websocket.path, name
        try:
            with scope:
                await websocket.accept(subprotocol=protocol)
                async with trio.open_nursery() as nursery:
                    yield nursery
            if scope.cancelled_caught:
                await websocket.close(GOING_AWAY, "banken is stopping")
        finally:
            del self._open[scope]
            self._closed.unpark_all()

    async def follow(
        self, gateway: GatewayPort, after: int | None, views: Iterable[str] | None, *, reads: bool = True
    ) -> None:
        """Send the events behind `after`, and the current state, until the WebSocket ends.

        `views`: as changes, with the lists of these views; None: the whole state each time. `reads`: whether the client
        may read the journal; without that, no event is sent. Raises `BadRequest`.
        """
        sight = sight_of(gateway)
        view = (
            Whole(gateway, self._states.setdefault(sight, StateMessage()))
            if views is None
            else Following(self._boards.setdefault(sight, Board()), gateway, views_of(views))
        )
        beat = StateTimer()
        async with self.open() as nursery:
            line = Line()
            nursery.start_soon(answer_messages, Caller(gateway, client(), partial(change_view, view, beat)), line)
            await send_events(gateway, line, after, beat, view.messages, self.exposed, reads=reads)


class StateMessage:
    """The current state as one message, rendered once for all clients of a scope that ask at about the same time."""

    def __init__(self) -> None:
        self._made: tuple[int, float, str] | None = None
        """The last message: sequence number, time until which it is fresh, text."""
        self._making = trio.Lock()

    async def text(self, gateway: ReadPort) -> str:
        """Return the message. It shows one instant, and is rendered in pieces between which other tasks run."""
        async with self._making:
            if self._made is None or gateway.last_seq > self._made[0] or trio.current_time() >= self._made[1]:
                snapshot, fields = gateway.snapshot(peers=True), []
                until = trio.current_time() + STATE_EVERY_S / 2
                await trio.lowlevel.checkpoint()
                for name, value in parts(snapshot, gateway.expiries()):
                    made = await in_turns(value) if isinstance(value, Iterator) else value
                    fields.append(f'"{name}":{json.encode(made).decode()}')
                    await trio.lowlevel.checkpoint()
                self._made = (snapshot.state.seq, until, f"{{{','.join(fields)}}}")
            return self._made[2]


class Whole:
    """A client that receives the full state each time, since it did not ask for changes."""

    def __init__(self, gateway: ReadPort, message: StateMessage) -> None:
        self._gateway, self._message = gateway, message

    async def messages(self) -> Sequence[str]:
        return [await self._message.text(self._gateway)]


class Following:
    """A client that receives the full state once, and then changes; lists only for the `views` that it shows."""

    def __init__(self, board: Board, gateway: ReadPort, views: frozenset[str]) -> None:
        self._board, self._gateway, self.views = board, gateway, views
        self._position: dict[str, int] = {}

    async def messages(self) -> Sequence[str]:
        return await self._board.news(self._gateway, self._position, self.views)

    def show(self, views: frozenset[str]) -> None:
        """Change the views; one that is shown again is sent in full, even if no message was sent in between."""
        for gone in self.views - views:
            self._position.pop(gone, None)
        self.views = views


def views_of(names: Iterable[str]) -> frozenset[str]:
    """Return the set of view names. Raises `BadRequest` for an unknown view."""
    wanted = frozenset(names) - {""}
    if not wanted <= set(VIEWS):
        raise BadRequest(f"views may be: {', '.join(VIEWS)}")
    return wanted


class StateTimer:
    """The time of the next state message to a client."""

    def __init__(self) -> None:
        self.due = trio.current_time()
        self._waiting = trio.CancelScope()

    def bring_forward(self, at: float) -> None:
        """Move the next message to the time `at` if it is due later."""
        self.due = self._waiting.deadline = min(self.due, at)

    def is_due(self) -> bool:
        return trio.current_time() >= self.due

    @contextmanager
    def wait(self) -> Iterator[None]:
        """Cancel the awaits in the block when the message is due."""
        self._waiting = trio.CancelScope(deadline=self.due)
        with self._waiting:
            yield

    def passed(self) -> None:
        self.due = trio.current_time() + STATE_EVERY_S


def change_view(view: Whole | Following, beat: StateTimer, names: Sequence[str]) -> None:
    """Change the views of the client, whose lists are sent immediately. Raises `BadRequest`."""
    if isinstance(view, Whole):
        raise BadRequest("this WebSocket receives the whole state; request changes with ?state=changes")
    view.show(views_of(names))
    beat.bring_forward(trio.current_time())


class Line:
    """The outgoing side of one WebSocket, shared by several tasks."""

    def __init__(self) -> None:
        self._lock = trio.Lock()

    async def send(self, text: str) -> None:
        async with self._lock:
            await websocket.send(text)

    async def say(self, message: json.Answer) -> None:
        await self.send(json.encode(message).decode())


async def answer_messages(caller: Caller, line: Line) -> None:
    """Answer the messages of the client one after the other, until the WebSocket ends."""
    meter = own_meter(websocket.scope)
    while True:
        data = await websocket.receive()
        await meter.take()
        await line.say(await meter.measure(answer(caller, data)))


async def read_first(gateway: ReadPort) -> Recorded | None:
    """Return the oldest stored event; None if there is no event or the journal cannot be read."""
    try:
        return await gateway.first()
    except (JournalError, OSError):
        return None


async def read_on(gateway: ReadPort, after: int) -> Sequence[Recorded]:
    """Return the next events after `after`. Waits for the first one, and retries while the journal cannot be read."""
    while True:
        try:
            return await gateway.next_events(after)
        except (JournalError, OSError):
            await trio.sleep(STATE_EVERY_S)


async def send_events(
    gateway: ReadPort,
    line: Line,
    after: int | None,
    beat: StateTimer,
    messages: Messages,
    exposed: str = "",
    *,
    reads: bool = True,
) -> None:
    """Send hello, then all events after `after` (None: the newest ones), then new events and state messages.

    An unreadable journal delays events, never the state, which shows the fault on the page. If the newest events could
    not be read at first, only the newest ones are sent later, not the whole journal.
    """
    meter = own_meter(websocket.scope)
    await meter.take()
    snapshot, first = gateway.snapshot(cameras=False), await read_first(gateway)
    hello = Hello(
        version=__version__,
        node=snapshot.state.node,
        run=snapshot.state.run,
        now=json.iso(snapshot.now_ns),
        first=first.seq if first else 1,
        began=json.iso(first.wall_ns) if first else None,
        last=gateway.last_seq,
        exposed=exposed or None,
        replay=None if gateway.replay is None else json.iso(gateway.replay),
    )
    await line.say(hello)
    position, unread = gateway.last_seq, after is None and first is None
    if not unread:
        position = min(after, position) if after is not None else max(0, position - RECENT)
    while True:
        batch: Sequence[Recorded] = ()
        with beat.wait():
            batch = await read_on(gateway, position) if reads else await trio.sleep_forever()
        if batch and unread:
            position, unread = max(position, gateway.last_seq - RECENT), False
            batch = [recorded for recorded in batch if recorded.seq > position]
        if batch or beat.is_due():
            await meter.take()
        if batch:
            position = batch[-1].seq
            await line.say(NewEvents(events=events(batch)))
            beat.bring_forward(trio.current_time() + SETTLE_S)
        if beat.is_due():
            beat.passed()
            for text in await messages():
                await line.send(text)
