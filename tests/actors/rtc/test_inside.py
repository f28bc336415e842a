"""What we take from the inside of aiortc and aioice is still there, and still does what we take it for.

These tests fail loudly when a new release changes any of it: then `actors/rtc/inside.py` has to follow.
"""

import inspect
import socket
from types import SimpleNamespace

import aioice.ice
import pytest
import trio_asyncio
from aiortc import (
    RTCCertificate,
    RTCConfiguration,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
    RTCPeerConnection,
)
from aiortc.rtcdtlstransport import SRTP_PROFILES, SRTPProtectionProfile
from aiortc.rtcdtlstransport import RTCDtlsTransport as Dtls
from pylibsrtp import Policy, Session
from trio_asyncio import aio_as_trio

from actors.rtc.inside import TAGS, Wire, include_loopback, remember_endpoints, take_roles, take_rtcp


def test_rtcp_comes_through_one_coroutine_after_it_was_verified() -> None:
    """`_recv_next` unprotects RTCP and hands it to `self._handle_rtcp_data`, looked up on the instance."""
    assert inspect.iscoroutinefunction(RTCDtlsTransport._handle_rtcp_data)
    assert list(inspect.signature(RTCDtlsTransport._handle_rtcp_data).parameters) == ["self", "data"]
    source = inspect.getsource(Dtls._recv_next)
    assert source.index("unprotect_rtcp") < source.index("self._handle_rtcp_data(")


async def test_rtcp_is_taken() -> None:
    taken: list[bytes] = []
    async with trio_asyncio.open_loop():
        gatherer = RTCIceGatherer([])
        dtls = RTCDtlsTransport(RTCIceTransport(gatherer), [RTCCertificate.generateCertificate()])
        take_rtcp(dtls, taken.append)
        await aio_as_trio(dtls._handle_rtcp_data)(b"\x80\xc9\x00\x01\x00\x00\x00\x01")
    assert taken == [b"\x80\xc9\x00\x01\x00\x00\x00\x01"]


async def test_roles_are_taken() -> None:
    async with trio_asyncio.open_loop():
        dtls = RTCDtlsTransport(RTCIceTransport(RTCIceGatherer([])), [RTCCertificate.generateCertificate()])
        take_roles(dtls, server=True, controlling=True)
        assert (dtls._role, dtls.transport.role) == ("server", "controlling")
        take_roles(dtls, server=False, controlling=False)
        assert (dtls._role, dtls.transport.role) == ("client", "controlled")


def test_every_protection_that_can_be_negotiated_is_known() -> None:
    assert {profile.openssl_profile for profile in SRTP_PROFILES} == set(TAGS)


@pytest.mark.parametrize("profile", SRTP_PROFILES, ids=lambda profile: profile.openssl_profile.decode())
def test_packets_are_protected_where_they_lie(profile: SRTPProtectionProfile) -> None:
    """As long as is said, and as pylibsrtp itself would have them; a second time they are the same."""
    key = bytes(range(profile.key_length + profile.salt_length))
    buffer = bytearray(3000)
    dtls = SimpleNamespace(
        _ssl=SimpleNamespace(get_selected_srtp_profile=lambda: profile.openssl_profile),
        _tx_srtp=_session(key, Policy.SSRC_ANY_OUTBOUND, profile),
        transport=SimpleNamespace(_connection=None),
    )
    wire = Wire(dtls, buffer)  # type: ignore[arg-type]
    packet = b"\x80\x60\x00\x07" + bytes(8) + b"payload" * 100
    receiver = _session(key, Policy.SSRC_ANY_INBOUND, profile)
    for at in (0, 1000):
        buffer[at : at + len(packet)] = packet
        size = wire.protect(at, len(packet))
        assert size == len(packet) + wire.tag
    assert buffer[:size] == buffer[1000 : 1000 + size]
    assert receiver.unprotect(bytes(buffer[:size])) == packet
    assert bytes(buffer[1000 + size :]).strip(b"\0") == b""


def _session(key: bytes, kind: int, profile: SRTPProtectionProfile) -> Session:
    policy = Policy(key=key, ssrc_type=kind, srtp_profile=profile.libsrtp_profile)
    policy.allow_repeat_tx = True
    return Session(policy)


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
