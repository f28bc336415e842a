"""Whose turn it is to be served: clients in turn, with a bounded time of the loop for all and for each.

Rules of this file:
- Before a piece of work (reading, a request, a message of a WebSocket) one waits for its turn; the time that the work
  takes is measured, and charged to its client (`web/shares.py`).
- A client that has spent its share waits: what it sends meanwhile stays in the kernel, and TCP slows it down.
- Clients that wait are served in turn, one piece of work each, however many connections each has.
- A turn costs `ADVANCE_S` until its true cost is known, so that few pieces of work begin in the same turn of the loop.
"""

import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

import trio

from .shares import Shares

ADVANCE_S = 0.001
"""About what answering a small request takes."""
LEAST_S, CONNECT_S = 0.0002, 0.001
"""Of a turn and of a connection: what they cost beside the steps that are measured, in tasks, wake-ups and sends."""
MOST_WAITING = 64
"""Pieces of work of one client that may wait; more of its requests are refused."""
METER = "banken.meter"
"""Where the state of a connection, and so the ASGI scope, has the meter of what is read from it."""
TICK_S = 0.001
"""The shortest wait: the loop's timer is not finer."""

Result = TypeVar("Result")


class Turns:
    """The queue of all clients. `cost_clock` gives the processor time of the loop's thread, in seconds."""

    def __init__(self, cost_clock: Callable[[], float] = time.thread_time) -> None:
        self.shares = Shares()
        self.cost_clock = cost_clock
        self._lots: dict[str | None, trio.lowlevel.ParkingLot] = {}
        """Clients with work that waits; the one whose turn is next comes first."""
        self._scarce = False
        """Somebody waits who has a share left: newcomers wait behind it."""
        self._more = trio.Event()

    def waiting(self, client: str | None) -> int:
        """How many pieces of work of this client wait."""
        lot = self._lots.get(client)
        return 0 if lot is None else len(lot)

    def wait_s(self, client: str | None) -> float:
        """How long this client waits for its share."""
        return self.shares.client_wait_s(client, trio.current_time())

    async def take(self, client: str | None) -> None:
        """Wait for a turn, and charge `ADVANCE_S` for it. Does nothing else when there is time at once.

        Cancellation: at any time; nothing was charged then. Cleanup: the place in the queue is free.
        """
        now = trio.current_time()
        if client not in self._lots and not self._scarce and self._wait_s(client, now) <= 0:
            self.shares.spend(client, ADVANCE_S, now)
            return
        lot = self._lots.setdefault(client, trio.lowlevel.ParkingLot())
        self._more.set()
        await lot.park()

    async def run(self) -> None:
        """Give turns to those who wait. Cancellation: at any time. Cleanup: nothing is held."""
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
        return max(self.shares.all_wait_s(now), self.shares.client_wait_s(client, now))

    def _give(self, now: float) -> float:
        """Turns for as long as there is time; returns the seconds until there is more."""
        self._scarce, least_s, passed_over = False, 1.0, 0
        while passed_over < len(self._lots):
            client = next(iter(self._lots))
            lot = self._lots.pop(client)
            if not len(lot):
                continue
            wait_s = self.shares.client_wait_s(client, now)
            if wait_s > 0:
                self._lots[client] = lot
                least_s, passed_over = min(least_s, wait_s), passed_over + 1
                continue
            if (all_s := self.shares.all_wait_s(now)) > 0:
                self._lots = {client: lot, **self._lots}
                self._scarce = True
                return all_s
            lot.unpark()
            self.shares.spend(client, ADVANCE_S, now)
            passed_over = 0
            if len(lot):
                self._lots[client] = lot
        return least_s


class Meter:
    """Charges the work that one task does for a client."""

    def __init__(self, turns: Turns, client: str | None) -> None:
        self.turns, self.client = turns, client
        """The client, as `network_of` names it; None until it is known, for connections of proxies."""
        self._advance_s = 0.0

    async def take(self) -> None:
        """Wait for a turn. What was paid in advance for the last one, and not used, is given back."""
        self.settle()
        await self.turns.take(self.client)
        self._advance_s = ADVANCE_S

    def settle(self) -> None:
        """Give back what was paid in advance and not used, but for `LEAST_S`."""
        if self._advance_s:
            self.turns.shares.spend(self.client, LEAST_S - self._advance_s, trio.current_time())
            self._advance_s = 0.0

    def charge(self, seconds: float) -> None:
        paid = min(self._advance_s, seconds)
        self._advance_s -= paid
        if seconds > paid:
            self.turns.shares.spend(self.client, seconds - paid, trio.current_time())

    def measure(self, work: Awaitable[Result]) -> Awaitable[Result]:
        """`work`, to be awaited: each of its steps is charged. Time in which it waits costs nothing."""
        return _Measured(self, work.__await__())


class _Measured(Generator[Any, Any, Result]):
    """The steps of an awaitable, as `await` takes them, each with its cost."""

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
    """The meter of the connection that an ASGI scope belongs to."""
    found: Meter = scope["state"][METER]
    return found


def own_meter(scope: Any) -> Meter:
    """Another meter, for the same client: of the task that answers it."""
    reading = meter_of(scope)
    return Meter(reading.turns, reading.client)
