"""The actor of the decoder: one child for all cameras, which runs while there are requests.

Rules of this file:
- The daemon decodes nothing. It sends a key frame to the child and waits at most `REQUEST_S`.
- The child starts with the first request, ends after `IDLE_S` without one, and is replaced after `RETIRE_CPU_S`.
- The end of the child costs only the frame in progress. Its camera waits before its next request; others do not.
- A child that cannot be started, or sends no hello, is started again after a backoff. Until then, every request is
  refused at once, with the reason.
"""

import sys
from pathlib import Path

import trio

from supervisor.base.groups import first_of
from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import NO_CAMERA, CameraId
from supervisor.domain.state import DECODER
from supervisor.domain.values import Fault, Reason
from supervisor.ports.decisions import Decider, newest_of, raised

from ...process.child import NO_MEMORY, ChildExit, ChildSpec, run_child
from ...tools import Tools
from .client import Decoder
from .queue import Job, Undecodable
from .wire import DONE, HELLO, LOOK, UNDECODABLE, AnswerReader, DecoderAnswer, WireError, decode_looked, encode_request

IDLE_S = 60.0
HELLO_S = 10.0
"""Seconds from its start; usually it takes a quarter of a second."""
REQUEST_S = 5.0
RETIRE_CPU_S = 600.0
PROGRAM = Path(__file__).with_name("program.py")
ARGUMENTS = (sys.executable, "-I", str(PROGRAM))
_CHUNK = 64 * 1024

UNUSED = Reason("unused", f"no picture was wanted for {IDLE_S:g} s", Fault.NONE)
RETIRED = Reason("retired", f"it has used {RETIRE_CPU_S:g} s of CPU time and is replaced", Fault.NONE)
"""The replacement also ends memory leaks of libraries."""
STUCK = Reason("stuck", f"it did not answer within {REQUEST_S:g} s")
SILENT = Reason("silent", f"it did not begin within {HELLO_S:g} s")
BAD_WIRE = "it does not keep to the protocol"
LIMITS, START = "decoder-limits", "decoder-start"
"""Alerts: the child runs without some of its limits; the child cannot be started."""
BUSY = Undecodable("the decoder ended while it decoded this picture")


async def run_decoder(decoder: Decoder, tools: Tools, arguments: tuple[str, ...] = ARGUMENTS) -> None:
    """Serve the requests of `decoder`, with one child after the other, until cancelled.

    Cancellation: ends the child. Cleanup: as in `run_child`; all waiting requests are refused.
    """
    try:
        while True:
            await _wait_work(decoder, tools.kernel)
            await _run_child(decoder, tools, arguments)
    finally:
        decoder.queue.fail_all(Undecodable("banken is stopping"))


async def _wait_work(decoder: Decoder, kernel: Decider) -> None:
    """Wait until a job may be taken. Meanwhile, forget cameras whose key frames ended a child long ago."""
    while True:
        with trio.move_on_at(decoder.waits.next_forgotten()):
            await decoder.queue.wait_ready()
            return
        for camera in decoder.waits.forgotten(trio.current_time()):
            _clear_failures(decoder, camera, kernel)


async def _run_child(decoder: Decoder, tools: Tools, arguments: tuple[str, ...]) -> None:
    """Run one child, for the camera whose request is first in the queue. Alerts about the child follow from it."""
    wanted = decoder.queue.first_camera()
    with tools.kernel.following(newest_of(tools.kernel, wanted or NO_CAMERA)):
        await _run_life(decoder, tools, arguments)


async def _run_life(decoder: Decoder, tools: Tools, arguments: tuple[str, ...]) -> None:
    kernel, life = tools.kernel, _Life(decoder, tools.kernel)
    try:
        spec = ChildSpec(NO_CAMERA, DECODER, arguments)
        reason = await run_child(spec, life.consume, life.explain, tools, life.feed)
    except Rejected as refused:  # banken is stopping, or a child of an earlier process still lives
        reason = Reason("refused", str(refused))
    finally:
        if life.job is not None:
            life.job.finish(None, BUSY)
    if not life.greeted:
        decoder.waits.fail_start(reason.text, trio.current_time(), tools.jitter())
        decoder.queue.fail_all(decoder.waits.of_start(trio.current_time()))
        text = f"the decoder cannot be started, no picture can be made: {reason.text}"
        kernel.emit(c.RaiseAlert(START, text), origin=kernel.fault())
    elif life.job is not None and reason is not NO_MEMORY:
        _blame(decoder, life.job.camera, reason, tools)


def _blame(decoder: Decoder, camera: CameraId, reason: Reason, tools: Tools) -> None:
    """Make the camera whose key frame was being decoded wait before its next request."""
    kernel, alert = tools.kernel, f"decoder/{camera}"
    text = f"a key frame of {camera} ended the decoder: {reason.text}"
    blamed = kernel.emit(c.RaiseAlert(alert, text)).last
    decoder.waits.blame(camera, trio.current_time(), tools.jitter(), blamed)


def _clear_failures(decoder: Decoder, camera: CameraId, kernel: Decider) -> None:
    """Clear the camera's alert: one of its key frames was decoded, or it had no request for a long time."""
    failed, blamed = decoder.waits.clear_failures(camera)
    if failed:
        kernel.emit(c.ClearAlert(f"decoder/{camera}"), after=blamed)


