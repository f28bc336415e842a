"""What we take from the inside of aiortc and aioice is still there, and still does what we take it for.

These tests fail loudly when a new release changes any of it: then `actors/rtc/inside.py` has to follow.
"""

import inspect
import os
import struct
from types import SimpleNamespace

import aioice.ice
import pytest
import trio
import trio_asyncio
from aiortc import (
    RTCCertificate,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
)
from aiortc.rtcdtlstransport import SRTP_PROFILES, SRTPProtectionProfile
from pylibsrtp import Error, Policy, Session
from trio_asyncio import aio_as_trio

from actors.rtc.endpoint import Endpoints
from actors.rtc.inside import TAGS, Wire, buffer, include_loopback, locate, take_roles
from tests.kit.processes import descriptors


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
    dtls = SimpleNamespace(
        _ssl=SimpleNamespace(get_selected_srtp_profile=lambda: profile.openssl_profile),
        _tx_srtp=_session(key, Policy.SSRC_ANY_OUTBOUND, profile),
        _rx_srtp=_session(key, Policy.SSRC_ANY_INBOUND, profile),
        transport=SimpleNamespace(_connection=None),
    )
    wire = Wire(dtls)  # type: ignore[arg-type]
    packet = b"\x80\x60\x00\x07" + bytes(8) + b"payload" * 100
    receiver = _session(key, Policy.SSRC_ANY_INBOUND, profile)
    size = len(packet) + wire.tag
    buffer[:3000] = bytes(3000)
    for at in (0, 1000):
        buffer[at : at + len(packet)] = packet
    wire.protect_all(locate([0, 1000]), struct.pack("=2i", len(packet), len(packet)))
    once, again = bytes(buffer[:size]), bytes(buffer[1000 : 1000 + size])
    assert once == again
    assert receiver.unprotect(once) == packet
    assert bytes(buffer[size:1000]) + bytes(buffer[1000 + size : 3000]) == bytes(3000 - 2 * size)
    buffer[: len(packet)] = packet
    assert (wire.protect(len(packet)), bytes(buffer[:size])) == (size, once)
    with pytest.raises(Error):
        wire.protect_all(locate([0, 1000]), struct.pack("=2i", len(packet), 3))


def _session(key: bytes, kind: int, profile: SRTPProtectionProfile) -> Session:
    policy = Policy(key=key, ssrc_type=kind, srtp_profile=profile.libsrtp_profile)
    policy.allow_repeat_tx = True
    return Session(policy)


async def test_every_socket_that_gathering_opens_is_an_endpoint_of_ours() -> None:
    """So that it can be closed however gathering ends, and is read without asyncio."""
    before = descriptors(os.getpid())
    async with trio_asyncio.open_loop() as loop, trio.open_nursery() as nursery:
        endpoints = Endpoints(loop, nursery)
        gatherer = RTCIceGatherer([])
        await aio_as_trio(gatherer.gather)()
        ports = {candidate.port for candidate in gatherer.getLocalCandidates()}
        assert ports
        assert {endpoint.get_extra_info("sockname")[1] for endpoint in endpoints.opened} == ports
        endpoints.close()
    assert descriptors(os.getpid()) == before


def test_reports_are_read_by_the_keys_of_the_viewer_alone() -> None:
    """What was protected by others, or comes a second time, is none."""
    profile = SRTP_PROFILES[0]
    keys = [bytes([first, *range(profile.key_length + profile.salt_length - 1)]) for first in (0, 1)]
    dtls = SimpleNamespace(
        _ssl=SimpleNamespace(get_selected_srtp_profile=lambda: profile.openssl_profile),
        _tx_srtp=_session(keys[0], Policy.SSRC_ANY_OUTBOUND, profile),
        _rx_srtp=_session(keys[0], Policy.SSRC_ANY_INBOUND, profile),
        transport=SimpleNamespace(_connection=None),
    )
    wire = Wire(dtls)  # type: ignore[arg-type]
    report = b"\x80\xc9\x00\x01\x00\x00\x00\x01"
    theirs, strangers = (_session(key, Policy.SSRC_ANY_OUTBOUND, profile).protect_rtcp(report) for key in keys)
    assert [wire.unprotect_rtcp(packet) for packet in (strangers, theirs, theirs, b"\x80\xc9")] == [
        None,
        report,
        None,
        None,
    ]


def test_a_machine_with_nothing_but_loopback_has_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(inspect.signature(aioice.ice.get_host_addresses).parameters) == ["use_ipv4", "use_ipv6"]
    monkeypatch.setattr("actors.rtc.inside._stock_addresses", lambda use_ipv4, use_ipv6: [])
    include_loopback()
    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["127.0.0.1"]
    monkeypatch.setattr("actors.rtc.inside._stock_addresses", lambda use_ipv4, use_ipv6: ["192.0.2.2"])
    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["192.0.2.2"]
