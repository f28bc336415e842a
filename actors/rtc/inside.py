"""What is taken from the inside of aiortc and aioice. Nothing else in the project touches a private name of theirs.

`tests/actors/rtc/test_inside.py` fails loudly when a release changes any of it. Written against aiortc 1.16.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aioice.ice
from aiortc import RTCDtlsTransport

_stock_addresses = aioice.ice.get_host_addresses


def include_loopback() -> None:
    """Let viewers on this very machine connect even where it has no other address: aioice leaves loopback out."""

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return _stock_addresses(use_ipv4, use_ipv6) or (["127.0.0.1"] if use_ipv4 else [])

    aioice.ice.get_host_addresses = addresses


def watch_rtcp(dtls: RTCDtlsTransport, heard: Callable[[], None]) -> None:
    """Call `heard` for every RTCP packet that was really the viewer's: SRTCP has been verified by then."""
    stock: Callable[[bytes], Awaitable[None]] = dtls._handle_rtcp_data

    async def handle(data: bytes) -> None:
        heard()
        await stock(data)

    dtls._handle_rtcp_data = handle  # type: ignore[method-assign]


def remember_endpoints(loop: asyncio.AbstractEventLoop) -> list[asyncio.DatagramTransport]:
    """The datagram endpoints `loop` opens from now on: aioice forgets those it opened when gathering is cut short."""
    opened: list[asyncio.DatagramTransport] = []
    stock = loop.create_datagram_endpoint

    async def create(*args: Any, **kwargs: Any) -> Any:
        transport, protocol = await stock(*args, **kwargs)
        opened.append(transport)
        return transport, protocol

    loop.create_datagram_endpoint = create  # type: ignore[method-assign]
    return opened
