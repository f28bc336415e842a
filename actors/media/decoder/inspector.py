"""Reports the codecs of a video file, and whether they can be passed on unchanged. A separate program.

Run as `python -I inspector.py PATH`. It prints one line, `VIDEO B_FRAMES AUDIO RATE CHANNELS` (`-` and zeros for a
missing stream). Otherwise it prints the reason on standard error and exits with 1, or with `MAY_PASS` for a temporary
fault.

A file can be as hostile as a camera: it is opened without network, in little memory, and cannot be written.
"""

import errno
import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[3])
sys.path.insert(0, ROOT)  # with -I Python does not look there; the code must be the daemon's

import av  # noqa: E402
import av.error  # noqa: E402

from actors.media.decoder import sandbox  # noqa: E402
from actors.media.decoder.wire import MAY_PASS  # noqa: E402

_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR)


def main(path: str) -> int:
    sandbox.limit(sandbox.enter(), files=True)
    try:
        with av.open(path) as container:
            video = container.streams.video[0].codec_context if container.streams.video else None
            sound = container.streams.audio[0].codec_context if container.streams.audio else None
            seen = (video.name, int(video.has_b_frames)) if video else ("-", 0)
            heard = (sound.name, sound.sample_rate, sound.layout.nb_channels) if sound else ("-", 0, 0)
    except (av.error.FFmpegError, OSError, MemoryError) as error:
        print(getattr(error, "strerror", None) or "not enough memory", file=sys.stderr)
        passes = isinstance(error, MemoryError) or getattr(error, "errno", None) in _PASSING
        return MAY_PASS if passes else 1
    print(*seen, *heard)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
