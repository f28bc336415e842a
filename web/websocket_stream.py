"""Hypercorn's WebSocket, with a bounded cost per message and a timeout for clients that do not answer pings.

Rules of this file:
- A ping is sent every `websocket_ping_interval` seconds. After `MAX_UNANSWERED` pings without a pong the WebSocket is
  closed, however much data the client sends: RFC 6455 (section 5.5.2) requires it to answer.
- A message has a bounded size and a bounded number of fragments, and frames are handled a few at a time.
- A WebSocket that violates the protocol is closed with a code, and its connection closes soon after.
"""

from collections.abc import Callable
from typing import Any

import trio
from hypercorn.protocol import events
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.ws_stream import FrameTooLargeError, WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Event, Message, Ping, Pong
from wsproto.frame_protocol import CloseReason

from . import refusals
from .loop_scheduler import Meter
from .strict_requests import problem_body

MAX_UNANSWERED = 2
MAX_FRAGMENTS = 256
"""Maximum number of fragments per message. Browsers send each message in one fragment."""
BAD_HANDSHAKE = "this is not the handshake of a WebSocket (RFC 6455), or something was sent before its end"
EVENTS_AT_ONCE = 16
"""Number of frames that are handled between two trio checkpoints; each takes about 10 µs."""


class WebSocketStream(WSStream):
    """One WebSocket. `end_soon` ends the connection, whatever is pending in it."""

    def __init__(self, *arguments: Any, end_soon: Callable[[], None], meter: Meter) -> None:
        super().__init__(*arguments)
        self._end_soon, self._meter = end_soon, meter
        self._unanswered = 0
        self._fragments = 0

    async def handle(self, event: StreamEvent) -> None:
        """Handle an event, and close both sides after a refused handshake.

        Hypercorn refuses an invalid handshake, and data before the end of the handshake, but leaves both sides open.
        """
        was_closed = self.closed
        await super().handle(event)
        if self.closed and not was_closed and not self.handshake.accepted and not isinstance(event, StreamClosed):
            if self.app_put is not None:
                await self.app_put({"type": "websocket.disconnect", "code": CloseReason.ABNORMAL_CLOSURE.value})
            await self.send(StreamClosed(stream_id=self.stream_id))

    async def _send_error_response(self, status_code: int) -> None:
        """Refuse the handshake with a problem document."""
        body = problem_body(status_code, BAD_HANDSHAKE if status_code == 400 else "the WebSocket was not opened")
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        await self.send(events.Response(stream_id=self.stream_id, status_code=status_code, headers=headers))
        await self.send(events.Body(stream_id=self.stream_id, data=body))
        await self.send(events.EndBody(stream_id=self.stream_id))

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
            case CloseConnection() if self.connection.state is ConnectionState.OPEN:  # a protocol violation
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
        """Close with a code. The connection closes soon even if the client does not read."""
        self._end_soon()
        await self._send_wsproto_event(CloseConnection(code=code, reason=reason))
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _send_pings(self) -> None:
        """Send pings without waiting for each send, so that a client that does not read cannot stop the count."""
        while not self.closed:
            if self._unanswered >= MAX_UNANSWERED:
                refusals.count(refusals.Refusal.UNANSWERED_PINGS, self.client[0] if self.client else "")
                await self._end(CloseReason.POLICY_VIOLATION, f"{MAX_UNANSWERED} pings without an answer")
                return
            self._unanswered += 1
            self.task_group.spawn(self._send_wsproto_event, Ping())
            await trio.sleep(self.config.websocket_ping_interval or 0.0)
