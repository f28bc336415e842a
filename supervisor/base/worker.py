"""A dedicated thread that runs calls for the loop, one after the other.

Rules of this file:
- The thread starts with the first call and is kept, so it continues to work when a limit on threads is reached.
- An exception of a call is raised in its caller. Only `close` ends the thread.
- The queue of calls is bounded. An abandoned call still runs to its end: the disk may hang.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

import attrs
import outcome
import trio

from .threads import refusing_threads

Item = TypeVar("Item")

CALLS = 4
"""Length of the queue: one more than a writer needs."""


class WorkerBusy(OSError):
    """Too many calls wait: the disk does not answer."""


@attrs.define(eq=False)
class Call(Generic[Item]):
    """A running call. `inbox` has the items that it has posted and that were not taken yet."""

    work: Callable[[Callable[[Item], None]], Iterable[Item] | None]
    token: trio.lowlevel.TrioToken
    inbox: deque[Item] = attrs.field(factory=deque)
    result: outcome.Maybe[Iterable[Item] | None] | None = None
    _caller: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def post(self, item: Item) -> None:
        """Pass an item to the loop. Called in the thread."""
        self._tell(partial(self.inbox.append, item))

    def run(self) -> None:
        result = outcome.capture(self.work, self.post)
        self._tell(partial(setattr, self, "result", result))

    def _tell(self, change: Callable[[], object]) -> None:
        with suppress(trio.RunFinishedError):  # no task waits for it any more
            self.token.run_sync_soon(self._change, change)

    def _change(self, change: Callable[[], object]) -> None:
        change()
        self._caller.unpark_all()

    async def wait(self, heard: Callable[[Item], None]) -> None:
        """Pass each item to `heard`, in order, until the call ends. Raises what the call raises."""
        while True:
            while self.inbox:
                heard(self.inbox.popleft())
            if self.result is not None:
                for item in self.result.unwrap() or ():
                    heard(item)
                return
            await self._caller.park()


class Worker:
    """One thread. It calls `idle`, which must not raise, whenever it had no call for `idle_s` seconds."""

    def __init__(
        self,
        name: str,
        idle: Callable[[], None] = lambda: None,
        idle_s: float = 3600.0,
        start: Callable[[threading.Thread], None] = threading.Thread.start,
    ) -> None:
        self._name, self._idle, self._idle_s, self._start = name, idle, idle_s, start
        self._calls: queue.Queue[Call[object] | None] = queue.Queue(CALLS)
        self._thread: threading.Thread | None = None

    async def run(
        self,
        work: Callable[[Callable[[Item], None]], Iterable[Item] | None],
        heard: Callable[[Item], None] = lambda item: None,
    ) -> None:
        """Run `work(post)` in the thread. `heard` receives each posted item, in the loop, and then those it returns.

        A posted item wakes the loop at once; a returned one costs nothing more than the end of the call.

        Raises what `work` raises, `ThreadRefused` (an `OSError`), and `WorkerBusy` if too many calls wait.
        Cancellation: abandons the call. Cleanup: the thread is kept until `close`.
        """
        await self.start(work).wait(heard)

    def start(self, work: Callable[[Callable[[Item], None]], Iterable[Item] | None]) -> Call[Item]:
        """Begin to run `work(post)` in the thread. Raises `ThreadRefused` and `WorkerBusy`, as `run` does."""
        self._start_once()
        call = Call(work, trio.lowlevel.current_trio_token())
        try:
            self._calls.put_nowait(call)  # type: ignore[arg-type]
        except queue.Full:
            raise WorkerBusy(f"{CALLS} calls wait for the disk already") from None
        return call

    def _start_once(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        with refusing_threads():
            self._start(thread)
        self._thread = thread

    def _run(self) -> None:
        while True:
            try:
                call = self._calls.get(timeout=self._idle_s)
            except queue.Empty:
                self._idle()
                continue
            if call is None:
                return
            call.run()

    def close(self, within_s: float = 0.5) -> None:
        """End the thread; wait at most `within_s` seconds. A call that hangs runs until the process ends. Blocking."""
        try:
            self._calls.put_nowait(None)
        except queue.Full:
            return
        if self._thread is not None:
            self._thread.join(within_s)
