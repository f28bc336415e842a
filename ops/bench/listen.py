"""Measure a start: `.venv/bin/python ops/bench/listen.py [--against CHECKOUT] [--rounds 11]`.

From exec to the line that says where banken listens, of `banken run` with one camera at rest and a new journal; and
whole commands that need no daemon. With `--against`, rounds of another checkout of the project lie between ours, under
the same interpreter and libraries, and the last column is the ratio of the medians. Processor time is of the process
itself.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ops.bench.lib.calibrate import stated  # noqa: E402

START = "from supervisor.__main__ import main; main()"
CONFIG = """web: {listen: "127.0.0.1:0"}
journal: {path: journal}
cameras: {bench: {source: "rtsp://127.0.0.1:9/x", mode: on_demand}}
"""
JOURNAL = ROOT / "tests" / "journals" / "v1"
COMPILE_S, START_S = 300, 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout, as version 0.1.0's")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    roots = [ROOT, *([options.against.resolve()] if options.against else [])]
    for root in roots:
        command = [sys.executable, "-m", "compileall", "-q", "supervisor", "actors", "web"]
        subprocess.run(command, cwd=root, check=True, timeout=COMPILE_S)
    text = table([measure(what, run, roots, options.rounds) for what, run in MEASURES])
    print(text)
    made = "Made by `python ops/bench/listen.py --against CHECKOUT`, where CHECKOUT is version 0.1.0."
    options.output.write_text(f"# Start of the daemon and of commands\n\n{made}\n\n{text}")


Took = tuple[float, float]
"""Milliseconds, and those of the processor."""
Run = Callable[[Path], Took]
Row = tuple[str, list[Took]]


def measure(what: str, run: Run, roots: list[Path], rounds: int) -> Row:
    """Medians of each checkout, whose rounds take turns; the first round fills the caches and is not counted."""
    took: list[list[Took]] = [[] for _ in roots]
    for number in range(rounds + 1):
        for root, found in zip(roots, took, strict=True):
            one = run(root)
            if number:
                found.append(one)
    return what, [(statistics.median(a for a, _ in found), statistics.median(b for _, b in found)) for found in took]


def listens(root: Path) -> Took:
    """Until it says that it listens."""
    with tempfile.TemporaryDirectory(prefix="banken-listen-") as folder:
        (Path(folder) / "banken.yaml").write_text(CONFIG)
        began = time.perf_counter()
        with start(root, "run", f"{folder}/banken.yaml") as process:
            assert process.stdout is not None
            said = process.stdout.readline()
            took = time.perf_counter() - began
            cpu = cpu_s(process.pid)
            process.terminate()
            process.wait(START_S)
        assert b"http://" in said, said
    return took * 1e3, cpu * 1e3


def ends(*arguments: str, root: Path) -> Took:
    """Until the command has ended."""
    began, before = time.perf_counter(), os.times()
    with start(root, *arguments) as process:
        process.communicate(timeout=START_S)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return (time.perf_counter() - began) * 1e3, cpu * 1e3


def start(root: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", START, *arguments]
    return subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def cpu_s(pid: int) -> float:
    """proc(5): user and system time, after the program's name, which may hold anything."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


MEASURES: list[tuple[str, Run]] = [
    ("`banken run`: exec to listening", listens),
    ("`banken --help`", lambda root: ends("--help", root=root)),
    ("`banken events`, with a stored journal", lambda root: ends("events", str(JOURNAL), "-n", "10", root=root)),
]


def table(rows: list[Row]) -> str:
    lines = []
    for what, found in rows:
        (ours, cpu), other = found[0], found[1:]
        against = (
            f"{other[0][0]:.0f} ({other[0][1]:.0f}) | {ours / other[0][0]:.2f} ({cpu / other[0][1]:.2f})"
            if other
            else " | "
        )
        lines.append(f"| {what} | {ours:.0f} ({cpu:.0f}) | {against} |")
    head = ["| measurement: ms (processor time) | this checkout | the other | ratio |", "|---|---|---|---|"]
    return "\n".join([stated(), "", *head, *lines, ""])


if __name__ == "__main__":
    main()
