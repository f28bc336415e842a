"""The actor of the decoder: one child for all cameras, there while pictures are wanted.

Rules of this file:
- The daemon decodes nothing. It hands a key frame to the child and waits for `REQUEST_S` at the most.
- The child is started with the first picture, ends after `IDLE_S` without one, and is replaced after `RETIRE_CPU_S`.
- The end of the child costs the picture that it was decoding. Its camera waits before the next one; others do not.
- A child that cannot be started, or does not say hello, is tried again after a wait that grows; until then every
  picture is refused at once, with the reason.
"""

import sys
from pathlib import Path

import trio

from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.events import AlertRaised, Recorded
from supervisor.domain.ids import NO_CAMERA, SYSTEM, CameraId, camera_stream
from supervisor.domain.state import DECODER
from supervisor.domain.values import Fault, Reason
from supervisor.kernel import Kernel

from ..child import NO_MEMORY, ChildSpec, Ending, run_child
from ..tools import Tools
from .client import Decoder
from .queue import Job, Undecodable
from .wire import DONE, HELLO, LOOK, UNDECODABLE, Answer, AnswerReader, WireError, decode_looked, encode_request

IDLE_S = 60.0
HELLO_S = 10.0
"""From its start; it takes a quarter of a second."""
REQUEST_S = 5.0
RETIRE_CPU_S = 600.0
PROGRAM = Path(__file__).with_name("program.py")
ARGUMENTS = (sys.executable, "-I", str(PROGRAM))
_CHUNK = 64 * 1024

UNUSED = Reason("unused", f"no picture was wanted for {IDLE_S:g} s", Fault.NONE)
RETIRED = Reason("retired", f"it has used {RETIRE_CPU_S:g} s of CPU time and is replaced", Fault.NONE)
"""Whatever a library leaks goes with it."""
STUCK = Reason("stuck", f"it did not answer within {REQUEST_S:g} s")
SILENT = Reason("silent", f"it did not begin within {HELLO_S:g} s")
BAD_WIRE = "it does not keep to the protocol"
LIMITS, START = "decoder-limits", "decoder-start"
"""Alerts: the child runs without some of its limits; it cannot be started."""
BUSY = Undecodable("the decoder ended while it decoded this picture")


async def run_decoder(decoder: Decoder, tools: Tools, arguments: tuple[str, ...] = ARGUMENTS) -> None:
    """Do what `decoder` is asked for, by one child after the other, until cancelled.

    Cancellation: ends the child. Cleanup: that of `run_child`; whoever waits for a picture is refused.
    """
    try:
        while True:
            await _wait_work(decoder, tools.kernel)
            await _run_child(decoder, tools, arguments)
    finally:
        decoder.queue.fail_all(Undecodable("banken is stopping"))


async def _wait_work(decoder: Decoder, kernel: Kernel) -> None:
    """Wait until a job may be taken; meanwhile forget cameras whose key frames did harm long ago."""
    while True:
        with trio.move_on_at(decoder.waits.next_forgotten()):
            await decoder.queue.wait_ready()
            return
        for camera in decoder.waits.forgotten(trio.current_time()):
            _forgive(decoder, camera, kernel)


async def _run_child(decoder: Decoder, tools: Tools, arguments: tuple[str, ...]) -> None:
    kernel, life = tools.kernel, _Life(decoder, tools.kernel)
    wanted = decoder.queue.first_camera()
    after = (kernel.latest(camera_stream(wanted)) if wanted else None) or kernel.latest(SYSTEM)
    assert after is not None, "a run has begun"
    try:
        spec = ChildSpec(NO_CAMERA, DECODER, arguments)
        reason = await run_child(spec, life.consume, life.explain, tools, after, life.feed)
    except Rejected as refused:  # banken is stopping, or one of an earlier life still lives
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
    """The camera whose key frame was being decoded waits before its next one."""
    kernel, alert = tools.kernel, f"decoder/{camera}"
    text = f"a key frame of {camera} ended the decoder: {reason.text}"
    raised = kernel.emit(c.RaiseAlert(alert, text), after=kernel.latest(camera_stream(NO_CAMERA))).last
    decoder.waits.blame(camera, trio.current_time(), tools.jitter(), raised)


def _forgive(decoder: Decoder, camera: CameraId, kernel: Kernel) -> None:
    """One of its key frames was decoded, or it was not asked for long."""
    failed, raised = decoder.waits.forgive(camera)
    if failed:
        kernel.emit(c.ClearAlert(f"decoder/{camera}"), after=raised)


def _of_alert(kernel: Kernel, alert: str) -> Recorded | None:
    return kernel.latest(f"alert/{alert}", of=AlertRaised)


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _Life:
    """The conversation with one child."""

    def __init__(self, decoder: Decoder, kernel: Kernel) -> None:
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
        """Hands the stream to `consume`, which knows when to write."""
        self._input = stream
        self._open.set()
        await trio.sleep_forever()

    async def consume(self, stream: trio.abc.ReceiveStream) -> Reason | None:
        """One request after the other. Returns none at the end of the output, or with what is wrong with the child."""
        reason: Reason | None = None
        try:
            reason = await self._greet(stream) or await self._work(stream)
        except* WireError as group:
            reason = Reason("bad-data", f"{BAD_WIRE}: {_leaf(group)}")
        except* (trio.BrokenResourceError, EOFError):
            pass
        return reason

    def explain(self, ending: Ending) -> Reason:
        """The reason that its end gives."""
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
            kernel.emit(c.ClearAlert(START), after=_of_alert(kernel, START))
            missing = "; ".join(hello.body.decode(errors="replace").splitlines())
            if missing:
                text = f"the decoder runs without some of its limits: {missing}"
                kernel.emit(c.RaiseAlert(LIMITS, text), origin=kernel.fault())
            else:
                kernel.emit(c.ClearAlert(LIMITS), after=_of_alert(kernel, LIMITS))
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
                if job.request.kind == LOOK or job.request.width:  # a thumbnail is motion's, too
                    self._decoder.queue.charge(job.camera, min(cost_s, REQUEST_S))
                _forgive(self._decoder, job.camera, self._kernel)
            if patience.cancelled_caught:
                return STUCK
            if self._cpu_us > RETIRE_CPU_S * 1e6:
                await self._leave(RETIRED)
                return None

    async def _next_job(self, stream: trio.abc.ReceiveStream) -> Job | None:
        """The next job, or none after `IDLE_S`. Raises `EOFError` when the child ends: that costs no picture."""
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
            nursery.cancel_scope.cancel(reason="there is work, or there was none for long")
        if ended:
            if self.job is not None:
                self._decoder.queue.put_back(self.job)
                self.job = None
            raise EOFError
        return self.job

    async def _exchange(self, job: Job, stream: trio.abc.ReceiveStream) -> Answer:
        assert self._input is not None
        for part in encode_request(job.request):
            await self._input.send_all(part)
        answer = await self._receive(stream)
        if answer.number != job.request.number or answer.status not in (DONE, UNDECODABLE):
            raise WireError("an answer to another request")
        if answer.status == DONE and job.request.kind == LOOK:
            decode_looked(answer.body)  # whoever asked need not expect that it is none
        return answer

    async def _receive(self, stream: trio.abc.ReceiveStream) -> Answer:
        """Raises `WireError`, and `EOFError` when the child has closed its output."""
        while chunk := await stream.receive_some(_CHUNK):
            answer = self._reader.feed(chunk)
            if answer is not None:
                return answer
        raise EOFError

    async def _leave(self, reason: Reason) -> None:
        """It ends by itself when its input does."""
        self._leaving = reason
        assert self._input is not None
        await self._input.aclose()
