"""A detector that is a program: it reads pictures from its standard input, and prints detections.

For each picture it reads a JSON line `{camera, at, w, h}`, four bytes with the length of the JPEG (big-endian), and the
JPEG. It prints JSON lines `{camera, at, label, score, box?}`.

Rules of this file:
- One picture is on its way at a time. While the program does not read, nothing is queued for it.
- A wrong line is counted and dropped. `MOST_WRONG` of them in a minute end the program, which is then started again.
- The work for its output is bounded: `LINES_S` lines and `BYTES_S` bytes a second. Beyond that the program waits.
- The program runs under the guardian, so that its descendants end with it.
"""

import struct
from collections import OrderedDict, deque

import msgspec
import trio

from supervisor.domain.bucket import Bucket
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import NO_CAMERA
from supervisor.domain.state import DETECTOR
from supervisor.domain.values import Fault, Reason

from ..process.child import ChildExit, ChildSpec, run_child
from .lines import CAMERA, LONG, TIME, Splitter, WrongLine, read_line
from .pictures import DetectorPicture
from .work import Work

UNREAD_S = 60.0
"""A program that takes longer to read one picture is stuck."""
MOST_WRONG, WRONG_S = 10, 60.0
LINES_S, LINES_BURST = 50.0, 100.0
BYTES_S, BYTES_BURST = 256 * 1024.0, 1024 * 1024.0
LAST_WORDS_S = 1.0
"""How long a program that has closed its input may take to exit and explain itself."""
KEPT, MOST_KEPT = 32, 16 * 1024 * 1024
"""Pictures that a detection may still be about, and the bytes of their key frames. Their JPEGs are not kept."""
_CHUNK = 16 * 1024
_LENGTH = struct.Struct("!I")

STUCK = Reason("stuck", f"it has not read a picture for {UNREAD_S:g} s", Fault.TEMPORARY)
CLOSED = Reason("closed-input", "it has closed its standard input and goes on", Fault.TEMPORARY)


async def run(work: Work) -> Reason:
    """Run the program once, until it ends. Returns why.

    Cancellation: ends the program. Cleanup: as in `run_child`.
    """
    detector, talk = work.detector, _Conversation(work)
    purpose = f"{DETECTOR}/{detector.name}"
    spec = ChildSpec(NO_CAMERA, purpose, detector.arguments, detector.secrets, may_fork=True, env=detector.env)
    try:
        return await run_child(spec, talk.consume, talk.explain, work.tools, talk.feed)
    except Rejected as refused:  # banken is stopping, or a child of an earlier process still lives
        return Reason("refused", str(refused))


def encode_picture(picture: DetectorPicture) -> bytes:
    """Return what the program reads for one picture."""
    head = {"camera": picture.camera, "at": picture.at, "w": picture.width, "h": picture.height}
    return msgspec.json.encode(head) + b"\n" + _LENGTH.pack(len(picture.jpeg)) + picture.jpeg


