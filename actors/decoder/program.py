"""The child that decodes: reads requests from its standard input, writes answers, and ends with its input.

Run as `python -I program.py`, so that nothing of the environment says what Python it is. It imports av and the standard
library only: it is started for the first picture that somebody asks for.

Rules of this file:
- Limits come first (`sandbox.py`); what could not be set is its first word.
- A picture may take `CPU_S` of CPU time. The kernel ends a process that takes more.
- It decodes one picture at a time, and keeps nothing between two.
"""

import os
import resource
import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[2])
sys.path.insert(0, ROOT)  # with -I Python does not look there; the code has to be the daemon's own

from actors.decoder import codec, sandbox, wire  # noqa: E402

CPU_S = 4
"""For one picture: a hundred times what one of 4K takes."""
ROOM = 1024 * 1024
"""Of the pipes, where that is allowed (pipe(7)): a key frame is then handed over in one turn of the daemon's loop."""


def main() -> None:
    sandbox.widen_pipes(ROOM)
    missing = sandbox.limit(sandbox.enter())
    _send(wire.Answer(0, wire.HELLO, "\n".join(missing).encode()[: wire.MOST_TEXT]))
    reader = wire.RequestReader()
    while chunk := os.read(0, ROOM):
        for request in reader.feed(chunk):
            _allow_cpu()
            try:
                answer = _answer(request)
            except codec.Undecodable as error:
                answer = wire.Answer(request.number, wire.UNDECODABLE, str(error).encode()[: wire.MOST_TEXT])
            _send(answer._replace(cpu_us=int(_used_s() * 1e6)))


def _answer(request: wire.Request) -> wire.Answer:
    if request.kind == wire.LOOK:
        looked, picture = codec.look(request.codec, request.data, request.before)
        body = wire.encode_looked(looked)
    else:
        picture = codec.decode(request.codec, request.data)
        body = codec.encode(picture, request.width, request.height)
    return wire.Answer(request.number, wire.DONE, body, width=picture.width, height=picture.height)


def _send(answer: wire.Answer) -> None:
    data = memoryview(wire.encode_answer(answer))
    while data:
        data = data[os.write(1, data) :]


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _allow_cpu() -> None:
    """From now on; the limit is on the whole life of a process, so it moves on with each request."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(_used_s()) + 1 + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


if __name__ == "__main__":
    main()
