"""Hypercorn's WebSocket, with a bounded cost of each message and an end for clients that do not answer.

Rules of this file:
- A ping goes out every `websocket_ping_interval` seconds. After `MAX_UNANSWERED` of them without a pong the WebSocket
  is closed, however much data the client sends: RFC 6455 (5.5.2) obliges it to answer.
- A message has a bounded size and a bounded number of fragments, and frames are handled a few at a time.
- A WebSocket that breaks the protocol is closed with a code, and its connection ends soon after.
"""

from collections.abc import Callable
from typing import Any

import trio
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.ws_stream import FrameTooLargeError, WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Event, Message, Ping, Pong
from wsproto.frame_protocol import CloseReason

from . import refusals
from .turns import Meter

MAX_UNANSWERED = 2
MAX_FRAGMENTS = 256
"""Of one message. Browsers send each message in one."""
EVENTS_AT_ONCE = 16
"""Frames that are handled before other tasks get their turn; each takes about 10 µs."""


class WebSocketStream(WSStream):
    """One WebSocket. `end_soon` ends the connection, whatever waits in it."""

    def __init__(self, *arguments: Any, end_soon: Callable[[], None], meter: Meter) -> None:
        super().__init__(*arguments)
        self._end_soon, self._meter = end_soon, meter
        self._unanswered = 0
        self._fragments = 0

    async def handle(self, event: StreamEvent) -> None:
        """Hypercorn refuses a bad handshake, and data before the handshake is over, and then leaves both sides open."""
        was_closed = self.closed
        await super().handle(event)
        if self.closed and not was_closed and not self.handshake.accepted and not isinstance(event, StreamClosed):
            if self.app_put is not None:
                await self.app_put({"type": "websocket.disconnect", "code": CloseReason.ABNORMAL_CLOSURE.value})
            await self.send(StreamClosed(stream_id=self.stream_id))

    async def _handle_events(self) -> None:
        for number, event in enumerate(self.connection.events(), 1):
            await self._take(event)
            if self.closed:
                return
            if number % EVENTS_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
                await self._meter.take()

    async def _take(self, event: Event) -> None:
        match event:
            case Message():
                await self._take_part(event)
            case Ping():
                await self._send_wsproto_event(event.response())
            case Pong():
                self._unanswered = 0
            case CloseConnection() if self.connection.state is ConnectionState.REMOTE_CLOSING:
                await self._send_wsproto_event(event.response())
                await self.send(StreamClosed(stream_id=self.stream_id))
            case CloseConnection() if self.connection.state is ConnectionState.OPEN:  # it breaks the protocol
                await self._end(event.code, event.reason or "")
            case CloseConnection():
                await self.send(StreamClosed(stream_id=self.stream_id))
            case _:
                pass

    async def _take_part(self, part: Message[Any]) -> None:
        self._fragments += part.frame_finished
        try:
            self.buffer.extend(part)
        except FrameTooLargeError:
            await self._end(CloseReason.MESSAGE_TOO_BIG, "the message is too large")
            return
        if part.message_finished:
            message, self._fragments = self.buffer.to_message(), 0
            self.buffer.clear()
            await self.app_put(message)  # type: ignore[misc]
        elif self._fragments >= MAX_FRAGMENTS:
            await self._end(CloseReason.MESSAGE_TOO_BIG, "the message has too many fragments")

    async def _end(self, code: int, reason: str) -> None:
        """Close with a code. The connection ends soon even if the client takes nothing of it."""
        self._end_soon()
        await self._send_wsproto_event(CloseConnection(code=code, reason=reason))
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _send_pings(self) -> None:
        """Nobody waits for a ping to be sent: a client that takes nothing cannot keep the count from going on."""
        while not self.closed:
            if self._unanswered >= MAX_UNANSWERED:
                refusals.count(refusals.Refusal.UNANSWERED_PINGS, self.client[0] if self.client else "")
                await self._end(CloseReason.POLICY_VIOLATION, f"{MAX_UNANSWERED} pings without an answer")
                return
            self._unanswered += 1
            self.task_group.spawn(self._send_wsproto_event, Ping())
            await trio.sleep(self.config.websocket_ping_interval or 0.0)
