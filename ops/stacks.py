"""Stock WebRTC stacks as viewers: `.venv/bin/python ops/stacks.py [--pion FOLDER]`.

Starts a daemon with a test source. Each stack watches it with its own default offers: aiortc with a data channel, and
GStreamer's webrtcbin with its default caps, bundle policy and certificate. With `--pion`, pion also watches, with two
videos and with unbundled audio. FOLDER is where `go` builds pion, and fetches the modules that `stacks/pion/go.mod`
pins. Prints the table of `bench/stacks.md`. Exit 1 if a stack does not play.
"""

import argparse
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.kit.daemon import open_daemon  # noqa: E402

STACKS = ROOT / "ops" / "stacks"
SYSTEM_PYTHON = "/usr/bin/python3"
AIORTC = ("video,audio", "video,data", "data,video", "audio,video,data")
GSTREAMER = ("video", "audio,video", "video,audio", "video,video")
PION = (("video,video",), ("audio,video", "unbundled"), ("data,video",))
WITHIN_S = 60
OFFLINE = {"GOPROXY": "off"}


class CannotBuild(Exception):
    """The pion viewer cannot be built; the message names what is missing."""


def build_pion(folder: Path, *, fetch: bool = True) -> Path:
    """Build the pion viewer in `folder`; returns the program.

    Raises `CannotBuild`, also for modules that are not on this machine and may not be fetched, and `OSError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("main.go", "go.mod", "go.sum"):
        shutil.copy(STACKS / "pion" / name, folder)
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", **({} if fetch else OFFLINE)}
    build = ["nice", "go", "build", "-o", "viewer", "."]
    done = subprocess.run(
        build, cwd=folder, env=environment, check=False, stderr=None if fetch else subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        raise CannotBuild("; ".join((done.stderr or "").strip().splitlines()[:3]) or f"go ended with {done.returncode}")
    return folder / "viewer"


def viewers(pion: Path | None = None) -> Iterator[tuple[str, list[str], tuple[str, ...]]]:
    """Of each: the name of its stack, its command, and the arguments behind the URL."""
    yield from (("aiortc", [sys.executable, str(STACKS / "aiortc_viewer.py")], (order,)) for order in AIORTC)
    yield from (("GStreamer", [SYSTEM_PYTHON, str(STACKS / "gst_viewer.py")], (order,)) for order in GSTREAMER)
    if pion is not None:
        yield from (("pion", [str(pion)], order) for order in PION)


async def watch(command: Sequence[str]) -> str:
    """Run one viewer to its end; returns its last line: `plays`, or what is missing."""
    with trio.move_on_after(WITHIN_S):
        done = await trio.run_process(command, capture_stdout=True, stderr=subprocess.STDOUT, check=False)
        return (done.stdout.decode(errors="replace").strip().splitlines() or [f"exit {done.returncode}"])[-1]
    return f"no end within {WITHIN_S} s"


def versions() -> dict[str, str]:
    """Of each stack, as this machine has it; of pion as `go.mod` pins it."""
    gstreamer = subprocess.run(
        [SYSTEM_PYTHON, STACKS / "gst_viewer.py", "version"], capture_output=True, text=True, check=False
    )
    pinned = re.search(r"pion/webrtc/v4 (\S+)", (STACKS / "pion" / "go.mod").read_text())
    return {
        "aiortc": importlib.metadata.version("aiortc"),
        "GStreamer": gstreamer.stdout.strip().removeprefix("GStreamer ") or "not installed",
        "pion": pinned[1] if pinned else "not pinned",
    }


async def run(pion: Path | None) -> int:
    failed, version = 0, versions()
    print("| stack | version | offer | result |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        async with open_daemon(Path(folder), {"bars": "test:320x180@25"}) as daemon:
            await daemon.wait_camera("bars", "live")
            for name, command, order in viewers(pion):
                said = await watch([*command, f"{daemon.url}whep/bars", *order])
                failed += said != "plays"
                print(f"| {name} | {version[name]} | {' '.join(order)} | {said} |", flush=True)
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pion", type=Path, metavar="FOLDER", help="build pion there, and have it watch, too")
    options = parser.parse_args()
    return trio.run(run, build_pion(options.pion) if options.pion else None)


if __name__ == "__main__":
    sys.exit(main())
