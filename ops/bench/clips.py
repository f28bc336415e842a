"""Measure clips of recorded video, from outside: `.venv/bin/python ops/bench/clips.py [--seconds 3600] [-o FILE]`.

A real daemon has an archive of one camera: an hour of 720p with 30 access units a second, 2.6 Mbit/s, and a key frame
every two seconds. A program in C that only reads (curl, to /dev/null) takes the hour as MP4, in turns with
`ffmpeg -f concat -c copy` of the same files, which writes a file. The files are in the page cache.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from http.client import HTTPConnection
from pathlib import Path

import av
import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from actors.media.bitstream import split_annexb  # noqa: E402
from actors.media.h264 import H264, IDR, nal_type  # noqa: E402
from actors.media.media import CLOCK_RATE, AccessUnit  # noqa: E402
from actors.recorder.archive_writer import ArchiveWriter, list_files  # noqa: E402
from actors.recorder.cutter import Cutter, NewFile  # noqa: E402
from ops.bench.lib.calibrate import stated  # noqa: E402
from supervisor.base.times import iso  # noqa: E402
from tests.kit.daemon import open_daemon  # noqa: E402
from tests.kit.processes import cpu_s  # noqa: E402

FPS, WIDTH, HEIGHT, BITRATE, LOOP_S = 30, 1280, 720, 2_600_000, 10
BEGAN_NS = 1_780_000_000 * 10**9
ROUNDS, FIRSTS, RANGES, PAUSE_S = 7, 20, 200, 0.5
RECORDING = "0123456789abcdef"
Row = tuple[str, str, str]


def film() -> list[tuple[bytes, ...]]:
    """The NAL units of ten seconds of noise, as a camera of this bit rate sends them."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate, encoder.time_base, encoder.bit_rate = Fraction(FPS), Fraction(1, FPS), BITRATE
    rate = f"vbv-maxrate={BITRATE // 1000}:vbv-bufsize={BITRATE // 1000}:nal-hrd=cbr"
    encoder.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x264-params": f"keyint={2 * FPS}:scenecut=0:repeat-headers=1:{rate}",
    }
    pictures = [random.Random(seed).randbytes(WIDTH * HEIGHT) for seed in range(4)]
    packets = []
    for number in range(FPS * LOOP_S):
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        frame.pts = number
        frame.planes[0].update(pictures[number % 4])
        for plane in (1, 2):
            frame.planes[plane].update(bytes([128]) * frame.planes[plane].buffer_size)
        packets += encoder.encode(frame)
    return [tuple(split_annexb(bytes(packet))) for packet in [*packets, *encoder.encode(None)]]