class SentPictures:
    """The last pictures that a program got, up to `KEPT` and `MOST_KEPT`. The newest one is kept in any case."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], tuple[DetectorPicture, float, int]] = OrderedDict()
        """By camera and time: the picture, when it was sent, and its bytes."""
        self._size = 0

    def add(self, picture: DetectorPicture, sent_at: float) -> None:
        """Keep the key frame of a picture, and not its JPEG. The oldest ones are dropped for it."""
        picture.jpeg = b""
        size = sum(map(len, picture.still.units))
        *_, replaced = self._kept.pop((picture.camera, picture.at), (0,))
        self._kept[picture.camera, picture.at] = (picture, sent_at, size)
        self._size += size - replaced
        while len(self._kept) > KEPT or (self._size > MOST_KEPT and len(self._kept) > 1):
            _, (*_, dropped) = self._kept.popitem(last=False)
            self._size -= dropped

    def find(self, camera: str, at: str) -> tuple[DetectorPicture | None, float]:
        """Return a picture and when it was sent; None if it is not kept."""
        picture, sent_at, _ = self._kept.get((camera, at), (None, 0.0, 0))
        return picture, sent_at


class _Conversation:
    """The conversation with one program."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._sent = SentPictures()
        self._wrong: deque[float] = deque(maxlen=MOST_WRONG)
        self._over: Reason | None = None
        self._ended_input = trio.Event()

    async def feed(self, stream: trio.abc.SendStream) -> None:
        """Send one picture after the other, each the newest one when it begins."""
        try:
            while True:
                picture = await self._work.pictures.next()
                with trio.move_on_after(UNREAD_S) as patience:
                    await stream.send_all(encode_picture(picture))
                if patience.cancelled_caught:
                    self._over = STUCK
                    break
                self._sent.add(picture, self._work.tally.sent())
        except trio.BrokenResourceError:
            self._over = CLOSED
        self._ended_input.set()

    async def consume(self, stream: trio.abc.ReceiveStream) -> Reason | None:
        """Take the program's lines. Returns None at the end of its output, or with the fault that ends the program."""
        reason: Reason | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_input, nursery.cancel_scope)
            reason = await self._take_lines(stream)
            nursery.cancel_scope.cancel(reason="its output has ended, or is wrong")
            return reason
        return self._over

    async def _watch_input(self, scope: trio.CancelScope) -> None:
        await self._ended_input.wait()
        if self._over is CLOSED:
            await trio.sleep(LAST_WORDS_S)
        scope.cancel(reason="it takes no pictures")

    async def _take_lines(self, stream: trio.abc.ReceiveStream) -> Reason | None:
        now, splitter = trio.current_time(), Splitter()
        lines, size = Bucket(LINES_S, LINES_BURST, now), Bucket(BYTES_S, BYTES_BURST, now)
        while chunk := await stream.receive_some(_CHUNK):
            await _pace(size, len(chunk))
            for line in splitter.feed(chunk):
                await _pace(lines, 1)
                wrong = await self._take(line)
                if wrong and self._is_too_wrong():
                    return Reason("wrong-lines", f"{MOST_WRONG} wrong lines within {WRONG_S:g} s; the last: {wrong}")
        return None

    async def _take(self, line: bytes | None) -> str:
        """Take one line. Returns what is wrong with it; empty if it is a detection, or only too much or too late."""
        if line is None:
            self._work.tally.drop(LONG)
            return "it is longer than 16 KiB"
        try:
            seen = read_line(line)
        except WrongLine as error:
            self._work.tally.drop(error.code)
            return str(error)
        picture = self._about(seen.camera, seen.at)
        dropped = await self._work.report(seen, picture, origin=None)
        return {CAMERA: "it names a camera that it does not watch", TIME: "its `at` is too old, or in the future"}.get(
            dropped, ""
        )

    def _about(self, camera: str, at: str) -> DetectorPicture | None:
        """Return the picture that a detection is about, if it is still known."""
        picture, sent_at = self._sent.find(camera, at)
        if picture is not None:
            self._work.tally.answered(sent_at)
        return picture

    def _is_too_wrong(self) -> bool:
        self._wrong.append(trio.current_time())
        return len(self._wrong) == MOST_WRONG and self._wrong[-1] - self._wrong[0] <= WRONG_S

    def explain(self, ending: ChildExit) -> Reason:
        """Explain the program's exit."""
        if self._over is STUCK:
            return STUCK
        how = f"was ended by {ending.signal}" if ending.signal else f"exited with {ending.status}"
        last = f": {ending.stderr_tail[-1]}" if ending.stderr_tail else ""
        return Reason("ended", f"it {how}{last}")


async def _pace(bucket: Bucket, tokens: float) -> None:
    """Wait until `tokens` may be taken, and take them. Cancellation: at any time."""
    if wait_s := bucket.ready_in(trio.current_time(), tokens):
        await trio.sleep(wait_s)
    bucket.take(trio.current_time(), tokens)
