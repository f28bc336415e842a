"""Watch through nginx and Caddy as documented: `.venv/bin/python ops/proxied.py [--minutes M] [--viewers 8]`.

Both run with the configurations of `ops/docs/proxy.md`, one below a prefix. Half of the viewers watch through each,
with leases that they renew and the page's WebSocket. Prints a table; exit 1 when anything ended, was refused or stood
still.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import progress  # noqa: E402
from tests.kit.proxied import FPS, Person, run_proxied  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, metavar="M")
    parser.add_argument("--viewers", type=int, default=8)
    options = parser.parse_args()
    seconds = options.minutes * 60

    def report(passed: float, persons: Sequence[Person]) -> None:
        faults = sum(len(person.faults) for person in persons)
        progress.show(passed, seconds, f"{sum(person.frames for person in persons)} frames, {faults} faults")

    with tempfile.TemporaryDirectory(prefix="banken-proxied-") as folder:
        persons = trio.run(run_proxied, Path(folder), seconds, options.viewers, report)
    print(table(persons, seconds))
    return 1 if any(person.faults for person in persons) else 0


def table(persons: Sequence[Person], seconds: float) -> str:
    columns = ("viewer", "through", f"frames (of {seconds * FPS:.0f})", "messages", "renewals", "faults")
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
    rows = [
        f"| {each.address} | {each.proxy.name} /{each.proxy.prefix} | {each.frames} | {each.messages} "
        f"| {each.renewals} | {'; '.join(each.faults[:3]) or 'none'} |"
        for each in persons
    ]
    return "\n".join([head, *rows])


if __name__ == "__main__":
    sys.exit(main())
