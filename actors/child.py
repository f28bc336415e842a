"""The actor of one child process: the intent in the journal, the start, its words, its end, and the proof of it.

Rules of this file:
- The intent to start stands in the journal before the process exists, durably unless the disk fails just then; the
  end only when the process is reaped.
- Whatever ends this actor (an error, a cancellation, the child itself), the child's group is ended first: SIGTERM,
  2 s, SIGKILL, 2 s, and then it is called unkillable, for all to see, and waited for by a task that outlives us.
- A child's words are kept, bounded and without secrets: the last lines of its stderr.
"""

import signal
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType

import attrs
import trio

from supervisor.domain import commands as c
from supervisor.domain.events import ChildStopping, ChildUnkillable, Recorded
from supervisor.domain.ids import CameraId, ChildId, child_stream
from supervisor.domain.values import Fault, Reason
from supervisor.kernel import Because, Kernel, why_cancelled
from supervisor.redact import redact
from supervisor.shield import bounded_shield
from supervisor.supervision import describe_crash

from .process import Process, environment_of, fault_of
from .stderr_tail import FLOOD, StderrTail
from .tools import Tools

LADDER = (signal.SIGTERM, signal.SIGKILL)
PATIENCE_S = 2.0
"""For each step of the ladder."""
LAST_WORDS_S = 1.0
"""A child that has closed its output is given this long to end by itself and to say why."""


@attrs.frozen
class ChildSpec:
    """What to start. `secrets` must not be seen; `stdin` is all the child will read.

    What `may_fork` is guarded, so that nothing it starts gets away. `env` is what its source adds to its environment.
    """

    camera: CameraId
    purpose: str
    arguments: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    stdin: bytes = b""
    may_fork: bool = False
    env: Mapping[str, str] = attrs.field(default=MappingProxyType({}), repr=False)


@attrs.frozen
class Ending:
    """How a child ended, for whoever explains it. Status is negative for a signal, none when it never started."""

    status: int | None
    stderr_tail: tuple[str, ...]

    @property
    def signal(self) -> str | None:
        if self.status is None or self.status >= 0:
            return None
        try:
            return signal.Signals(-self.status).name
        except ValueError:
            return f"SIG{-self.status}"  # a real-time signal: few of them have a name


Consume = Callable[[trio.abc.ReceiveStream], Awaitable[Reason | None]]
"""Reads the child's output. Returns at its end, or earlier with the reason why it has had enough."""
Explain = Callable[[Ending], Reason]
Feed = Callable[[trio.abc.SendStream], Awaitable[None]]
"""Writes the child's standard input, which is closed when it returns. It is cancelled when the child has ended."""

STAYED = Reason("stayed", "it closed its output and did not end", Fault.TEMPORARY)
NO_MEMORY = Reason("no-memory", "the system refuses the memory to read what it sends", Fault.TEMPORARY)


async def run_child(
    spec: ChildSpec, consume: Consume, explain: Explain, tools: Tools, after: Recorded, feed: Feed | None = None
) -> Reason:
    """Run one child process to its end, and say why it ended. Raises `Rejected` when it may not be started.

    With `feed`, the child reads what that writes, for as long as it does, instead of `spec.stdin`.

    Cancellation: ends the child, within twice `PATIENCE_S`. Cleanup: the whole process group is gone and reaped,
    the descriptors are closed and `ChildEnded` stands in the journal, unless it was unkillable.
    """
    kernel = tools.kernel
    child = ChildId(kernel.new_id())
    shown = tuple(redact(argument, spec.secrets) for argument in spec.arguments)
    mark = f"{kernel.node}/{kernel.run}/{spec.camera}/{child}"
    because: Because | None = None
    intent = kernel.emit(
        c.PrepareChild(child=child, camera=spec.camera, purpose=spec.purpose, arguments=shown), after=after
    )
    try:
        await kernel.promise(intent)
        stdin = None if feed else spec.stdin
        process = tools.open_process(spec.arguments, environment_of(mark, spec.env), stdin, spec.may_fork)
    except (OSError, MemoryError) as error:
        why = getattr(error, "strerror", None) or "not enough memory"
        reason = Reason("not-started", f"{shown[0]} cannot be started: {why}", fault_of(error))
        kernel.emit(c.ReportChildEnded(child, None, None, reason), after=intent.last)
        return reason
    except BaseException as error:  # cancelled, or a bug: in no case may the intent stay open
        because = await why_cancelled()
        report = c.ReportChildEnded(child, None, None, interruption(error, because))
        kernel.emit(report, after=_cause(child, because, kernel))
        raise
    kernel.emit(c.ReportChildStarted(child, process.pid, process.start_ticks), after=intent.last)
    tail = StderrTail(spec.secrets, partial(_report_flood, spec.camera, child, kernel))
    enough: Reason | None = None
    reaped = trio.Event()

    async def reap() -> None:
        """As soon as it has ended: what it may have started still holds its output open, and is ended with it.

        What has left its group is not; but nobody waits for the words of a stranger.
        """
        await process.wait()
        reaped.set()
        await trio.sleep(LAST_WORDS_S)
        nursery.cancel_scope.cancel(reason="the child has ended")

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reap)
            nursery.start_soon(tail.read, process.stderr)
            if feed is not None and process.feed is not None:
                nursery.start_soon(_write, feed, process.feed)
            try:
                enough = await consume(process.stdout)
            except* MemoryError:
                enough = NO_MEMORY
            if enough is None:
                with trio.move_on_after(LAST_WORDS_S):
                    await reaped.wait()
                    await tail.finished.wait()
            nursery.cancel_scope.cancel(reason="the child has nothing more to say")
    except BaseException as error:
        because = await why_cancelled()
        enough = interruption(error, because)
        raise
    finally:
        if enough is None and process.status is not None:
            enough = explain(Ending(process.status, tail.lines()))
        reason = enough or STAYED  # then the signal that ends it is ours, and explains nothing
        await _end(process, child, reason, because, kernel)
        if process.status is None:
            tools.keep.start_soon(_bury, process, child, reason, tail, kernel, name=f"child/{child}")
        else:
            _close(process, child, reason, tail, kernel, because)
    return reason


