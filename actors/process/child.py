"""The actor of one child process: the intent in the journal, the start, its stderr, its end and its reaping.

Rules of this file:
- The journal has the intent to start before the process exists, durably unless the disk fails at that moment. It has
  the end only after the process is reaped.
- Every way out (an error, a cancellation, the child's own end) ends the child's process group first: SIGTERM, 2 s,
  SIGKILL, 2 s. After that the child is reported as unkillable, and a task that outlives this actor waits for it.
- The last lines of a child's stderr are kept, bounded and without secrets.
"""

import signal
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType

import attrs
import trio

from supervisor.base.context import in_empty_context
from supervisor.base.groups import crash_in, first_of
from supervisor.base.redact import redact
from supervisor.base.shield import bounded_shield
from supervisor.base.supervision import describe_crash
from supervisor.domain import commands as c
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId, ChildId
from supervisor.domain.values import Fault, Reason
from supervisor.domain.words import size
from supervisor.ports.decisions import CancelReason, Decider, why_cancelled

from ..tools import Tools
from .process import NICE, Process, environment_of, fault_of
from .stderr_tail import FLOOD, StderrTail

LADDER = (signal.SIGTERM, signal.SIGKILL)
PATIENCE_S = 2.0
"""Time limit for each step of the ladder."""
LAST_WORDS_S = 1.0
"""Time limit for a child that has closed its output to end by itself and report why."""


@attrs.frozen
class ChildSpec:
    """A program to start. `secrets` must not be shown; `stdin` is the whole standard input.

    `may_fork` runs the program under the guardian, so that none of its descendants escapes. `env` holds the additions
    of its source to the environment. `gives_way` runs it with a lower priority than the daemon.
    """

    camera: CameraId
    purpose: str
    arguments: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    stdin: bytes = b""
    may_fork: bool = False
    env: Mapping[str, str] = attrs.field(default=MappingProxyType({}), repr=False)
    gives_way: bool = False


@attrs.frozen
class ChildExit:
    """How a child ended: the input of `Explain`.

    `status` is negative for a signal, None for a child that never started.
    """

    status: int | None
    stderr_tail: tuple[str, ...]

    @property
    def signal(self) -> str | None:
        if self.status is None or self.status >= 0:
            return None
        try:
            return signal.Signals(-self.status).name
        except ValueError:
            return f"SIG{-self.status}"  # a real-time signal: most have no name


Consume = Callable[[trio.abc.ReceiveStream], Awaitable[Reason | None]]
"""Reads the child's output. Returns None at its end, or earlier the reason why it stops reading."""
Explain = Callable[[ChildExit], Reason]
Feed = Callable[[trio.abc.SendStream], Awaitable[None]]
"""Writes the child's standard input, which is closed when this returns. It is cancelled when the child has ended."""

STAYED = Reason("stayed", "it closed its output and did not exit", Fault.TEMPORARY)
NO_MEMORY = Reason("no-memory", "the system refuses the memory to read what it sends", Fault.TEMPORARY)


