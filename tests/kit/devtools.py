"""One Chrome DevTools Protocol connection: commands answered, events delivered.

Rules of this file:
1. One task reads. Event handlers run in it: they note and return, they never wait.
2. Every command is answered, or fails: by the browser, by the end of its session, or by the end of the connection.
3. Flat sessions: one WebSocket carries the browser and all of its pages.

Source: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from .patience import PATIENCE, give_up_after
from .process_group import open_background

MAX_MESSAGE_BYTES = 256 * 1024 * 1024  # a full-page screenshot is one message; trio-websocket's default is 1 MiB
RECEIVE_BYTES = 256 * 1024
COMMAND_SECONDS = 30.0

SESSION_ENDED = "Kit.sessionEnded"  # our own event: page closed, its process crashed, or the browser is gone

Json = dict[str, Any]
Handler = Callable[[str, Json], None]


class DevToolsError(Exception):
    """The browser refused a command; its own words."""


class PageGone(DevToolsError):
    """The page or the whole browser ended before it answered."""


@attrs.define(eq=False)
class _Call:
    method: str
    session: str | None
    done: trio.Event = attrs.field(factory=trio.Event)
    result: Json | None = None
    error: DevToolsError | None = None

    def fail(self, error: DevToolsError) -> None:
        self.error = error
        self.done.set()


class DevTools:
    """Made by `open_devtools`."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._handlers: dict[str, Handler] = {}
        self._closed = False

    async def send(
        self, method: str, params: Json | None = None, *, session: str | None = None, within: float = COMMAND_SECONDS
    ) -> Json:
        """Give one command and return its result.

        Raises DevToolsError (refused), PageGone (no one is left to answer), TimeoutError (no answer `within` seconds).
        """
        call = _Call(method, session)
        number = next(self._numbers)
        message: Json = {"id": number, "method": method, "params": params or {}}
        if session is not None:
            message["sessionId"] = session
        if self._closed:
            raise PageGone(f"{method}: the connection to the browser is closed")
        self._calls[number] = call
        try:
            with trio.move_on_after(within * PATIENCE):
                await self._socket.send_message(json.dumps(message))
                await call.done.wait()
        except ConnectionClosed:
            raise PageGone(f"{method}: the connection to the browser is closed") from None
        finally:
            del self._calls[number]
        if call.error is not None:
            raise call.error
        if call.result is None:
            raise TimeoutError(f"{method}: no answer from the browser within {within:g} s")
        return call.result

    def listen(self, session: str, handler: Handler) -> None:
        """Events of `session` go to `handler(method, params)` from now on; the last one is SESSION_ENDED."""
        self._handlers[session] = handler

    def forget(self, session: str) -> None:
        self._handlers.pop(session, None)

    async def run(self) -> None:
        """Read until the connection closes."""
        try:
            while True:
                self._take(json.loads(await self._socket.get_message()))
        except ConnectionClosed:
            pass
        finally:
            self._closed = True
            for session in list(self._handlers):
                self._end_session(session, "the browser")
            self._fail_calls(None, "the browser")

    def _take(self, message: Json) -> None:
        if "id" in message:
            call = self._calls.get(message["id"])
            if call is None:
                return  # its caller has given up
            if "error" in message:
                error = message["error"]
                call.fail(DevToolsError(f"{call.method}: {error.get('message')} {error.get('data', '')}".strip()))
            else:
                call.result = message["result"]
                call.done.set()
            return
        method, params = message["method"], message["params"]
        session = message.get("sessionId")
        if method == "Target.detachedFromTarget":
            self._end_session(params["sessionId"], "the page")
        elif method == "Inspector.targetCrashed":
            self._end_session(message["sessionId"], "the page's process")
        elif session is not None and (handler := self._handlers.get(session)):
            handler(method, params)

    def _end_session(self, session: str, who: str) -> None:
        self._fail_calls(session, who)
        if handler := self._handlers.pop(session, None):
            handler(SESSION_ENDED, {"who": who})

    def _fail_calls(self, session: str | None, who: str) -> None:
        for call in self._calls.values():
            if call.session == session:
                call.fail(PageGone(f"{call.method}: {who} ended before it answered"))


@asynccontextmanager
async def open_devtools(url: str) -> AsyncIterator[DevTools]:
    """Connect to the WebSocket at `url`. Cleanup: closed within 1 s, also when the browser is gone or frozen."""
    async with open_background() as tasks:
        host, _, resource = url.removeprefix("ws://").partition("/")
        name, _, port = host.partition(":")
        with give_up_after(COMMAND_SECONDS):
            # The stream is ours: trio-websocket leaves it open when the other end closes first.
            stream = await trio.open_tcp_stream(name, int(port))
            socket = await wrap_client_stream(
                tasks,
                stream,
                host,
                f"/{resource}",
                max_message_size=MAX_MESSAGE_BYTES,
                receive_buffer_size=RECEIVE_BYTES,
            )
        devtools = DevTools(socket)
        tasks.start_soon(devtools.run)
        try:
            yield devtools
        finally:
            with trio.move_on_after(1, shield=True):
                await socket.aclose()
            await trio.aclose_forcefully(stream)
