"""A camera program as S2 has it: a test picture, encoded by ffmpeg, in a ring of shared memory.

Run as `python -m tests.kit.switcher NAME SIZE`. It removes the segment at SIGTERM, and leaves it behind at SIGKILL.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

from actors.media.ffmpeg import find_ffmpeg
from tests.kit.shared_memory import SharedRing

PICTURE = ("-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=15")
CODING = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline", "-g", "15")
OUTPUT = ("-pix_fmt", "yuv420p", "-threads", "1", "-bsf:v", "h264_metadata=aud=insert", "-f", "h264", "pipe:1")
DELIMITER = b"\0\0\0\x01\x09"
"""The beginning of an access unit delimiter, which begins each access unit here."""


def access_units(stream: IO[bytes]) -> Iterator[bytes]:
    held = b""
    while chunk := stream.read1(64 * 1024):  # type: ignore[attr-defined]
        held += chunk
        while (end := held.find(DELIMITER, len(DELIMITER))) > 0:
            yield held[:end]
            held = held[end:]


def main(name: str, size: int) -> None:
    ring = SharedRing(name, size)
    ring.every_ms(66)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    command = [find_ffmpeg(), "-loglevel", "error", "-nostdin", *PICTURE, *CODING, *OUTPUT]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as encoder:
        assert encoder.stdout is not None
        try:
            for number, unit in enumerate(access_units(encoder.stdout)):
                ring.write(unit, number)
        finally:
            encoder.kill()
            ring.unlink()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
