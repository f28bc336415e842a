"""What waits to be decoded: in which order it is taken, and how rarely motion is."""

import pytest
import trio
from trio.testing import MockClock

from actors.decoder.queue import MOST_WAITING, MOTION_SHARE, Backlog, Job, Undecodable
from actors.decoder.wire import JPEG, LOOK, Request
from supervisor.domain.ids import CameraId


def job(kind: int, name: str = "gate") -> Job:
    return Job(CameraId(name), Request(0, kind, "h264", b""))


async def test_snapshots_are_taken_before_looks(autojump_clock: MockClock) -> None:
    """Each kind in the order in which it came."""
    backlog = Backlog()
    jobs = [job(LOOK), job(JPEG), job(LOOK), job(JPEG)]
    for each in jobs:
        backlog.put(each)
    assert [await backlog.take() for _ in jobs] == [jobs[1], jobs[3], jobs[0], jobs[2]]


async def test_looks_of_all_cameras_share_one_part_of_a_core(autojump_clock: MockClock) -> None:
    """However many cameras there are, and however large their pictures."""
    backlog, spent, looks = Backlog(), 0.0, 0
    began = trio.current_time()
    while trio.current_time() < began + 600:
        for number in range(16):
            backlog.put(job(LOOK, f"camera-{number}"))
            taken = await backlog.take()
            assert taken.request.kind == LOOK
            cost_s = 0.002 if number % 2 else 0.050
            backlog.pay(trio.current_time(), cost_s)
            spent, looks = spent + cost_s, looks + 1
    assert looks > 100
    assert spent / (trio.current_time() - began) <= MOTION_SHARE * 1.05


async def test_look_that_waits_for_its_share_holds_up_no_snapshot(autojump_clock: MockClock) -> None:
    """The snapshot is taken at once."""
    backlog = Backlog()
    backlog.pay(trio.current_time(), 1.0)
    backlog.put(job(LOOK))
    snapshot, began = job(JPEG), trio.current_time()
    backlog.put(snapshot)
    assert await backlog.take() is snapshot
    assert trio.current_time() == began


async def test_too_many_snapshots_are_refused_and_those_left_are_forgotten() -> None:
    """The bound is on those that wait now."""
    backlog = Backlog()
    jobs = [job(JPEG) for _ in range(MOST_WAITING)]
    for each in jobs:
        backlog.put(each)
    with pytest.raises(Undecodable, match="wait to be decoded already"):
        backlog.put(job(JPEG))
    backlog.discard(jobs[0])
    backlog.put(job(JPEG))
    assert await backlog.take() is jobs[1]
    backlog.put_back(jobs[1])
    assert await backlog.take() is jobs[1]
