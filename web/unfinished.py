"""Limits for requests whose body has not fully arrived: in number, in total and per client, and in time.

Rules of this file:
- The client is the person that a trusted proxy names, so that one person cannot take all connections of a shared proxy.
- A body is unfinished from the end of its head until its last byte is received, whichever code reads it.
- A request above the limit is answered with 429, one that is too late with 408; then the connection closes, and the
  rest is not read.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import inf
from typing import Any

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable
from quart import Response
from quart.utils import encode_headers
from werkzeug.exceptions import HTTPException, RequestTimeout, TooManyRequests

from . import problems, refusals
from .concurrency import ConcurrencyLimit
from .refusals import Refusal

MOST, MOST_OF_CLIENT = 256, 32
"""Maximum number of unfinished requests, of the 448 connections of a proxy: in total, per client."""
ARRIVAL_S = 15.0
"""Time limit in seconds for a whole body. `BODY_TIMEOUT_S`, which starts with the reading, is shorter."""
TOO_MANY = "many of your requests have not arrived in full; finish them first"
TOO_LATE = "the body of the request did not arrive in time"


class Unfinished:
    """Counts the unfinished requests."""

    def __init__(self) -> None:
        self.limit = ConcurrencyLimit(MOST, MOST_OF_CLIENT, TOO_MANY)

    @contextmanager
    def count(self, client: str, receive: ASGIReceiveCallable) -> Iterator[ASGIReceiveCallable]:
        """Count a request until its last byte; yields the `receive` to use for it.

        Raises `TooManyRequests` above the limit, and `RequestTimeout` if the body takes too long.
        """
        with trio.CancelScope(deadline=trio.current_time() + ARRIVAL_S) as limit, ExitStack() as place:
            try:
                place.enter_context(self.limit.hold(client))
            except TooManyRequests:
                refusals.count(Refusal.UNFINISHED_BODIES, client)
                raise

            async def receive_on() -> ASGIReceiveEvent:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    limit.deadline = inf
                    place.close()
                return message

            yield receive_on
        if limit.cancelled_caught:
            raise RequestTimeout(TOO_LATE)


def has_body(scope: Any) -> bool:
    """Whether a body follows the head (RFC 9112, section 6)."""
    return scope["type"] == "http" and any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
        for name, value in scope["headers"]
    )


class Answering:
    """A `send` that records whether an answer has begun."""

    def __init__(self, send: ASGISendCallable) -> None:
        self._send = send
        self._begun = False

    async def __call__(self, message: Any) -> None:
        self._begun = True
        await self._send(message)

    async def refuse(self, error: HTTPException) -> None:
        """Answer with `error`; if another answer has begun, it is left incomplete."""
        if self._begun:
            return
        response: Response = problems.from_http(error)
        headers = [*encode_headers(response.headers), (b"connection", b"close")]
        body: Any = await response.get_data(as_text=False)
        await self({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await self({"type": "http.response.body", "body": body, "more_body": False})