class _Life:
    """The conversation with one child."""

    def __init__(self, decoder: Decoder, kernel: Decider) -> None:
        self._decoder, self._kernel = decoder, kernel
        self._reader = AnswerReader()
        self._input: trio.abc.SendStream | None = None
        self._open = trio.Event()
        self._leaving: Reason | None = None
        self._cpu_us = 0
        self.greeted = False
        self.job: Job | None = None
        """The job in progress."""

    async def feed(self, stream: trio.abc.SendStream) -> None:
        """Pass the stream to `consume`, which decides when to write."""
        self._input = stream
        self._open.set()
        await trio.sleep_forever()

    async def consume(self, stream: trio.abc.ReceiveStream) -> Reason | None:
        """Exchange one request after the other. Returns None at the end of the output, or with the child's fault."""
        reason: Reason | None = None
        try:
            reason = await self._greet(stream) or await self._work(stream)
        except* WireError as group:
            reason = Reason("bad-data", f"{BAD_WIRE}: {first_of(group)}")
        except* (trio.BrokenResourceError, EOFError):
            pass
        return reason

    def explain(self, ending: ChildExit) -> Reason:
        """Explain the child's exit."""
        if self._leaving is not None:
            return self._leaving
        how = f"by {ending.signal}" if ending.signal else f"with {ending.status}"
        last = f": {ending.stderr_tail[-1]}" if ending.stderr_tail else ""
        return Reason("ended", f"the decoder ended {how}{last}")

    async def _greet(self, stream: trio.abc.ReceiveStream) -> Reason | None:
        kernel = self._kernel
        with trio.move_on_after(HELLO_S) as patience:
            await self._open.wait()
            hello = await self._receive(stream)
            if hello.status != HELLO:
                raise WireError("no hello")
            self.greeted = True
            self._cpu_us = hello.cpu_us
            self._decoder.waits.started()
            kernel.emit(c.ClearAlert(START), after=raised(kernel, START))
            missing = "; ".join(hello.body.decode(errors="replace").splitlines())
            if missing:
                text = f"the decoder runs without some of its limits: {missing}"
                kernel.emit(c.RaiseAlert(LIMITS, text), origin=kernel.fault())
            else:
                kernel.emit(c.ClearAlert(LIMITS), after=raised(kernel, LIMITS))
        return SILENT if patience.cancelled_caught else None

    async def _work(self, stream: trio.abc.ReceiveStream) -> Reason | None:
        while True:
            job = await self._next_job(stream)
            if job is None:
                await self._leave(UNUSED)
                return None
            with trio.move_on_after(REQUEST_S) as patience:
                answer = await self._exchange(job, stream)
                self.job = None
                job.finish(answer)
                cost_s, self._cpu_us = max(0, answer.cpu_us - self._cpu_us) / 1e6, answer.cpu_us
                if job.request.kind == LOOK or job.request.width:  # a thumbnail counts as motion's, too
                    self._decoder.queue.charge(job.camera, min(cost_s, REQUEST_S))
                _clear_failures(self._decoder, job.camera, self._kernel)
            if patience.cancelled_caught:
                return STUCK
            if self._cpu_us > RETIRE_CPU_S * 1e6:
                await self._leave(RETIRED)
                return None

    async def _next_job(self, stream: trio.abc.ReceiveStream) -> Job | None:
        """Return the next job, or None after `IDLE_S`. Raises `EOFError` when the child ends; that costs no job."""
        ended = False

        async def watch(scope: trio.CancelScope) -> None:
            nonlocal ended
            if await stream.receive_some(1):
                raise WireError("more than was asked for")
            ended = True
            scope.cancel(reason="the child has ended")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, nursery.cancel_scope)
            with trio.move_on_after(IDLE_S):
                self.job = await self._decoder.queue.take()
            nursery.cancel_scope.cancel(reason="a job arrived, or the child was idle")
        if ended:
            if self.job is not None:
                self._decoder.queue.put_back(self.job)
                self.job = None
            raise EOFError
        return self.job

    async def _exchange(self, job: Job, stream: trio.abc.ReceiveStream) -> DecoderAnswer:
        assert self._input is not None
        for part in encode_request(job.request):
            await self._input.send_all(part)
        answer = await self._receive(stream)
        if answer.number != job.request.number or answer.status not in (DONE, UNDECODABLE):
            raise WireError("an answer to another request")
        if answer.status == DONE and job.request.kind == LOOK:
            decode_looked(answer.body)  # callers rely on a valid body
        return answer

    async def _receive(self, stream: trio.abc.ReceiveStream) -> DecoderAnswer:
        """Return the next answer. Raises `WireError`, and `EOFError` when the child has closed its output."""
        while chunk := await stream.receive_some(_CHUNK):
            answer = self._reader.feed(chunk)
            if answer is not None:
                return answer
        raise EOFError

    async def _leave(self, reason: Reason) -> None:
        """Close the child's input; the child then exits by itself."""
        self._leaving = reason
        assert self._input is not None
        await self._input.aclose()