async def _write(feed: Feed, stream: trio.abc.SendStream) -> None:
    try:
        async with stream:
            await feed(stream)
    except trio.BrokenResourceError:
        pass  # it reads no more; what that means, its end will say


def interruption(error: BaseException, because: Because | None) -> Reason:
    """Why an actor was interrupted: the reason of the cancellation, or the crash."""
    crash = error.split(trio.Cancelled)[1] if isinstance(error, BaseExceptionGroup) else error
    if crash is not None and not isinstance(crash, trio.Cancelled):
        return Reason("crashed", describe_crash(crash), Fault.CRASH)
    if because is not None:
        return because.reason
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, trio.Cancelled)
    return Reason("cancelled", error.reason or "no longer needed", Fault.NONE)


async def _end(process: Process, child: ChildId, reason: Reason, because: Because | None, kernel: Kernel) -> None:
    """The ladder: SIGTERM, SIGKILL, and then it is unkillable. Takes twice `PATIENCE_S` at the most."""
    with bounded_shield(2 * PATIENCE_S + 1):
        for step in LADDER:
            if process.status is not None:
                return
            signalled = c.ReportChildSignalled(child, step.name, reason)
            kernel.emit(signalled, after=_cause(child, because, kernel))
            process.signal_group(step)
            with trio.move_on_after(PATIENCE_S):
                await process.wait()
        if process.status is None:
            kernel.emit(c.ReportChildUnkillable(child), after=_cause(child, because, kernel))


async def _bury(process: Process, child: ChildId, reason: Reason, tail: StderrTail, kernel: Kernel) -> None:
    """Wait for an unkillable child however long it takes: until then its camera has no other."""
    try:
        await process.wait()
        _close(process, child, reason, tail, kernel)
    finally:
        process.close()


def _close(
    process: Process,
    child: ChildId,
    reason: Reason,
    tail: StderrTail,
    kernel: Kernel,
    because: Because | None = None,
) -> None:
    """Give the descriptors back and write the last line of a child that has been reaped."""
    process.close()
    assert process.status is not None, "only a child that has been reaped has ended"
    ending = Ending(process.status, tail.lines())
    exit_code = process.status if ending.signal is None else None
    report = c.ReportChildEnded(child, exit_code, ending.signal, reason, ending.stderr_tail)
    kernel.emit(c.ClearAlert(_flood_alert(child)), after=kernel.latest(child_stream(child)))
    kernel.emit(report, after=_cause(child, because, kernel))


def _cause(child: ChildId, because: Because | None, kernel: Kernel) -> Recorded | None:
    """What the next step to the end of a child follows from: the step before, or who wanted it; else its own life."""
    stream = child_stream(child)
    step = kernel.latest(stream, of=ChildStopping | ChildUnkillable)
    return step or (because and because.event) or kernel.latest(stream)


def _report_flood(camera: CameraId, child: ChildId, kernel: Kernel) -> None:
    text = f"the child of {camera} writes more than {FLOOD >> 20} MB a second of complaints"
    kernel.emit(c.RaiseAlert(_flood_alert(child), text), after=kernel.latest(child_stream(child)))


def _flood_alert(child: ChildId) -> str:
    return f"stderr/{child}"
