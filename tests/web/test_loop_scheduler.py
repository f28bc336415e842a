"""Turns: clients that wait are served one after the other, and pay for what their work costs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from tests.kit.hostile.web import frame
from tests.kit.http import request
from tests.kit.site import open_site
from web import loop_budgets, loop_scheduler
from web.loop_scheduler import ADVANCE_S, LEAST_S, LoopScheduler, Meter


class Cost:
    """A clock of processor time that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def running(cost: Cost | None = None) -> AsyncIterator[LoopScheduler]:
    async with trio.open_nursery() as nursery:
        some = LoopScheduler(cost or Cost())
        nursery.start_soon(some.run)
        yield some
        nursery.cancel_scope.cancel()


async def test_client_with_many_connections_gets_as_many_turns_as_one_with_one(autojump_clock: MockClock) -> None:
    """A hundred pieces of work of one client do not delay another client by more than a few."""
    order: list[str] = []

    async def work(some: LoopScheduler, client: str) -> None:
        await some.take(client)
        order.append(client)

    async with running() as some, trio.open_nursery() as nursery:
        some.budgets.spend(None, 1.0, trio.current_time())  # there is no time just now
        for _ in range(50):
            nursery.start_soon(work, some, "flood")
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            nursery.start_soon(work, some, "honest")
    assert len(order) == 53
    assert [at for at, client in enumerate(order) if client == "honest"][-1] < 10


async def test_client_that_owes_waits_and_others_do_not(autojump_clock: MockClock) -> None:
    """The wait of a client that has spent its share is no wait of anybody else."""
    async with running() as some, trio.open_nursery() as nursery:
        some.budgets.spend("flood", loop_budgets.CLIENT_BURST_S + 1.0, trio.current_time())
        await trio.sleep(5)  # all together have time again
        nursery.start_soon(some.take, "flood")
        await trio.testing.wait_all_tasks_blocked()
        before = trio.current_time()
        await some.take("honest")
        assert trio.current_time() == before
        assert some.waiting("flood") == 1
    assert trio.current_time() >= 1.0 / loop_budgets.CLIENT_RATE


async def test_work_costs_what_its_steps_take_and_waiting_costs_nothing(autojump_clock: MockClock) -> None:
    """Processor time alone is charged, and of what was paid in advance the rest is given back."""
    cost = Cost()

    async def work() -> str:
        cost.now += 0.25
        await trio.sleep(100)
        cost.now += 0.25
        return "done"

    async with running(cost) as some:
        meter = Meter(some, "client")
        await meter.take()
        began = trio.current_time()
        some.budgets.spend("client", loop_budgets.CLIENT_BURST_S, began)
        assert await meter.measure(work()) == "done"
        assert trio.current_time() == began + 100
        meter.settle()
        left = some.budgets._clients["client"].left
        assert left == pytest.approx(loop_budgets.CLIENT_BURST_S - 0.25, abs=0.01), "0.25 s were earned back"
        await trio.sleep(1000)
        await meter.take()
        meter.settle()
        left = some.budgets._clients["client"].left
        assert left == pytest.approx(loop_budgets.CLIENT_BURST_S - LEAST_S), "what was not used is given back"
    assert ADVANCE_S > LEAST_S


async def test_work_that_fails_or_is_cancelled_is_charged_and_ends_as_it_would(autojump_clock: MockClock) -> None:
    """To measure changes nothing in how errors and cancellation come out."""
    cost = Cost()

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        cost.now += 5.0
        raise ValueError("as it is")

    async def wait() -> None:
        await trio.sleep_forever()

    async with running(cost) as some:
        meter = Meter(some, "client")
        with pytest.raises(ValueError, match="as it is"):
            await meter.measure(fail())
        assert some.wait_s("client") > 1
        with trio.move_on_after(1) as scope:
            await meter.measure(wait())
        assert scope.cancelled_caught


async def test_cancelled_waiter_leaves_the_queue(autojump_clock: MockClock) -> None:
    """Nothing is charged, and no place is taken."""
    async with running() as some:
        some.budgets.spend("client", 60.0, trio.current_time())
        with trio.move_on_after(1):
            await some.take("client")
        assert some.waiting("client") == 0


async def test_flood_of_frames_is_read_no_faster_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flooder is slowed down by TCP: nobody reads what it sends. Another client is answered meanwhile."""
    monkeypatch.setattr(loop_budgets, "CLIENT_RATE", 1e-6)
    monkeypatch.setattr(loop_budgets, "CLIENT_BURST_S", 0.02)
    head = b"GET /ws/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    head += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    async with open_site() as site, await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
        await stream.send_all(head)
        assert b"101" in await stream.receive_some()
        flood, sent = frame(9, b"p" * 100) * 1000, 0
        with trio.move_on_after(2) as scope:
            while sent < 500:
                await stream.send_all(flood)
                sent += 1
        assert scope.cancelled_caught, "all of 50 MB was read"
        assert (await request(site.port, "GET", "/healthz", source="127.0.0.2")).status == 200


async def test_requests_of_one_client_beyond_its_queue_get_429(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the time to wait, and without a place taken from others that come through the same proxy."""
    monkeypatch.setattr("web.app.MOST_WAITING", 0)
    async with open_site() as site:
        refused = await site.get("/healthz")
        assert (refused.status, int(refused.headers["Retry-After"]) >= 1) == (429, True)
    assert loop_scheduler.MOST_WAITING > 8
