"""Output of the set-up scripts: short lines on stderr, one line for a refusal, a log for everything else."""

import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

STILL_BUSY_SECONDS = 20  # a step that takes longer says so this often: quiet, yet seen to be alive


def say(text: str) -> None:
    print(f"banken: {text}", file=sys.stderr, flush=True)


def refuse(text: str) -> NoReturn:
    sys.exit(f"banken: {text}")


def write(path: Path, text: str) -> None:
    """Write a file of the project, and print whether that changed it."""
    changed = not path.exists() or path.read_text() != text
    path.write_text(text)
    print(f"{'written' if changed else 'unchanged'}: {path.relative_to(Path(__file__).resolve().parents[1])}")


def run(argv: list[str], log: Path, *, keep: tuple[int, ...] = ()) -> None:
    """Run with the output in `log`; on failure show its end and refuse. The child inherits `keep`."""
    begin = time.monotonic()
    with log.open("ab") as output:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, pass_fds=keep)
        while child.returncode is None:
            try:
                child.wait(STILL_BUSY_SECONDS)
            except subprocess.TimeoutExpired:
                say(f"… {time.monotonic() - begin:.0f} s")
    if child.returncode != 0:
        sys.stderr.write("".join(log.read_text(errors="replace").splitlines(keepends=True)[-15:]))
        where = f"; all of it is in {log}" if log.exists() else ""
        refuse(f"that failed with exit code {child.returncode}{where}: {' '.join(argv[:5])} …")
