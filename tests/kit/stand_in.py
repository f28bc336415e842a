"""A stand-in for ffmpeg that misbehaves in one chosen way. A separate program: it imports no module of this project.

The environment says which part (`STAND_IN_PART`), and where the media are (`STAND_IN_MEDIA`): chunks of FLV, each with
its length in front, as 4 bytes; the first two are the beginning, the others a picture each.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import NoReturn

STREAMS_S = 1.0
"""Those who stream before they misbehave do so for this long."""
PICTURE_S = 0.1
FLOOD = 50_000_000
"""Bytes a second."""
_LINE = b"[h264 @ 0x55d0c0ffee00] error while decoding MB 12 34, bytestream -5, and so on and so forth\n"


def media() -> list[bytes]:
    with open(os.environ["STAND_IN_MEDIA"], "rb") as file:
        data, chunks = file.read(), []
    while data:
        size = int.from_bytes(data[:4])
        chunks.append(data[4 : 4 + size])
        data = data[4 + size :]
    return chunks


def write(data: bytes, stream: int = 1) -> None:
    while data:
        data = data[os.write(stream, data) :]


def say(line: str) -> None:
    write(line.encode() + b"\n", 2)


def hang() -> NoReturn:
    while True:
        signal.pause()


def stream(seconds: float = STREAMS_S, beside: Callable[[], None] = lambda: None) -> None:
    """As a camera that works, ten pictures a second; `beside` is called before each."""
    first, second, *pictures = media()
    write(first + second)
    began, count = time.monotonic(), 0
    while (due := count * PICTURE_S) < seconds:
        beside()
        time.sleep(max(0.0, began + due - time.monotonic()))
        write(pictures[count % len(pictures)])
        count += 1


def flood() -> None:
    """Write the share of the flood that is due during one frame interval."""
    lines = _LINE * (60_000 // len(_LINE))
    for _ in range(int(FLOOD * PICTURE_S) // len(lines)):
        write(lines, 2)


def dies_of(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def exits(code: int) -> Callable[[], None]:
    def part() -> None:
        say(f"that makes {code}")
        os._exit(code)

    return part


def ignores_term() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stream()
    hang()


def floods() -> None:
    while True:
        began = time.monotonic()
        flood()
        time.sleep(max(0.0, began + PICTURE_S - time.monotonic()))


def half_a_frame() -> None:
    first, second, picture, *_ = media()
    write(first + second + picture[: len(picture) // 2])
    hang()


def drips() -> None:
    for byte in b"".join(media()):
        write(bytes([byte]))
        time.sleep(0.05)


def closes_output() -> None:
    os.close(1)
    hang()


def garbage() -> None:
    write(os.urandom(4096))
    hang()


def huge_frames() -> None:
    while True:
        write(b"FLV\x01\x01\xff\xff\xff\xff\x00\x00\x00\x00" + b"\x09\xff\xff\xff" * 10_000)


def streams_and_stalls() -> None:
    stream()
    hang()


def stops_itself() -> None:
    stream()
    os.kill(os.getpid(), signal.SIGSTOP)


def tells_secrets() -> None:
    for line in sys.argv[1:]:
        say(f"cannot open {line}, password hunter2")
    os._exit(1)


def endless_line() -> None:
    for number in range(10_000):
        write(f"error {number} ".encode(), 2)
    os._exit(1)


def lists_descriptors() -> None:
    # One more is the listing's own.
    say("descriptors " + " ".join(sorted(os.listdir("/proc/self/fd"))[:-1]))
    os._exit(0)


def fork_away(twice: bool = False) -> None:
    """Start a process that leaves the session and listens to no polite word. Returns when it has left."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if twice and os.fork() > 0:
            os._exit(0)
        os.close(write_end)
        hang()
    os.close(write_end)
    os.read(read_end, 1)
    if twice:
        os.wait()


def leaves_a_grandchild() -> None:
    """It holds the output open."""
    fork_away()
    os._exit(3)


def streams_beside_a_daemon() -> None:
    fork_away(twice=True)
    stream(3600)


def stalls_beside_a_daemon() -> None:
    fork_away(twice=True)
    stream()
    hang()


PARTS: dict[str, Callable[[], None]] = {
    "exits-0": exits(0),
    "exits-1": exits(1),
    "exits-69": exits(69),
    "dies-of-segv": dies_of(signal.SIGSEGV),
    "dies-of-kill": dies_of(signal.SIGKILL),
    "dies-of-a-nameless-signal": dies_of(40),
    "ignores-term": ignores_term,
    "hangs": hang,
    "streams-and-floods": lambda: stream(3600, flood),
    "floods": floods,
    "half-a-frame": half_a_frame,
    "drips": drips,
    "closes-output": closes_output,
    "garbage": garbage,
    "huge-frames": huge_frames,
    "streams-and-stalls": streams_and_stalls,
    "stops-itself": stops_itself,
    "tells-secrets": tells_secrets,
    "endless-line": endless_line,
    "lists-descriptors": lists_descriptors,
    "leaves-a-grandchild": leaves_a_grandchild,
    "streams-beside-a-daemon": streams_beside_a_daemon,
    "stalls-beside-a-daemon": stalls_beside_a_daemon,
}

if __name__ == "__main__":
    PARTS[os.environ["STAND_IN_PART"]]()