async def run_child(
    spec: ChildSpec, consume: Consume, explain: Explain, tools: Tools, feed: Feed | None = None
) -> Reason:
    """Run one child process to its end, and return why it ended. Raises `Rejected` when it may not be started.

    The cause of its first event is carried; its start and its end are carried on. With `feed`, its standard input is
    the output of `feed`, for as long as it writes, instead of `spec.stdin`.

    Cancellation: ends the child, within twice `PATIENCE_S`. Cleanup: the whole process group is gone and reaped, the
    descriptors are closed and the journal has `ChildEnded`, unless the child was unkillable.
    """
    kernel = tools.kernel
    child = ChildId(kernel.new_id())
    shown = tuple(redact(argument, spec.secrets) for argument in spec.arguments)
    mark = f"{tools.owner}/{kernel.run}/{spec.camera}/{child}"
    intent = kernel.emit(c.PrepareChild(child=child, camera=spec.camera, purpose=spec.purpose, arguments=shown))
    last = intent.last
    try:
        await kernel.wait_durable(intent)
        stdin = None if feed else spec.stdin
        command = (*NICE, *spec.arguments) if spec.gives_way else spec.arguments
        process = tools.open_process(command, environment_of(mark, spec.env), stdin, spec.may_fork)
    except (OSError, MemoryError) as error:
        why = getattr(error, "strerror", None) or "not enough memory"
        reason = Reason("not-started", f"{shown[0]} cannot be started: {why}", fault_of(error))
        kernel.carry(kernel.emit(c.ReportChildEnded(child, None, None, reason), after=last).last)
        return reason
    except BaseException as error:  # cancelled, or a bug: the intent must not stay open in any case
        because = await why_cancelled()
        report = c.ReportChildEnded(child, None, None, interruption(error, because))
        kernel.carry(kernel.emit(report, after=(because and because.event) or last).last)
        raise
    last = kernel.emit(c.ReportChildStarted(child, process.pid, process.start_ticks), after=last).last
    kernel.carry(last)
    tail = StderrTail(spec.secrets, partial(_report_flood, spec.camera or spec.purpose, child, last, kernel))
    enough: Reason | None = None
    reaped = trio.Event()

    async def reap() -> None:
        """Reap the child as soon as it has ended. Its descendants still hold its output open, and are ended with it.

        Those that have left its process group are not ended; but the actor does not wait for their output either.
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
        last = (because and because.event) or last
        raise
    finally:
        if enough is None and process.status is not None:
            enough = explain(ChildExit(process.status, tail.lines()))
        reason = enough or STAYED  # the signal is then our own, and explains nothing
        last = await _end(process, child, reason, last, kernel)
        if process.status is None:
            kernel.carry(last)
            work = partial(_reap_later, process, child, reason, tail, last, kernel)
            tools.keep.start_soon(in_empty_context, work, name=f"child/{child}")
        else:
            kernel.carry(_close(process, child, reason, tail, last, kernel))
    return reason


async def _write(feed: Feed, stream: trio.abc.SendStream) -> None:
    try:
        async with stream:
            await feed(stream)
    except trio.BrokenResourceError:
        pass  # the child has stopped reading; its end explains why


def interruption(error: BaseException, because: CancelReason | None) -> Reason:
    """Return why an actor was interrupted: the reason of the cancellation, or the crash."""
    crash = crash_in(error, trio.Cancelled)
    if crash is not None:
        return Reason("crashed", describe_crash(crash), Fault.CRASH)
    if because is not None:
        return because.reason
    error = first_of(error)
    assert isinstance(error, trio.Cancelled)
    if isinstance(error.reason, CancelReason):  # of an inner scope; the outer one has no `CancelReason`
        return error.reason.reason
    return Reason("cancelled", error.reason or "no longer needed", Fault.NONE)


async def _end(
    process: Process, child: ChildId, reason: Reason, last: Recorded | None, kernel: Decider
) -> Recorded | None:
    """Climb the ladder: SIGTERM, SIGKILL, then report the child as unkillable. Takes at most twice `PATIENCE_S`.

    The first step follows from `last`. Returns the event of the last step, or `last` if the child had ended.
    """
    with bounded_shield(2 * PATIENCE_S + 1):
        for step in LADDER:
            if process.status is not None:
                break
            last = kernel.emit(c.ReportChildSignalled(child, step.name, reason), after=last).last or last
            process.signal_group(step)
            with trio.move_on_after(PATIENCE_S):
                await process.wait()
        if process.status is None:
            last = kernel.emit(c.ReportChildUnkillable(child), after=last).last or last
    return last


async def _reap_later(
    process: Process, child: ChildId, reason: Reason, tail: StderrTail, last: Recorded | None, kernel: Decider
) -> None:
    """Wait for an unkillable child without limit; until it ends, its camera starts no other child."""
    try:
        await process.wait()
        _close(process, child, reason, tail, last, kernel)
    finally:
        process.close()


def _close(
    process: Process, child: ChildId, reason: Reason, tail: StderrTail, last: Recorded | None, kernel: Decider
) -> Recorded | None:
    """Close the descriptors and write the last event of a child that has been reaped; returns that event."""
    process.close()
    assert process.status is not None, "only a child that has been reaped has ended"
    ending = ChildExit(process.status, tail.lines())
    exit_code = process.status if ending.signal is None else None
    report = c.ReportChildEnded(child, exit_code, ending.signal, reason, ending.stderr_tail)
    kernel.emit(c.ClearAlert(_flood_alert(child)), after=last)
    return kernel.emit(report, after=last).last


def _report_flood(user: str, child: ChildId, started: Recorded | None, kernel: Decider) -> None:
    text = f"the child of {user} writes more than {size(FLOOD)} a second of complaints"
    kernel.emit(c.RaiseAlert(_flood_alert(child), text), after=started)


def _flood_alert(child: ChildId) -> str:
    return f"stderr/{child}"
