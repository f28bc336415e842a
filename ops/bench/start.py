"""Measure how soon cameras are live after exec: `.venv/bin/python ops/bench/start.py [--against CHECKOUT] [-o FILE]`.

Scripted RTSP cameras in a separate process, each with a separate address, answer at once and begin with a key frame.
Times are from exec to the first camera that is live, and to all of them. `listen.py` measures how soon the HTTP layer
answers. With `--against` the daemon of another checkout runs alternately with ours. It uses the `.venv` of that
checkout, or else ours.
"""

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ops.bench.lib.calibrate import stated  # noqa: E402
from tests.kit.proxies import free_port  # noqa: E402

WITHIN_S = 60.0
ASKED = {30: (1.5, 2.0), 100: (4.0, None)}
"""By cameras: seconds from the first that is live to the last, and from exec to the last."""


@attrs.frozen
class Start:
    """Seconds after exec."""

    first: float
    last: float


@contextmanager
def running(command: list[str], folder: Path, checkout: Path, **more: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process with the code of `checkout`, ended by SIGTERM, and by SIGKILL if that does not do."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL, **more) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def ask(port: int, path: str) -> bytes:
    """Raises `OSError` and `http.client.HTTPException`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def measure(checkout: Path, cameras: int, rtsp: int) -> Start:
    """One life of the daemon of `checkout`, over an empty journal."""
    python = checkout / ".venv" / "bin" / "python"
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        lines = (f"  c{n}: rtsp://127.0.{1 + n // 200}.{1 + n % 200}:{rtsp}/{n}" for n in range(cameras))
        text = "\n".join((f"web: {{listen: '127.0.0.1:{port}'}}", "cameras:", *lines, ""))
        (folder / "banken.yaml").write_text(text)
        command = [str(python if python.exists() else sys.executable), "-m", "supervisor", "run", "banken.yaml"]
        began, wall = time.monotonic(), time.time()
        with running(command, folder, checkout, stdout=subprocess.DEVNULL):
            while time.monotonic() - began < WITHIN_S:
                time.sleep(0.25)
                try:
                    events = json.loads(ask(port, "/api/events?type=CameraLive&limit=1000"))["events"]
                except (OSError, http.client.HTTPException):
                    continue  # it does not listen yet
                live = {event["body"]["camera"]: event["time"] for event in reversed(events)}
                if len(live) == cameras:
                    at = sorted(datetime.fromisoformat(time_).timestamp() - wall for time_ in live.values())
                    return Start(at[0], at[-1])
    raise SystemExit(f"{checkout}: {cameras} cameras were not live within {WITHIN_S:g} s")


def table(found: dict[tuple[str, int], list[Start]], names: list[str], counts: list[int]) -> str:
    rows = ["| cameras | daemon | exec to the first live camera | exec to all live | first to last |"]
    rows.append("|---|---|---|---|---|")
    medians: dict[tuple[str, int], tuple[float, ...]] = {}
    for count in counts:
        for name in names:
            runs = found[name, count]
            columns = [[run.first for run in runs], [run.last for run in runs]]
            columns.append([run.last - run.first for run in runs])
            medians[name, count] = tuple(map(statistics.median, columns))
            cells = (f"{statistics.median(c):.2f} s ({min(c):.2f} to {max(c):.2f})" for c in columns)
            rows.append(f"| {count} | {name} | {' | '.join(cells)} |")
        if len(names) > 1:
            ratios = (f"{a / b:.2f}" for a, b in zip(medians[names[0], count], medians[names[1], count], strict=True))
            rows.append(f"| {count} | ratio | {' | '.join(ratios)} |")
        spread_s, all_s = ASKED.get(count, (None, None))
        if spread_s is not None:
            rows.append(f"| {count} | target | | {f'{all_s:g} s' if all_s else ''} | {spread_s:g} s |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout, measured in turn with this one")
    parser.add_argument("--cameras", type=int, action="append", help="how many; default 30 and 100")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    checkouts = {"this": ROOT} | ({"other": options.against.resolve()} if options.against else {})
    counts, found = options.cameras or list(ASKED), dict[tuple[str, int], list[Start]]()
    with tempfile.TemporaryDirectory() as name:
        clip = Path(name) / "clip.mp4"
        encode = ["-f", "lavfi", "-i", "testsrc=size=320x180:rate=30", "-t", "4", "-c:v", "libx264", "-g", "30"]
        plain = ["-bf", "0", "-pix_fmt", "yuv420p", "-profile:v", "baseline", "-preset", "ultrafast", str(clip)]
        subprocess.run(["ffmpeg", "-v", "error", *encode, *plain], check=True)
        serve = [sys.executable, "-m", "ops.bench.lib.camera", str(clip), "--rtsp"]
        with running(serve, ROOT, ROOT, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            rtsp = int(server.stdout.readline())
            for count in counts:
                for run in range(options.runs):
                    order = list(checkouts.items())
                    for label, checkout in order if run % 2 == 0 else reversed(order):
                        start = measure(checkout, count, rtsp)
                        found.setdefault((label, count), []).append(start)
                        print(label, count, start, file=sys.stderr, flush=True)
    against = " --against CHECKOUT" if options.against else ""
    made = f"Made by `python ops/bench/start.py{against}`; median, minimum and maximum of {options.runs} runs."
    head = f"# Start of cameras\n\n{made}\n"
    text = "\n".join((head, f"{stated()}\n", table(found, list(checkouts), counts), ""))
    print(text)
    if options.output is not None:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
