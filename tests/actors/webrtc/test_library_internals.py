"""The internals of aiortc and aioice that we use still exist, and still behave as we need.

These tests fail when a new release changes any of them: then `actors/webrtc/library_internals.py` has to follow.
"""

import inspect
import os
import struct
from types import SimpleNamespace

import aioice.ice
import pytest
import trio
import trio_asyncio
from aioice import Candidate
from aiortc import (
    RTCCertificate,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
)
from aiortc.rtcdtlstransport import SRTP_PROFILES, SRTPProtectionProfile
from pylibsrtp import Error, Policy, Session
from trio_asyncio import aio_as_trio

from actors.webrtc.endpoint import Endpoints
from actors.webrtc.library_internals import TAGS, Wire, buffer, include_loopback, locate, rank_candidates, take_roles
from tests.kit.processes import descriptors


async def test_roles_are_taken() -> None:
    """The roles of DTLS and ICE are set before the handshake, in both directions."""
    async with trio_asyncio.open_loop():
        dtls = RTCDtlsTransport(RTCIceTransport(RTCIceGatherer([])), [RTCCertificate.generateCertificate()])
        take_roles(dtls, server=True, controlling=True)
        assert (dtls._role, dtls.transport.role) == ("server", "controlling")
        take_roles(dtls, server=False, controlling=False)
        assert (dtls._role, dtls.transport.role) == ("client", "controlled")


def test_every_protection_that_can_be_negotiated_is_known() -> None:
    """The size of the tag is needed for each SRTP profile of aiortc."""
    assert {profile.openssl_profile for profile in SRTP_PROFILES} == set(TAGS)


@pytest.mark.parametrize("profile", SRTP_PROFILES, ids=lambda profile: profile.openssl_profile.decode())
def test_packets_are_protected_where_they_lie(profile: SRTPProtectionProfile) -> None:
    """They have the stated length, and equal the output of pylibsrtp; repeating it gives the same."""
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


async def test_every_socket_that_gathering_opens_is_our_endpoint() -> None:
    """It can then be closed however gathering ends, and is read without asyncio."""
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


async def test_no_two_candidates_have_the_same_priority() -> None:
    """RFC 8445, section 5.1.2: candidates of one type differ too, whatever their address; the order stays."""
    async with trio_asyncio.open_loop() as loop, trio.open_nursery() as nursery:
        endpoints = Endpoints(loop, nursery)
        gatherer = RTCIceGatherer([])
        await aio_as_trio(gatherer.gather)()
        ice = RTCIceTransport(gatherer)
        found = ice._connection._local_candidates
        found += [Candidate("1", 1, "udp", found[0].priority, "192.0.2.9", port, "host") for port in (1, 2)]
        found.append(Candidate("2", 1, "udp", 1, "192.0.2.9", 3, "srflx"))
        rank_candidates(ice)
        priorities = [candidate.priority for candidate in gatherer.getLocalCandidates()]
        assert priorities == sorted(set(priorities), reverse=True)
        assert [priority >> 24 for priority in priorities] == [126] * (len(found) - 1) + [100]
        endpoints.close()


def test_reports_are_read_by_the_keys_of_the_viewer_alone() -> None:
    """Reports protected with other keys, and repeated ones, are dropped."""
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
    """127.0.0.1 is used only if aioice finds no other address."""
    assert list(inspect.signature(aioice.ice.get_host_addresses).parameters) == ["use_ipv4", "use_ipv6"]
    monkeypatch.setattr(aioice.ice, "get_host_addresses", aioice.ice.get_host_addresses)  # restores it afterwards
    include_loopback(lambda use_ipv4, use_ipv6: [])
    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["127.0.0.1"]
    include_loopback(lambda use_ipv4, use_ipv6: ["192.0.2.2"])
    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == ["192.0.2.2"]
