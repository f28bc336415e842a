"""RTP over UDP: one camera's datagrams take no more of the loop than its share, whatever is in them."""

import socket

import trio
from trio.testing import MockClock

from actors.share import BURST_S, RATE, Share
from actors.sources.rtsp.udp import AT_ONCE, Datagrams
from tests.kit.processes import wait_until

SENT = 2 * AT_ONCE


def pair() -> tuple[socket.socket, socket.socket]:
    """Ours, and the camera's, which is connected to it."""
    ours, camera = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    ours.bind(("127.0.0.1", 0))
    ours.setblocking(False)
    camera.connect(ours.getsockname())
    return ours, camera


async def test_datagrams_that_make_more_work_give_the_loop_back_sooner() -> None:
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
    """Each turn costs, so that the burst is used up; what is over is waited for before more is read."""
    ours, camera = pair()
    spent = 0.0
    taken = 0

    def take(_data: bytes, _now: float) -> int:
        nonlocal spent, taken
        taken += 1
        spent += 1.0
        return AT_ONCE

    share = Share(trio.current_time(), lambda: spent)
    with ours, camera:
        for _ in range(5):
            camera.send(b"x")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Datagrams("127.0.0.1", [ours])._read, ours, take, share)
            await wait_until(lambda: taken == 5, 60)
            nursery.cancel_scope.cancel()
    assert trio.current_time() >= (4 * 1.0 - BURST_S) / RATE
