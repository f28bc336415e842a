"""RTP over UDP: the datagrams of one camera take no more than its share of the loop, whatever they contain."""

import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from actors.cpu_share import BURST_S, RATE, CpuShare
from actors.media.media import SourceLoss
from actors.media.oddities import Oddity
from actors.sources.rtsp.reasons import Ended
from actors.sources.rtsp.remote import Remote
from actors.sources.rtsp.session import RtspSession
from actors.sources.rtsp.udp import AT_ONCE, OPENING_PACKET, Datagrams, open_datagrams
from tests.kit.processes import wait_until

SENT = 2 * AT_ONCE


def pair() -> tuple[socket.socket, socket.socket]:
    """Return our socket, and the camera's, which is connected to it."""
    ours, camera = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    ours.bind(("127.0.0.1", 0))
    ours.setblocking(False)
    camera.connect(ours.getsockname())
    return ours, camera


async def test_datagrams_that_make_more_work_give_the_loop_back_sooner() -> None:
    """64 cheap datagrams are read in one step, but only one that equals 640."""
    ours, camera = pair()
    with ours, camera:
        for worth, turns in ((1, 2), (AT_ONCE // 2, SENT // 2), (10 * AT_ONCE, SENT)):
            taken: list[bytes] = []

            def take(data: bytes, now: float, taken: list[bytes] = taken, worth: int = worth) -> int:
                taken.append(data)
                return worth

            for _ in range(SENT):
                camera.send(b"x")
            reader = Datagrams("127.0.0.1", [ours])
            for _ in range(turns):
                assert len(taken) < SENT
                reader._take_some(ours, take, 0.0)
            assert len(taken) == SENT


async def test_a_camera_that_floods_is_read_with_pauses(autojump_clock: MockClock) -> None:
    """Each batch costs, so that the burst is used up; overdrawn time is waited for before more is read."""
    ours, camera = pair()
    spent = 0.0
    taken = 0

    def take(_data: bytes, _now: float) -> int:
        nonlocal spent, taken
        taken += 1
        spent += 1.0
        return AT_ONCE

    share = CpuShare(trio.current_time(), lambda: spent)
    with ours, camera:
        for _ in range(5):
            camera.send(b"x")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Datagrams("127.0.0.1", [ours])._read, ours, take, share, session_of())
            await wait_until(lambda: taken == 5, 60)
            nursery.cancel_scope.cancel()
    assert trio.current_time() >= (4 * 1.0 - BURST_S) / RATE


def session_of(*remotes: Remote) -> RtspSession:
    """A session, as far as `Datagrams` reads it."""
    return cast(RtspSession, SimpleNamespace(remotes=list(remotes), datagrams=[], due=lambda: math.inf))


@contextmanager
def sender(address: str) -> Iterator[socket.socket]:
    """A UDP socket that sends from an address of this machine, also to groups."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sent:
        sent.bind((address, 0))
        sent.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        yield sent


def drain(reader: Datagrams, bound: socket.socket) -> list[bytes]:
    """The datagrams that are accepted of those that have arrived."""
    taken: list[bytes] = []

    def take(data: bytes, _now: float) -> int:
        taken.append(data)
        return 1

    reader._take_some(bound, take, 0.0)
    return taken


async def test_datagrams_come_from_the_camera_or_the_source_that_it_names() -> None:
    """Those of any other address are dropped; the named one is reported once."""
    ours, camera = pair()
    with ours, camera, sender("127.0.0.2") as named, sender("127.0.0.3") as foreign:
        loss = SourceLoss()
        reader = Datagrams("127.0.0.1", [ours], loss=loss)
        reader.send(session_of(Remote((0, 0), ("127.0.0.2",))))
        camera.send(b"camera")
        for _ in range(2):
            named.sendto(b"named", ours.getsockname())
        foreign.sendto(b"foreign", ours.getsockname())
        assert drain(reader, ours) == [b"camera", b"named", b"named"]
        assert loss.oddities == {Oddity.OTHER_ADDRESS: 1}


@pytest.mark.parametrize("named", ["127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1"])
def test_camera_elsewhere_cannot_name_this_machine_as_its_source(named: str) -> None:
    """Datagrams of this machine are then dropped: any of its users could send video."""
    ours, local = pair()
    with ours, local:
        reader = Datagrams("192.0.2.1", [ours])
        reader.send(session_of(Remote((0, 0), (named,))))
        local.send(b"forged")
        assert drain(reader, ours) == []


def test_first_datagram_goes_to_the_camera_alone() -> None:
    """A camera does not choose where else we send: datagrams of the named source are only accepted."""
    with sender("127.0.0.1") as ours, sender("127.0.0.1") as camera:
        port = camera.getsockname()[1]
        camera.setblocking(False)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as at_source:
            at_source.bind(("127.0.0.2", port))
            at_source.setblocking(False)
            Datagrams("127.0.0.1", [ours]).send(session_of(Remote((port, port + 1), ("127.0.0.2",))))
            assert camera.recv(100) == OPENING_PACKET
            with pytest.raises(BlockingIOError):
                at_source.recv(100)


def memberships() -> int:
    """How many sockets of this machine are members of the group of these tests."""
    rows = [line.split() for line in Path("/proc/net/igmp").read_text().splitlines()]
    return sum(int(row[1]) for row in rows if row[0] == "072BFFEF")


@pytest.mark.parametrize("sources", [(), ("127.0.0.1",)], ids=["any source", "a named source"])
async def test_multicast_group_is_joined_until_the_end(sources: tuple[str, ...]) -> None:
    """On the interface of the RTSP connection; datagrams of others are dropped, and closing leaves the group."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with sender("127.0.0.1") as camera, sender("127.0.0.2") as foreign:
        port = camera.getsockname()[1] ^ 1
        async with listener, await trio.open_tcp_stream(*listener.socket.getsockname()) as stream:
            async with open_datagrams(stream, "multicast", SourceLoss()) as reader:
                assert reader is not None
                reader.send(session_of(Remote((port, port ^ 1 ^ 1024), sources, "239.255.43.7")))
                assert memberships() == 2
                for one in (foreign, camera, foreign):
                    one.sendto(b"%d" % one.getsockname()[1], ("239.255.43.7", port))
                assert drain(reader, reader.sockets[0]) == [b"%d" % camera.getsockname()[1]]
            assert memberships() == 0
            assert all(bound.fileno() == -1 for bound in reader.sockets)


async def test_group_that_cannot_be_joined_ends_the_connection() -> None:
    """The reason names the group and the error of the operating system."""
    reader: Any = Datagrams("127.0.0.1", [], ("198.51.100.7", 0))
    with pytest.raises(Ended, match=r"the multicast group 239\.255\.43\.7 cannot be joined: No such device"):
        reader.send(session_of(Remote((5432, 5433), (), "239.255.43.7")))
    reader.close()
