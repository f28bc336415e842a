"""Requests whose body has not arrived in full: few in all, fewer of one client, and each for a bounded time.

Rules of this file:
- The client is the person that a trusted proxy names: nobody takes all connections of a proxy that people share.
- A body is unfinished from the end of its head until its last byte was received, whoever reads it.
- One too many is answered with 429, one too late with 408, and the connection ends with that: the rest is not read.
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
from .places import Places
from .refusals import Refusal

MOST, MOST_OF_CLIENT = 256, 32
"""Of the 448 connections of a proxy: of all clients, and of one."""
ARRIVAL_S = 15.0
"""For a whole body; reading it has less time (`BODY_TIMEOUT_S`), from when it begins."""
TOO_MANY = "many of your requests have not arrived in full; finish them first"
TOO_LATE = "the body of the request did not arrive in time"


class Unfinished:
    """Counts them."""

    def __init__(self) -> None:
        self.places = Places(MOST, MOST_OF_CLIENT, TOO_MANY)

    @contextmanager
    def count(self, client: str, receive: ASGIReceiveCallable) -> Iterator[ASGIReceiveCallable]:
        """`receive` for what answers the request: it ends the count with the last byte, and the request at its time.

        Raises `TooManyRequests` for one too many, and `RequestTimeout` when the body took too long.
        """
        with trio.CancelScope(deadline=trio.current_time() + ARRIVAL_S) as limit, ExitStack() as place:
            try:
                place.enter_context(self.places.hold(client))
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
    """`send` that knows whether an answer has begun."""

    def __init__(self, send: ASGISendCallable) -> None:
        self._send = send
        self._begun = False

    async def __call__(self, message: Any) -> None:
        self._begun = True
        await self._send(message)

    async def refuse(self, error: HTTPException) -> None:
        """Answer with `error`, unless another answer has begun: that one ends here."""
        if self._begun:
            return
        response: Response = problems.from_http(error)
        headers = [*encode_headers(response.headers), (b"connection", b"close")]
        body: Any = await response.get_data(as_text=False)
        await self({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await self({"type": "http.response.body", "body": body, "more_body": False})
