"""Build go2rtc and mediamtx, which the benches measure beside banken: `.venv/bin/python ops/other_servers.py`.

Needs git and Go. Both are cloned at a pinned version and built into `.cache/servers`, where the benches look for them.
`--source NAME=REPOSITORY` names another repository to clone, for example a copy on this machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ops.bench.lib.servers import BUILT  # noqa: E402


@attrs.frozen
class Program:
    """A Go program and the version that is measured."""

    repository: str
    version: str
    made: tuple[str, ...] = ()
    """Files that its build embeds and that are not in its repository."""


PROGRAMS = {
    "go2rtc": Program("https://github.com/AlexxIT/go2rtc", "v1.9.14"),
    "mediamtx": Program(
        "https://github.com/bluenviron/mediamtx",
        "v1.20.1",
        ("internal/core/VERSION", "internal/servers/hls/hls.min.js"),
    ),
}
"""mediamtx downloads a player of HLS, which no bench uses: an empty file is embedded instead."""


def build(name: str, repository: str, folder: Path) -> Path:
    """Clone and build a program; returns its path. Raises `OSError` and `CalledProcessError`."""
    program, built = PROGRAMS[name], folder.resolve() / name
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="banken-bench-") as source:
        clone = ["git", "clone", "--quiet", "--depth=1", f"--branch={program.version}", repository, source]
        subprocess.run(clone, check=True)
        for made in program.made:
            Path(source, made).write_text(program.version if made.endswith("VERSION") else "")
        environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
        command = ["nice", "go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", str(built), "."]
        subprocess.run(command, cwd=source, env=environment, check=True)
    return built


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", action="append", default=[], metavar="NAME=REPOSITORY")
    parser.add_argument("folder", type=Path, nargs="?", default=BUILT)
    options = parser.parse_args()
    repositories = {name: program.repository for name, program in PROGRAMS.items()}
    repositories |= dict(source.split("=", 1) for source in options.source)
    for name in PROGRAMS:
        print(build(name, repositories[name], options.folder))


if __name__ == "__main__":
    main()
