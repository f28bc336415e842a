"""Measure transcoded video, from outside: `.venv/bin/python ops/bench/transcode.py [--chromium CODEC …] [-o FILE]`.

A real daemon reads cameras of GStreamer, and a real Chromium plays them. It counts the pictures that Chromium decodes
while a camera sends 215 of them (15 s at 14.3 a second): with B-frames, and MJPEG. At 1280x720 and 30 a second it
measures the first picture after the need, the end of the last transcoder, and its share of a processor; and the
daemon's loop lag with and without it. `--chromium` counts pictures only.
"""

import argparse
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ops.bench.lib.calibrate import stated  # noqa: E402
from tests.kit.chromium import open_chromium  # noqa: E402
from tests.kit.daemon import Daemon, open_daemon  # noqa: E402
from tests.kit.gst import open_rtsp_server  # noqa: E402
from tests.kit.http import request  # noqa: E402
from tests.kit.processes import cpu_s, wait_until  # noqa: E402

SENT, FPS = 215, 14
PAIRS, LAG_S = 3, 15
COUNT = "window.banken?.players.get('camera')?.statistics().framesDecoded ?? 0"
Row = tuple[str, str, str]


async def decoded(kind: str) -> int:
    """The pictures of `SENT` that Chromium decodes: of a camera with `b-frames`, or of one that sends `mjpeg`."""
    b_frames, codec = (2, "h264") if kind == "b-frames" else (0, "mjpeg")
    with tempfile.TemporaryDirectory(prefix="banken-bench-") as folder:
        async with (
            open_rtsp_server(size=(640, 360), fps=FPS, codec=codec, b_frames=b_frames) as camera,  # type: ignore[arg-type]
            open_daemon(Path(folder), {"camera": camera.url}) as daemon,
            open_chromium(own=True) as browser,
            browser.open_page(daemon.url) as page,
        ):
            await page.wait_for(f"({COUNT}) > 3 * {FPS}", 60)
            before = int(await page.evaluate(COUNT))
            await trio.sleep(SENT / FPS)
            return int(await page.evaluate(COUNT)) - before


def transcoder(daemon: Daemon) -> int | None:
    found = (child.pid for child in daemon.children() if any("force_key" in part for part in child.cmdline))
    return next(found, None)


async def lag_s(daemon: Daemon) -> float:
    text = (await request(daemon.port, "GET", "/metrics")).body.decode()
    match = re.search(r'banken_loop_lag_seconds\{quantile="0.99"\} (\S+)', text)
    assert match is not None, text
    return float(match[1])


async def large(transcode: str) -> dict[str, float]:
    """720p30 for one viewer, transcoded or not."""
    with tempfile.TemporaryDirectory(prefix="banken-bench-") as folder:
        async with (
            open_rtsp_server(size=(1280, 720), fps=30) as camera,
            open_daemon(Path(folder), {"camera": camera.url}, f"transcode: {transcode}") as daemon,
            open_chromium(own=True) as browser,
        ):
            await daemon.wait_camera("camera", "live")
            await trio.sleep(3)
            async with browser.open_page(daemon.url) as page:
                await page.wait_for(f"({COUNT}) > 0", 60)
                shown_ns = time.time_ns()
                pid = transcoder(daemon)
                before = cpu_s(pid) if pid else 0.0
                await trio.sleep(LAG_S)
                found = {"lag_ms": await lag_s(daemon) * 1000}
                if pid:
                    found["share"] = (cpu_s(pid) - before) / LAG_S
            left = trio.current_time()
            if transcode == "always":
                await wait_until(lambda: transcoder(daemon) is None, 30)
                found["end_s"] = trio.current_time() - left
            await daemon.end()
        connected = next(row for row in daemon.journal() if row.type == "PeerConnected")
        found["first_s"] = (shown_ns - connected.wall_ns) / 1e9
    return found


async def measure(kinds: list[str], *, all_figures: bool) -> list[Row]:
    rows: list[Row] = []
    for kind in kinds:
        asked = 205 if kind == "b-frames" else 200
        counts = [await decoded(kind) for _ in range(PAIRS)]
        print(kind, counts, flush=True)
        rows.append((f"{kind}: pictures of {SENT} that Chromium decodes", f"≥ {asked}", ", ".join(map(str, counts))))
    if not all_figures:
        return rows
    pairs = [(await large("never"), await large("always")) for _ in range(PAIRS)]
    print(pairs, flush=True)
    ratio = statistics.median(made["lag_ms"] / max(own["lag_ms"], 0.001) for own, made in pairs)
    ends = max(made["end_s"] for _, made in pairs)
    share = statistics.median(made["share"] for _, made in pairs)
    first = max(made["first_s"] for _, made in pairs)
    plain = max(own["first_s"] for own, _ in pairs)
    rows += [
        ("720p30: first picture in Chromium after the need", "≤ 1.5 s", f"{first:.2f} s; {plain:.2f} s without"),
        ("720p30: no transcoder after the last need", "≤ 10 s", f"{ends:.1f} s"),
        ("720p30: the transcoder's share of a processor", "-", f"{share:.0%}"),
        ("720p30: loop lag p99 with the transcoder, of that without", "1.0", f"{ratio:.2f}"),
    ]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="write the table there as well")
    parser.add_argument("--chromium", nargs="*", metavar="CODEC", help="only count pictures: of b-frames, or mjpeg")
    options = parser.parse_args()
    kinds = options.chromium or ["b-frames", "mjpeg"]
    rows = trio.run(lambda: measure(kinds, all_figures=options.chromium is None))
    lines = ["# Transcoding", "", "Made by `python ops/bench/transcode.py`.", "", stated(), ""]
    lines += ["| measurement | target | result |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    print("\n".join(lines))
    if options.output:
        options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
