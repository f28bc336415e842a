"""Measure what decoding costs, from outside: `.venv/bin/python ops/bench/decode.py [-o FILE]`.

A real daemon reads films that ffmpeg copies without decoding. For motion there are 16 cameras of 640x360 with a key
frame every two seconds, for snapshots one of 1920x1080 with two a second. CPU times are those of /proc: all of the
child's, and for the daemon the difference between motion on and off.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ops.bench.lib.calibrate import stated  # noqa: E402
from tests.kit.daemon import Daemon, open_daemon  # noqa: E402
from tests.kit.http import request  # noqa: E402
from tests.kit.processes import cpu_s, descendants, wait_until  # noqa: E402

CAMERAS, SECONDS, WARM = 16, 40, 60
TICKS = os.sysconf("SC_CLK_TCK")
Row = tuple[str, str, str]


def film(folder: Path, size: str, bitrate: str, keys: int) -> dict[str, list[str]]:
    """A source that costs next to nothing: a film of 20 s, encoded once."""
    path = folder / f"{size}.mp4"
    if not path.exists():
        picture = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=15,noise=alls=8:allf=t", "-t", "20"]
        coding = ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-b:v", bitrate, "-g", str(keys)]
        subprocess.run(
            ["ffmpeg", "-loglevel", "error", *picture, *coding, "-pix_fmt", "yuv420p", str(path)], check=True
        )
    return {"ffmpeg": ["-re", "-stream_loop", "-1", "-i", str(path), "-c", "copy", "-an"]}


def decoder(daemon: Daemon) -> int | None:
    found = (p.pid for p in descendants(daemon.pid) if any(part.endswith("program.py") for part in p.cmdline))
    return next(found, None)


async def motion(folder: Path, wanted: bool) -> tuple[float, float]:
    """Shares of a core: the daemon's and the child's."""
    cameras = {f"camera-{number}": film(folder, "640x360", "600k", 30) for number in range(CAMERAS)}
    home = folder / f"motion-{wanted}"
    home.mkdir()
    async with open_daemon(home, cameras, f"detections: {{motion: {'on' if wanted else 'off'}, score: 1.0}}") as daemon:
        for name in cameras:
            await daemon.wait_camera(name, "live")
        if wanted:
            await wait_until(lambda: decoder(daemon) is not None, 30)
        await trio.sleep(5)
        child = decoder(daemon)
        before = cpu_s(daemon.pid), cpu_s(child) if child else 0.0
        await trio.sleep(SECONDS)
        after = cpu_s(daemon.pid), cpu_s(child) if child else 0.0
    return (after[0] - before[0]) / SECONDS, (after[1] - before[1]) / SECONDS


async def snapshots(folder: Path) -> tuple[float, list[float]]:
    """Milliseconds: the first, which starts the child, and each of a new key frame after it."""
    home = folder / "snapshots"
    home.mkdir()
    async with open_daemon(home, {"front": film(folder, "1920x1080", "4M", 7)}) as daemon:
        await daemon.wait_camera("front", "live")
        times, seen = [], ""
        while len(times) < WARM + 1:
            began = trio.current_time()
            answer = await request(daemon.port, "GET", "/cameras/front/snapshot.jpg")
            took = (trio.current_time() - began) * 1000
            assert answer.status == 200, answer
            if answer.headers["X-Picture-Time"] != seen:  # a key frame is decoded once
                seen = answer.headers["X-Picture-Time"]
                times.append(took)
            await trio.sleep(0.05)
    return times[0], times[1:]


async def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="banken-bench-") as name:
        folder = Path(name)
        cold, warm = await snapshots(folder)
        ranked = sorted(warm)
        p95 = ranked[-(-len(ranked) * 95 // 100) - 1]
        p50 = statistics.median(warm)
        off, _ = await motion(folder, False)
        on, child = await motion(folder, True)
    more = on - off
    return [
        ("first snapshot of a live 1920x1080 camera, which starts the child", "600 ms", f"{cold:.0f} ms"),
        (
            f"the next {len(warm)}, each of a new key frame",
            "p95 60 ms",
            f"p50 {p50:.0f}, p95 {p95:.0f} ms",
        ),
        ("motion, 16 cameras of 640x360: the child", "-", f"{child:.2%} of a core"),
        ("motion, 16 cameras of 640x360: the daemon, compared with motion off", "-", f"{more:.2%} of a core"),
        ("motion, 16 cameras of 640x360: together", "3 % of a core", f"{child + more:.2%} of a core"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="write the table there as well")
    options = parser.parse_args()
    rows = trio.run(measure)
    lines = ["# Decoding", "", "Made by `python ops/bench/decode.py`.", "", stated(), ""]
    lines += ["| measurement | target | result |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    print("\n".join(lines))
    if options.output:
        options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
