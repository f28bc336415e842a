"""The decoder's queue: the order of jobs, and the limited rate of motion detection."""

import random
from collections import Counter

import pytest
import trio
from trio.testing import MockClock

from actors.media.decoder.queue import MOST_WAITING, MOTION_SHARE, Backlog, Debts, Job, Undecodable
from actors.media.decoder.wire import JPEG, LOOK, DecoderRequest
from supervisor.domain.ids import CameraId
from tests.kit.patience import give_up_after


def job(kind: int, name: str = "gate") -> Job:
    return Job(CameraId(name), DecoderRequest(0, kind, "h264", b""))


async def test_snapshots_are_taken_before_looks(autojump_clock: MockClock) -> None:
    """Each kind is in order of arrival."""
    backlog = Backlog()
    jobs = [job(LOOK), job(JPEG), job(LOOK), job(JPEG)]
    for each in jobs:
        backlog.put(each)
    assert [await backlog.take() for _ in jobs] == [jobs[1], jobs[3], jobs[0], jobs[2]]


async def test_looks_of_all_cameras_share_one_part_of_a_core(autojump_clock: MockClock) -> None:
    """This holds for any number of cameras and any size of frames."""
    backlog, spent, looks = Backlog(), 0.0, 0
    began = trio.current_time()
    while trio.current_time() < began + 600:
        for number in range(16):
            backlog.put(job(LOOK, f"camera-{number}"))
            taken = await backlog.take()
            assert taken.request.kind == LOOK
            cost_s = 0.002 if number % 2 else 0.050
            backlog.charge(taken.camera, cost_s)
            spent, looks = spent + cost_s, looks + 1
    assert looks > 100
    assert spent / (trio.current_time() - began) <= MOTION_SHARE * 1.05


async def test_camera_whose_looks_cost_much_delays_no_other(autojump_clock: MockClock) -> None:
    """A camera that costs a second delays only its own jobs; the others are served as their own cost allows."""
    backlog = Backlog()
    costs, looks = {"dear": 1.0, **{f"cheap-{number}": 0.005 for number in range(15)}}, Counter[str]()
    for name in costs:
        backlog.put(job(LOOK, name))
    began = trio.current_time()
    with trio.move_on_at(began + 600):
        while True:
            taken = await backlog.take()
            looks[taken.camera] += 1
            backlog.charge(taken.camera, costs[taken.camera])
            backlog.put(job(LOOK, taken.camera))
    assert looks["dear"] == 1
    assert min(looks[name] for name in costs if name != "dear") >= 600 * MOTION_SHARE / 16 / 0.005 * 0.9
    spent_s = sum(looks[name] * costs[name] for name in costs)
    assert spent_s <= 600 * MOTION_SHARE + sum(costs.values())


@pytest.mark.parametrize("seed", range(5))
def test_debts_are_paid_within_the_share_whatever_they_are(seed: int) -> None:
    """Over any time, its share is paid or all that is owed; many steps pay the same as one."""
    chance, now = random.Random(seed), 100.0
    one, many = Debts(), Debts()
    for _ in range(50):
        for _ in range(chance.randrange(3)):
            camera, cost_s = CameraId(f"c{chance.randrange(6)}"), chance.choice([0.0, 0.001, 0.05, 2.0])
            one.add(camera, cost_s, now)
            many.add(camera, cost_s, now)
        before = sum(one._owed.values())
        ready = {camera: one.paid_at(owed, now) for camera, owed in one._owed.items()}
        span = chance.choice([0.1, 1.0, 30.0])
        for step in range(1, 8):
            many.owed(CameraId("c0"), now + span * step / 7)
        now += span
        one.owed(CameraId("c0"), now)
        assert sum(one._owed.values()) == pytest.approx(max(0.0, before - span * MOTION_SHARE), abs=1e-7)
        assert one._owed == pytest.approx(many._owed, abs=1e-7)
        assert {camera for camera, at in ready.items() if at > now + 1e-6} <= set(one._owed)
        assert not {camera for camera, at in ready.items() if at < now - 1e-6} & set(one._owed)


async def test_look_that_may_not_be_taken_yet_is_no_work(autojump_clock: MockClock) -> None:
    """Nothing starts for it before its time; a snapshot is due at once."""
    backlog = Backlog()
    backlog.charge(CameraId("gate"), 3.0)
    backlog.put(job(LOOK))
    began = trio.current_time()
    assert backlog.first_camera() is None
    await backlog.wait_ready()
    assert trio.current_time() - began == pytest.approx(3.0 / MOTION_SHARE)
    assert backlog.first_camera() == CameraId("gate")
    backlog.charge(CameraId("gate"), 3.0)
    backlog.put(job(JPEG, "yard"))
    with give_up_after(1):
        await backlog.wait_ready()


async def test_look_that_waits_for_its_share_holds_up_no_snapshot(autojump_clock: MockClock) -> None:
    """The snapshot is decoded at once."""
    backlog = Backlog()
    backlog.charge(CameraId("gate"), 1.0)
    backlog.put(job(LOOK))
    snapshot, began = job(JPEG), trio.current_time()
    backlog.put(snapshot)
    assert await backlog.take() is snapshot
    assert trio.current_time() == began


async def test_too_many_snapshots_are_refused_and_those_left_are_forgotten() -> None:
    """The limit applies to requests that wait now."""
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
