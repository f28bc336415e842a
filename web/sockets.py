"""The WebSockets that are open, and of them `/ws/events`: the journal as it grows, the state beside it, and leases.

Rules of this file:
- A client of the events is a position in the journal. One that does not read makes nobody wait and takes no memory.
- It is sent something when it is its turn: many that connect at once are not served in one turn of the loop.
- What it asks is answered before the next thing that it asks is read.
- The number of clients is bounded for each path, and the number of WebSockets for each client. Stopping closes every
  one with 1001 before the server ends.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import trio
from quart import Blueprint, websocket
from werkzeug.exceptions import BadRequest, Forbidden, ServiceUnavailable, TooManyRequests

from supervisor import __version__
from supervisor.domain.clients import network_of
from supervisor.domain.events import Recorded
from supervisor.gateway import Gates, SocketStatistics
from supervisor.journal.errors import JournalError

from . import json, leases
from .api import number
from .board import VIEWS, Board
from .client import client
from .hosts import may_connect
from .made import in_turns
from .turns import own_meter

MAX_SOCKETS = 256
"""Of each path."""
MAX_PER_CLIENT = 32
"""WebSockets of one client, of all paths together."""
RECENT = 200
"""Events that a client without a position is given first."""
STATE_EVERY_S = 1.0
SETTLE_S = 0.2
"""After an event the state is sent this soon, so that a burst of events is one state."""
GOING_AWAY = 1001

Messages = Callable[[], Awaitable[Sequence[str]]]
"""How things stand, as messages for one client."""
Show = Callable[[Sequence[str]], None]
"""A client shows other views. Raises `BadRequest`."""


class Sockets:
    """The open WebSockets."""

    def __init__(self) -> None:
        self._open: dict[trio.CancelScope, tuple[str, str]] = {}
        """Each with its path and its client: those of one path take no place from the others."""
        self._closed = trio.lowlevel.ParkingLot()
        self._draining = False
        self._board = Board()
        self.exposed = ""
        """The address at which anybody may reach us, of which each page warns."""
        self._state: tuple[int, float, str] | None = None
        """The last state message: of which event, until when it is fresh, its text."""
        self._making = trio.Lock()

    def statistics(self) -> SocketStatistics:
        return SocketStatistics(max(Counter(path for path, _ in self._open.values()).values(), default=0), MAX_SOCKETS)

    async def drain(self) -> None:
        """Close every WebSocket with 1001 and wait until they are; new ones are refused."""
        self._draining = True
        for scope in list(self._open):
            scope.cancel(reason="draining")
        while self._open:
            await self._closed.park()

    @asynccontextmanager
    async def open(self, protocol: str | None = None) -> AsyncIterator[trio.Nursery]:
        """A place for the WebSocket that asks, which is accepted.

        Raises `ServiceUnavailable` when there is none, and `TooManyRequests` when its client has its share.

        Draining cancels the nursery, and then closes the WebSocket with 1001.
        """
        name = network_of(client())
        taken = sum(path == websocket.path for path, _ in self._open.values())
        if self._draining or taken >= MAX_SOCKETS:
            raise ServiceUnavailable(f"{taken} pages are connected, no more may be")
        if sum(other == name for _, other in self._open.values()) >= MAX_PER_CLIENT:
            raise TooManyRequests(f"{name} has {MAX_PER_CLIENT} WebSockets, no more may be; close a page first")
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

    async def _whole_state(self, gateway: Gates) -> Sequence[str]:
        """How things stand, as one message, made once for all clients that ask at about the same time.

        It is of one instant, and made in pieces between which other tasks run.
        """
        async with self._making:
            if self._state is None or gateway.last_seq > self._state[0] or trio.current_time() >= self._state[1]:
                snapshot, fields = gateway.snapshot(peers=True), []
                until = trio.current_time() + STATE_EVERY_S / 2
                await trio.lowlevel.checkpoint()
                for name, value in json.parts(snapshot, gateway.expiries()):
                    made = await in_turns(value) if isinstance(value, Iterator) else value
                    fields.append(f'"{name}":{json.encode(made).decode()}')
                    await trio.lowlevel.checkpoint()
                self._state = (snapshot.state.seq, until, f"{{{','.join(fields)}}}")
            return [self._state[2]]

    def _view(self, gateway: Gates) -> "Whole | Following":
        """How things stand, in the form that the client asks for. Raises `BadRequest`."""
        wanted = websocket.args.get("state")
        if wanted is None:
            return Whole(partial(self._whole_state, gateway))
        if wanted != "changes":
            raise BadRequest("state may be: changes")
        return Following(self._board, gateway, views_of(websocket.args.get("views", "").split(",")))

    def routes(self, gateway: Gates, allow_origins: tuple[str, ...]) -> Blueprint:
        sockets = Blueprint("sockets", __name__)

        @sockets.websocket("/ws/events")
        async def follow() -> None:
            refuse_strangers(allow_origins)
            after = number(websocket.args, "after", None, 0, 2**62)
            beat, view = Beat(), self._view(gateway)
            async with self.open() as nursery:
                line = Line()
                nursery.start_soon(answer_messages, gateway, line, client(), partial(change_view, view, beat))
                await send_events(gateway, line, after, beat, view.messages, self.exposed)

        return sockets


def refuse_strangers(allow_origins: tuple[str, ...]) -> None:
    """A page of another origin may not listen (a browser always says which page asks). Raises `Forbidden`."""
    origins = websocket.headers.getlist("Origin")
    if not may_connect(websocket.scope, origins, allow_origins):
        raise Forbidden(f"pages of {origins[0][:100]} may not connect; web.allow_origins can list them")


class Whole:
    """A client that is sent everything each time: one that did not ask for changes."""

    def __init__(self, messages: Messages) -> None:
        self.messages = messages


class Following:
    """A client that is sent everything once, and then changes; lists only of the `views` that it shows."""

    def __init__(self, board: Board, gateway: Gates, views: frozenset[str]) -> None:
        self._board, self._gateway, self.views = board, gateway, views
        self._position: dict[str, int] = {}

    async def messages(self) -> Sequence[str]:
        return await self._board.news(self._gateway, self._position, self.views)

    def show(self, views: frozenset[str]) -> None:
        """Other views; one that is shown again is sent in full, also when nothing was sent in between."""
        for gone in self.views - views:
            self._position.pop(gone, None)
        self.views = views


def views_of(names: Iterable[str]) -> frozenset[str]:
    """Raises `BadRequest` for a view that has no list."""
    wanted = frozenset(names) - {""}
    if not wanted <= set(VIEWS):
        raise BadRequest(f"views may be: {', '.join(VIEWS)}")
    return wanted


class Beat:
    """When a client is next sent how things stand."""

    def __init__(self) -> None:
        self.due = trio.current_time()
        self._waiting = trio.CancelScope()

    def hurry(self, at: float) -> None:
        """At this time at the latest."""
        self.due = self._waiting.deadline = min(self.due, at)

    def is_due(self) -> bool:
        return trio.current_time() >= self.due

    @contextmanager
    def wait(self) -> Iterator[None]:
        """Around what is awaited meanwhile; it is cancelled when the time has come."""
        self._waiting = trio.CancelScope(deadline=self.due)
        with self._waiting:
            yield

    def passed(self) -> None:
        self.due = trio.current_time() + STATE_EVERY_S


def change_view(view: Whole | Following, beat: Beat, names: Sequence[str]) -> None:
    """The client shows other views, and is sent their lists at once. Raises `BadRequest`."""
    if isinstance(view, Whole):
        raise BadRequest("this WebSocket is sent everything: ask for it with ?state=changes")
    view.show(views_of(names))
    beat.hurry(trio.current_time())


class Line:
    """The way to one client, for several tasks."""

    def __init__(self) -> None:
        self._lock = trio.Lock()

    async def send(self, text: str) -> None:
        async with self._lock:
            await websocket.send(text)

    async def say(self, **message: object) -> None:
        await self.send(json.encode(message).decode())


async def answer_messages(gateway: Gates, line: Line, client: str, show: Show) -> None:
    """Answer what the client asks, each message in its turn; and notice its end."""
    meter = own_meter(websocket.scope)
    while True:
        data = await websocket.receive()
        await meter.take()
        await line.say(**await meter.measure(leases.answer(gateway, data, client, show)))


async def read_first(gateway: Gates) -> Recorded | None:
    """The oldest event that is kept; None without one, and while the journal cannot be read."""
    try:
        return await gateway.first()
    except (JournalError, OSError):
        return None


async def read_on(gateway: Gates, after: int) -> Sequence[Recorded]:
    """The next events after `after`. Waits for the first one, and tries again while the journal cannot be read."""
    while True:
        try:
            return await gateway.next_events(after)
        except (JournalError, OSError):
            await trio.sleep(STATE_EVERY_S)


async def send_events(
    gateway: Gates,
    line: Line,
    after: int | None,
    beat: Beat,
    messages: Messages,
    exposed: str = "",
) -> None:
    """Hello, then everything after `after` (or the newest), then for ever what happens and how things stand.

    A journal that cannot be read delays events, never the state: that is where the page shows the fault. When the
    newest could not be read at first, it is not the whole journal that comes in their place later.
    """
    meter = own_meter(websocket.scope)
    await meter.take()
    snapshot, first = gateway.snapshot(cameras=False), await read_first(gateway)
    await line.say(
        type="hello",
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
    position, unread = gateway.last_seq, after is None and first is None
    if not unread:
        position = min(after, position) if after is not None else max(0, position - RECENT)
    while True:
        batch: Sequence[Recorded] = ()
        with beat.wait():
            batch = await read_on(gateway, position)
        if batch and unread:
            position, unread = max(position, gateway.last_seq - RECENT), False
            batch = [recorded for recorded in batch if recorded.seq > position]
        if batch or beat.is_due():
            await meter.take()
        if batch:
            position = batch[-1].seq
            await line.say(type="events", events=json.events(batch))
            beat.hurry(trio.current_time() + SETTLE_S)
        if beat.is_due():
            beat.passed()
            for text in await messages():
                await line.send(text)
