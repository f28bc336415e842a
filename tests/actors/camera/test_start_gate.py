"""The start gate: order and time of starts, under the autojump clock."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.camera.start_gate import FIRST_AT_ONCE, Rank, StartGate
from supervisor.domain.bucket import Bucket
from supervisor.domain.restart import CONNECTIONS_PER_S, FORKS_PER_S, STARTS_PER_S


@attrs.define
class Queue:
    """Callers of one gate; `went` lists the granted starts and their times."""

    gate: StartGate
    nursery: trio.Nursery
    went: list[tuple[str, float]] = attrs.field(factory=list)
    began: float = attrs.field(factory=trio.current_time)

    def ask(self, name: str, rank: Rank | Callable[[], Rank], *, again: bool = False, forks: bool = True) -> None:
        self.nursery.start_soon(self.wait, name, rank if callable(rank) else lambda: rank, again, forks)

    async def wait(self, name: str, rank: Callable[[], Rank], again: bool, forks: bool) -> None:
        await self.gate.wait_start(rank, again=again, forks=forks)
        self.went.append((name, round(trio.current_time() - self.began, 3)))

    def names(self) -> list[str]:
        return [name for name, _ in self.went]


@asynccontextmanager
async def open_queue() -> AsyncIterator[Queue]:
    async with trio.open_nursery() as nursery:
        yield Queue(StartGate(), nursery)
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_start_that_was_cancelled_costs_no_other_a_moment(autojump_clock: MockClock) -> None:
    """After a thousand cancelled requests, the next camera starts as if there had been none."""
    async with open_queue() as queue:
        for number in range(FIRST_AT_ONCE):
            queue.ask(f"first {number}", Rank.WATCHED)
        await trio.sleep(0.001)
        for _ in range(1000):
            with trio.move_on_after(0):
                await queue.gate.wait_start(lambda: Rank.DEMAND)
        assert queue.gate.waiting(trio.current_time())[0] == 0
        queue.ask("always", Rank.ALWAYS)
        await trio.sleep(1)
        assert queue.went[-1] == ("always", 1 / FORKS_PER_S)


@pytest.mark.parametrize("granted_first", [True, False])
async def test_start_cancelled_at_its_grant_passes_its_token_on(autojump_clock: MockClock, granted_first: bool) -> None:
    """Cancelled just before or just after the grant, a start passes its token to the next one at once."""
    async with open_queue() as queue:
        for number in range(FIRST_AT_ONCE):
            queue.ask(f"first {number}", Rank.WATCHED)
        await trio.sleep(0.001)
        turn = trio.CancelScope()

        async def ask() -> None:
            with turn:
                await queue.wait("cancelled", lambda: Rank.ALWAYS, False, True)

        queue.nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        queue.ask("behind", Rank.DEMAND)
        await trio.testing.wait_all_tasks_blocked()
        waiter, _ = queue.gate._waiting
        autojump_clock.jump(queue.began + 1 / FORKS_PER_S - trio.current_time())
        if not granted_first:
            turn.cancel(reason="just before")
        queue.gate._grant()
        assert waiter.granted
        turn.cancel(reason="just after")
        await trio.sleep(0.2)
        assert turn.cancelled_caught
        assert queue.went[FIRST_AT_ONCE:] == [("behind", 1 / FORKS_PER_S)]


async def test_always_camera_waits_for_one_watched_start_at_most(autojump_clock: MockClock) -> None:
    """The number of viewers and of cameras on demand ahead of it does not matter."""
    async with open_queue() as queue:
        for number in range(100):
            queue.ask(f"watched {number}", Rank.WATCHED, again=True)
            queue.ask(f"demand {number}", Rank.DEMAND, again=True)
        await trio.sleep(2.01)
        before = len(queue.went)
        queue.ask("always", Rank.ALWAYS, again=True)
        await trio.sleep(2)
        assert queue.names().index("always") - before <= 1


async def test_always_and_watched_cameras_start_in_turn(autojump_clock: MockClock) -> None:
    """Neither kind waits until all starts of the other are done."""
    async with open_queue() as queue:
        for number in range(4):
            queue.ask(f"watched {number}", Rank.WATCHED, again=True)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(4):
            queue.ask(f"always {number}", Rank.ALWAYS, again=True)
        await trio.sleep(3)
        kinds = [name.split()[0] for name in queue.names()]
        assert kinds == ["watched", "always"] * 4


async def test_starts_on_demand_come_behind_and_those_of_a_patrol_last(autojump_clock: MockClock) -> None:
    """Within a rank, starts are in order of arrival."""
    async with open_queue() as queue:
        queue.ask("first", Rank.ALWAYS, again=True)
        await trio.testing.wait_all_tasks_blocked()
        for name, rank in (("p", Rank.PATROL), ("d1", Rank.DEMAND), ("d2", Rank.DEMAND), ("w", Rank.WATCHED)):
            queue.ask(name, rank, again=True)
            await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(3)
        assert queue.names() == ["first", "w", "d1", "d2", "p"]


async def test_camera_that_is_watched_while_it_waits_moves_up(autojump_clock: MockClock) -> None:
    """The rank is evaluated when the start is granted."""
    async with open_queue() as queue:
        now = Rank.PATROL
        queue.ask("first", Rank.ALWAYS, again=True)
        await trio.testing.wait_all_tasks_blocked()
        queue.ask("patrol", lambda: now, again=True)
        queue.ask("demand", Rank.DEMAND, again=True)
        now = Rank.WATCHED
        await trio.sleep(1)
        assert queue.names() == ["first", "patrol", "demand"]


async def test_first_starts_are_not_held_up_by_starts_after_failures(autojump_clock: MockClock) -> None:
    """Forty cameras that failed wait for ten seconds; thirty that never failed start within two."""
    async with open_queue() as queue:
        for number in range(40):
            queue.ask(f"again {number}", Rank.ALWAYS, again=True)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(30):
            queue.ask(f"first {number}", Rank.WATCHED)
        await trio.sleep(20)
        firsts = [at for name, at in queue.went if name.startswith("first")]
        agains = [at for name, at in queue.went if name.startswith("again")]
        assert (len(firsts), len(agains)) == (30, 40)
        assert firsts[-1] <= 2.0
        assert 39 / STARTS_PER_S <= agains[-1] <= 39 / STARTS_PER_S + 0.5


async def test_hundred_connections_start_within_2_s(autojump_clock: MockClock) -> None:
    """Starts without a child process are fast."""
    async with open_queue() as queue:
        for number in range(100):
            queue.ask(str(number), Rank.ALWAYS, forks=False)
        await trio.sleep(5)
        assert len(queue.went) == 100
        assert queue.went[-1][1] <= (100 - FIRST_AT_ONCE) / CONNECTIONS_PER_S + 0.01


async def test_start_that_joins_a_long_queue_is_not_compared_with_all_of_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The buckets are evaluated once per kind of start, regardless of the number of waiting cameras."""
    looks, ready_in = 0, Bucket.ready_in

    def counted(bucket: Bucket, now: float, tokens: float = 1.0) -> float:
        nonlocal looks
        looks += 1
        return ready_in(bucket, now, tokens)

    monkeypatch.setattr(Bucket, "ready_in", counted)
    asked: list[int] = []

    def rank() -> Rank:
        asked.append(1)
        return Rank.ALWAYS

    async with open_queue() as queue:
        for number in range(300):
            queue.ask(str(number), rank, again=True)
            await trio.testing.wait_all_tasks_blocked()
        assert queue.gate.waiting(trio.current_time())[0] == 299
    assert looks < 300 * 50
    assert len(asked) < 10


async def test_waiting_counts_the_queue_and_its_oldest(autojump_clock: MockClock) -> None:
    """After all starts are granted or cancelled, the queue is empty."""
    async with open_queue() as queue:
        for number in range(9):
            queue.ask(str(number), Rank.ALWAYS, again=True)
        await trio.sleep(1.01)
        assert queue.gate.waiting(trio.current_time()) == (4, 1.01)
        await trio.sleep(2)
        assert queue.gate.waiting(trio.current_time()) == (0, 0.0)
