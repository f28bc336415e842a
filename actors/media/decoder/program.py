"""The decoding child: reads requests from standard input, writes answers, and exits when its input ends.

Run as `python -I program.py`, so that the environment does not influence Python. It imports only av and the standard
library, because it starts when a user waits for the first JPEG.

Rules of this file:
- Limits come first (`sandbox.py`); its first message lists those that could not be set.
- A request may take `CPU_S` of CPU time. The kernel ends a process that takes more.
- It serves one request at a time, and keeps nothing between two requests.
"""

import os
import resource
import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[3])
sys.path.insert(0, ROOT)  # with -I Python does not look there; the code must be the daemon's

from actors.media.decoder import codec, sandbox, wire  # noqa: E402

CPU_S = 4
"""Seconds for one request: a hundred times what a 4K frame takes."""
ROOM = 1024 * 1024
"""Bytes of the pipes, where the system allows it (pipe(7)): the daemon's loop then sends a key frame in one step."""


def main() -> None:
    sandbox.widen_pipes(ROOM)
    missing = sandbox.limit(sandbox.enter())
    _send(wire.DecoderAnswer(0, wire.HELLO, "\n".join(missing).encode()[: wire.MOST_TEXT]))
    reader = wire.RequestReader()
    while chunk := os.read(0, ROOM):
        for request in reader.feed(chunk):
            _allow_cpu()
            try:
                answer = _answer(request)
            except codec.DecodeError as error:
                answer = wire.DecoderAnswer(request.number, wire.UNDECODABLE, str(error).encode()[: wire.MOST_TEXT])
            _send(answer._replace(cpu_us=int(_used_s() * 1e6)))


def _answer(request: wire.DecoderRequest) -> wire.DecoderAnswer:
    if request.kind == wire.LOOK:
        looked, picture = codec.look(request.codec, request.data, request.before)
        body = wire.encode_looked(looked)
    else:
        picture = codec.decode(request.codec, request.data)
        body = codec.encode(picture, request.width, request.height)
    return wire.DecoderAnswer(request.number, wire.DONE, body, width=picture.width, height=picture.height)


def _send(answer: wire.DecoderAnswer) -> None:
    data = memoryview(wire.encode_answer(answer))
    while data:
        data = data[os.write(1, data) :]


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _allow_cpu() -> None:
    """Allow `CPU_S` from now on. The limit covers the whole life of a process, so each request moves it."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(_used_s()) + 1 + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


if __name__ == "__main__":
    main()
