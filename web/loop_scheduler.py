"""Scheduling of web work: clients are served round-robin, with bounded loop time in total and per client.

Rules of this file:
- Each piece of work (reading, a request, a WebSocket message) waits until it is scheduled; its time is measured and
  charged to its client (`web/loop_budgets.py`).
- A client that has used its share waits: data that it sends meanwhile stays in the kernel, and TCP slows it down.
- Waiting clients are served round-robin, one piece of work each, however many connections each has.
- A piece of work costs `ADVANCE_S` until its true cost is known, so that only a few begin in one pass of the loop.
"""

import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

import trio

from .loop_budgets import LoopBudgets

ADVANCE_S = 0.001
"""Advance in seconds: the approximate cost of a small request."""
LEAST_S, CONNECT_S = 0.0002, 0.001
"""Unmeasured cost in seconds of a piece of work and of a connection: tasks, wake-ups and sends."""
MOST_WAITING = 64
"""Maximum number of waiting pieces of work per client; further requests are refused."""
METER = "banken.meter"
"""The key of the connection state, and so of the ASGI scope, that holds the meter for reads."""
TICK_S = 0.001
"""The shortest wait in seconds: the resolution of the loop's timer."""

Result = TypeVar("Result")


class LoopScheduler:
    """The queue of all clients. `cost_clock` returns the processor time of the loop's thread in seconds."""

    def __init__(self, cost_clock: Callable[[], float] = time.thread_time) -> None:
        self.budgets = LoopBudgets()
        self.cost_clock = cost_clock
        self._lots: dict[str | None, trio.lowlevel.ParkingLot] = {}
        """Clients with waiting work; the next one to be served comes first."""
        self._scarce = False
        """A client with a remaining share waits: new work is queued behind it."""
        self._more = trio.Event()

    def waiting(self, client: str | None) -> int:
        """Return the number of waiting pieces of work of this client."""
        lot = self._lots.get(client)
        return 0 if lot is None else len(lot)

    def wait_s(self, client: str | None) -> float:
        """Return the seconds until this client has a share again."""
        return self.budgets.client_wait_s(client, trio.current_time())

    async def take(self, client: str | None) -> None:
        """Wait until work of this client may run, and charge `ADVANCE_S`. Returns immediately if time is available.

        Cancellation: at any time; then nothing is charged. Cleanup: the entry in the queue is removed.
        """
        now = trio.current_time()
        if client not in self._lots and not self._scarce and self._wait_s(client, now) <= 0:
            self.budgets.spend(client, ADVANCE_S, now)
            return
        lot = self._lots.setdefault(client, trio.lowlevel.ParkingLot())
        self._more.set()
        await lot.park()

    async def run(self) -> None:
        """Schedule waiting work. Cancellation: at any time. Cleanup: nothing is held."""
        while True:
            if not self._lots:
                self._more = trio.Event()
                await self._more.wait()
            wait_s = self._give(trio.current_time())
            with trio.move_on_after(max(TICK_S, wait_s)):
                self._more = trio.Event()
                await self._more.wait()
                await trio.sleep(TICK_S)

    def _wait_s(self, client: str | None, now: float) -> float:
        return max(self.budgets.all_wait_s(now), self.budgets.client_wait_s(client, now))

    def _give(self, now: float) -> float:
        """Release waiting work while time is available; returns the seconds until more is available."""
        self._scarce, least_s, passed_over = False, 1.0, 0
        while passed_over < len(self._lots):
            client = next(iter(self._lots))
            lot = self._lots.pop(client)
            if not len(lot):
                continue
            wait_s = self.budgets.client_wait_s(client, now)
            if wait_s > 0:
                self._lots[client] = lot
                least_s, passed_over = min(least_s, wait_s), passed_over + 1
                continue
            if (all_s := self.budgets.all_wait_s(now)) > 0:
                self._lots = {client: lot, **self._lots}
                self._scarce = True
                return all_s
            lot.unpark()
            self.budgets.spend(client, ADVANCE_S, now)
            passed_over = 0
            if len(lot):
                self._lots[client] = lot
        return least_s


class Meter:
    """Charges the work of one task to a client."""

    def __init__(self, turns: LoopScheduler, client: str | None) -> None:
        self.turns, self.client = turns, client
        """The client, as `network_of` names it; None until it is known, for connections of proxies."""
        self._advance_s = 0.0

    async def take(self) -> None:
        """Wait until work may run. The unused advance for the last piece of work is refunded first."""
        self.settle()
        await self.turns.take(self.client)
        self._advance_s = ADVANCE_S

    def settle(self) -> None:
        """Refund the unused advance, except `LEAST_S`."""
        if self._advance_s:
            self.turns.budgets.spend(self.client, LEAST_S - self._advance_s, trio.current_time())
            self._advance_s = 0.0

    def charge(self, seconds: float) -> None:
        paid = min(self._advance_s, seconds)
        self._advance_s -= paid
        if seconds > paid:
            self.turns.budgets.spend(self.client, seconds - paid, trio.current_time())

    def measure(self, work: Awaitable[Result]) -> Awaitable[Result]:
        """Wrap `work` so that each of its steps is charged when it is awaited. Waiting time costs nothing."""
        return _Measured(self, work.__await__())


class _Measured(Generator[Any, Any, Result]):
    """The steps of an awaitable, as `await` runs them; the cost of each is charged."""

    def __init__(self, meter: Meter, steps: Generator[Any, Any, Result]) -> None:
        self._meter, self._steps = meter, steps

    def __await__(self) -> Generator[Any, Any, Result]:
        return self

    def send(self, value: Any, /) -> Any:
        began = self._meter.turns.cost_clock()
        try:
            return self._steps.send(value)
        finally:
            self._meter.charge(self._meter.turns.cost_clock() - began)

    def throw(self, *error: Any) -> Any:
        began = self._meter.turns.cost_clock()
        try:
            return self._steps.throw(*error)
        finally:
            self._meter.charge(self._meter.turns.cost_clock() - began)


def meter_of(scope: Any) -> Meter:
    """Return the meter of the connection that an ASGI scope belongs to."""
    found: Meter = scope["state"][METER]
    return found


def own_meter(scope: Any) -> Meter:
    """Return another meter for the same client, for the task that answers it."""
    reading = meter_of(scope)
    return Meter(reading.turns, reading.client)
