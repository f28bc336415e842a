"""Compare what two versions cost, in interleaved pairs: `.venv/bin/python ops/bench/pairs.py OLD [NEW] [--pairs 12]`.

OLD and NEW are commits, or folders with a checkout; NEW is this checkout by default. Both run with this environment.
Measured are fan-out from one camera and from 30 cameras x 4 viewers, ingest, and the journal. A pair takes about a
minute.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ops.bench.lib import commands  # noqa: E402
from ops.bench.lib.pairs import measure  # noqa: E402

BENCHES = ("fan-out", "spread", "ingest", "journal")


@contextmanager
def checkout(version: str) -> Iterator[Path]:
    """A folder with this version: the named one, or a work tree of the commit for the block."""
    if Path(version).is_dir():
        yield Path(version).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="banken-bench-") as parent:
        folder = Path(parent) / "checkout"
        git = ["git", "-C", str(ROOT), "worktree"]
        if subprocess.run([*git, "add", "--quiet", "--detach", str(folder), version], check=False).returncode:
            raise click.ClickException(f"{version} is neither a folder nor a commit of this repository")
        try:
            yield folder
        finally:
            subprocess.run([*git, "remove", "--force", str(folder)], check=True)


@click.command(help=__doc__)
@click.argument("old")
@click.argument("new", default=str(ROOT))
@click.option("--pairs", type=commands.COUNT, default=12, show_default=True)
@click.option("--cameras", type=commands.COUNT, default=30, show_default=True, help="Of ingest and spread.")
@click.option("--viewers", type=commands.COUNT, default=120, show_default=True, help="Of the fan-out's one camera.")
@click.option("--seconds", type=commands.SECONDS, default=5.0, show_default=True, help="Of each window.")
@click.option("--only", type=click.Choice(BENCHES), multiple=True, default=BENCHES, help="May be repeated.")
@commands.JSON
@commands.WRITE
def main(
    old: str,
    new: str,
    pairs: int,
    cameras: int,
    viewers: int,
    seconds: float,
    only: tuple[str, ...],
    as_json: bool,
    folder: Path | None,
) -> None:
    with ExitStack() as stack:
        before, after = (stack.enter_context(checkout(version)) for version in (old, new))
        commands.report(
            "pairs",
            lambda say: measure(before, after, pairs, cameras, viewers, seconds, only, say),
            as_json,
            folder,
        )


if __name__ == "__main__":
    main()