def write_archive(folder: Path, seconds: int) -> None:
    """Write a recording of this length."""
    nals, ticks = film(), CLOCK_RATE // FPS
    writer, cutter = ArchiveWriter(folder, "", lambda: "a"), Cutter("front", RECORDING)
    writer.open()
    for number in range(seconds * FPS):
        units = nals[number % len(nals)]
        key = any(nal_type(nal) == IDR for nal in units)
        unit = AccessUnit(H264, units, number * ticks, key, sum(map(len, units)), number * ticks)
        for made in cutter.take(unit, BEGAN_NS + number * 10**9 // FPS):
            if isinstance(made, NewFile):
                writer.begin("front", RECORDING, made)
            else:
                writer.append("front", made)
    for made in cutter.end():
        writer.append("front", made)
    writer.seal("front")
    writer.close()


def curl(url: str) -> tuple[float, int]:
    """Seconds to the last byte, and bytes."""
    form = "%{time_total} %{size_download} %{http_code}"
    run = subprocess.run(["curl", "-s", "-o", os.devnull, "-w", form, url], capture_output=True, text=True, check=True)
    whole, size, status = run.stdout.split()
    assert status == "200", run.stdout
    return float(whole), int(size)


def concat(files: Path, out: Path) -> float:
    began = time.perf_counter()
    command = ["ffmpeg", "-loglevel", "error", "-y", "-f", "concat", "-safe", "0", "-i", str(files), "-c", "copy"]
    subprocess.run([*command, str(out)], check=True)
    took = time.perf_counter() - began
    out.unlink()
    return took


def new_clips(port: int, seconds: int) -> list[float]:
    """Seconds to the first byte of clips that were not made before: each begins a millisecond later."""
    found = []
    for number in range(1, FIRSTS + 1):
        connection = HTTPConnection("127.0.0.1", port)
        connection.connect()
        began = time.perf_counter()
        connection.request("GET", path_of(seconds, number))
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read(1)
        found.append(time.perf_counter() - began)
        connection.close()
        time.sleep(PAUSE_S)  # the server has to see that the connection is closed
    return found


def path_of(seconds: int, later_ms: int = 0) -> str:
    begin, end = iso(BEGAN_NS + later_ms * 10**6), iso(BEGAN_NS + seconds * 10**9)
    return f"/footage/front/clip.mp4?from={begin}&to={end}"


def ranges(port: int, path: str, size: int) -> list[float]:
    """Seconds to the first byte of 64 KiB anywhere in the clip, over one connection, as a player seeks."""
    connection, noise, found = HTTPConnection("127.0.0.1", port), random.Random(1), []
    for _ in range(RANGES):
        begin = noise.randrange(size)
        began = time.perf_counter()
        connection.request("GET", path, headers={"Range": f"bytes={begin}-{begin + 65535}"})
        answer = connection.getresponse()
        answer.read(1)
        found.append(time.perf_counter() - began)
        assert answer.status == 206
        answer.read()
    connection.close()
    return found


def ranked(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def measure(seconds: int, folder: Path) -> list[Row]:
    archive = folder / "recordings"
    if not archive.exists():
        await trio.to_thread.run_sync(write_archive, archive, seconds)
    files, out, home = folder / "files", folder / "concat.mp4", folder / "daemon"
    files.write_text("".join(f"file '{archive / path}'\n" for path in list_files(archive)))
    home.mkdir(exist_ok=True)
    more = f"record: {{path: {archive}}}"
    wholes, others, size = [], [], 0
    async with open_daemon(home, {"front": "test:"}, more) as daemon:
        path = path_of(seconds)
        for number in range(ROUNDS + 1):
            whole, size = await trio.to_thread.run_sync(curl, f"http://127.0.0.1:{daemon.port}{path}")
            other = await trio.to_thread.run_sync(concat, files, out)
            if number:  # the first round reads the files into the page cache
                wholes.append(whole)
                others.append(other)
        await trio.to_thread.run_sync(os.sync)  # what ffmpeg has written; the journal is synced before a first byte
        before = cpu_s(daemon.pid)
        firsts = [each * 1000 for each in await trio.to_thread.run_sync(new_clips, daemon.port, seconds)]
        used_ms = (cpu_s(daemon.pid) - before) * 1000 / FIRSTS
        seeks = [each * 1000 for each in await trio.to_thread.run_sync(ranges, daemon.port, path, size)]
    ratios = [other / whole for other, whole in zip(others, wholes, strict=True)]
    lasts = f"{seconds / 60:g} min, {size / 2**20:.0f} MiB"
    return [
        (f"clip of {lasts}: whole", "-", f"{statistics.median(wholes):.2f} s"),
        ("`ffmpeg -f concat -c copy` of the same files", "-", f"{statistics.median(others):.2f} s"),
        (
            f"ratio of the two, {ROUNDS} rounds in turns: median (least)",
            "1.5",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f})",
        ),
        (
            f"first byte of {FIRSTS} clips that were not made before: median (least, most)",
            "50 ms",
            f"{statistics.median(firsts):.0f} ({min(firsts):.0f}, {max(firsts):.0f}) ms",
        ),
        (
            "CPU time of the daemon for each of these, with what it had sent when its client left",
            "-",
            f"{used_ms:.0f} ms",
        ),
        (
            f"first byte of {RANGES} random ranges of a clip that was made before: p50, p95",
            "-",
            f"{ranked(seeks, 0.5):.1f}, {ranked(seeks, 0.95):.1f} ms",
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=3600, help="length of the recording")
    parser.add_argument("-o", "--output", type=Path, help="write the table there as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="banken-clips-") as name:
        rows = trio.run(measure, options.seconds, Path(name))
    lines = ["# Clips", "", "Made by `python ops/bench/clips.py`.", "", stated(), ""]
    lines += ["| measurement | target | result |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    print("\n".join(lines))
    if options.output:
        options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
