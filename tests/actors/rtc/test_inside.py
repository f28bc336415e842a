"""What we take from the inside of aiortc and aioice is still there, and still does what we take it for.

These tests fail loudly when a new release changes any of it: then `actors/rtc/inside.py` has to follow.
"""

import inspect
import socket

import aioice.ice
import pytest
import trio_asyncio
from aiortc import RTCConfiguration, RTCDtlsTransport, RTCPeerConnection
from aiortc.rtcdtlstransport import RTCDtlsTransport as Dtls
from trio_asyncio import aio_as_trio

from actors.rtc.inside import include_loopback, remember_endpoints, watch_rtcp


def test_rtcp_comes_through_one_coroutine_after_it_was_verified() -> None:
    """`_recv_next` unprotects RTCP and hands it to `self._handle_rtcp_data`, looked up on the instance."""
    assert inspect.iscoroutinefunction(RTCDtlsTransport._handle_rtcp_data)
    assert list(inspect.signature(RTCDtlsTransport._handle_rtcp_data).parameters) == ["self", "data"]
    source = inspect.getsource(Dtls._recv_next)
    assert source.index("unprotect_rtcp") < source.index("self._handle_rtcp_data(")


async def test_watching_hears_and_passes_on() -> None:
    heard = []
    async with trio_asyncio.open_loop():
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        pc.addTransceiver("video")
        dtls = pc.getTransceivers()[0].sender.transport
        watch_rtcp(dtls, lambda: heard.append(True))
        await aio_as_trio(dtls._handle_rtcp_data)(b"\x80\xc9\x00\x01\x00\x00\x00\x01")
        await aio_as_trio(pc.close)()
    assert heard == [True]


async def test_endpoints_are_opened_through_the_loops_own_method() -> None:
    """Every socket that gathering opens is seen, so that it can be closed however gathering ends."""
    async with trio_asyncio.open_loop() as loop:
        endpoints = remember_endpoints(loop)
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        pc.createDataChannel("x")
        await aio_as_trio(pc.setLocalDescription)(await aio_as_trio(pc.createOffer)())
        assert endpoints
        sockets = [endpoint.get_extra_info("socket") for endpoint in endpoints]
        assert {s.type for s in sockets} == {socket.SOCK_DGRAM}
        await aio_as_trio(pc.close)()


def test_a_machine_with_nothing_but_loopback_has_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(inspect.signature(aioice.ice.get_host_addresses).parameters) == ["use_ipv4", "use_ipv6"]
    monkeypatch.setattr("actors.rtc.inside._stock_addresses", lambda use_ipv4, use_ipv6: [])
    include_loopback()
    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["127.0.0.1"]
    monkeypatch.setattr("actors.rtc.inside._stock_addresses", lambda use_ipv4, use_ipv6: ["192.0.2.2"])
    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["192.0.2.2"]
