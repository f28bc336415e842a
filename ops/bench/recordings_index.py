"""Measure the index of recordings, and a start after a kill: `.venv/bin/python ops/bench/recordings_index.py`.

Makes the rows of N cameras for D days, and their files: sparse ones, and some thousand whole ones. A daemon was killed
over them. Then an archive is started, and all cameras are recorded at once. At last, the index is lost.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import click
import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ops.bench.lib import commands  # noqa: E402
from ops.bench.lib.recordings_index import Archived, look_ups, lose_index, make, start  # noqa: E402
from ops.bench.lib.report import Report  # noqa: E402
from supervisor.cli.terminal import say_progress  # noqa: E402

NOTES = (
    "16 cameras at a moment: their files and the key frames in them, at random moments; warm. Cold: the pages of the "
    "index have left the cache, and the connection is new.",
    "The start: from the start of the archive until a fragment of each camera is written. The newest file of each "
    "camera ends in the middle of a fragment; it is read and repaired before.",
    "The longest wait of a fragment, from its offer until it is written, while the archive compares rows with files.",
    "A lost index is made again from the whole files alone, of which the journal has sealed all but the newest.",
)


@click.command(help=__doc__)
@click.option("--cameras", type=click.IntRange(16, 100), default=30, show_default=True)
@click.option("--days", type=click.IntRange(1, 100), default=30, show_default=True)
@click.option("--whole", type=click.IntRange(100, 100_000), default=5000, show_default=True, help="Whole files.")
@click.option("--at", type=click.Path(path_type=Path, file_okay=False), help="Where to make them [default: a new one].")
@commands.JSON
@commands.WRITE
def main(cameras: int, days: int, whole: int, at: Path | None, as_json: bool, folder: Path | None) -> None:
    home = Path(tempfile.mkdtemp(prefix="banken-bench-", dir=at))
    try:
        report = measure(Archived(home / "recordings", cameras, days, whole))
    finally:
        say_progress("removing the files")
        shutil.rmtree(home)
        say_progress("")
    commands.show(report, as_json)
    if folder is not None:
        report.write(folder, "recordings_index")


def measure(archived: Archived) -> Report:
    began = time.monotonic()
    make(archived, lambda done, text: say_progress(f"{done:4.0%} {text}"))
    took_s = time.monotonic() - began
    say_progress("looking up")
    found = look_ups(archived)
    say_progress("starting")
    started = trio.run(start, archived)
    say_progress("making the index again")
    lost = trio.run(lose_index, archived)
    cameras = archived.cameras
    rows: list[tuple[str, str, str]] = [
        ("files in the index", "", f"{archived.files:,}"),
        ("bytes of the index for each file", "≤ 300", f"{found.bytes:.0f}"),
        ("16 cameras at a moment, median, ms", "", f"{found.median_ms:.2f}"),
        ("the same, p95, ms", "≤ 5", f"{found.warm_ms:.2f}"),
        ("the same, cold, p95, ms", "", f"{found.cold_ms:.1f}"),
        (f"start until {cameras} cameras are recorded, s", "≤ 2", f"{started.recording_s:.2f}"),
        ("bytes read to repair their newest files, MB", "", f"{archived.torn_bytes / 1e6:.0f}"),
        ("all rows compared with the files after, s", "", f"{started.compared_s:.0f}"),
        ("longest wait of a fragment meanwhile, ms", "", f"{started.wait_ms:.0f}"),
        (f"index of {archived.whole:,} files made again after, s", "", f"{lost.compared_s:.1f}"),
        ("longest wait of a fragment meanwhile, ms", "", f"{lost.wait_ms:.0f}"),
    ]
    notes = (
        *NOTES,
        f"{archived.whole:,} files are whole, with 6 s of video, the others sparse; they were made in {took_s:.0f} s.",
    )
    return Report("The index of recordings, and a start", ("what", "asked", "got"), rows, notes)


if __name__ == "__main__":
    main()
