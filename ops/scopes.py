"""Random roles and scopes (R17): `.venv/bin/python ops/scopes.py --principals 10000 --seed 1`.

Asks every route and every WebSocket as random principals of random sites, and searches every byte of every answer for
names, devices and addresses of cameras outside the scope. Prints a table at the end; exit 1 after a leak.
"""

import argparse
import sys
import time
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.kit.scopes import Tally, run_worlds, unasked  # noqa: E402

EACH = 5
"""Principals of one site."""
SHOWN = 20
"""Leaks that are printed; the rest are counted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--principals", type=int, default=10_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="number of the first site, which is its seed")
    parser.add_argument(
        "--share", type=float, default=1.0, metavar="X", help="share of the requests that each asks, at random"
    )
    options = parser.parse_args()
    began = time.monotonic()

    def show(tally: Tally) -> None:
        if sys.stderr.isatty():
            print(f"\r{tally.principals:,} of {options.principals:,} ", end="", file=sys.stderr, flush=True)

    seeds = range(options.seed, options.seed + options.principals // EACH)
    tally = trio.run(run_worlds, seeds, EACH, options.share, show)
    missing = unasked(tally.asked)
    rows = {
        "principals with a random role and scope": tally.principals,
        "sites, each with a random past": len(seeds),
        "cameras outside the scopes, summed": tally.hidden,
        "requests": tally.requests,
        "WebSockets": tally.sockets,
        "bytes searched": tally.bytes,
        "pairs of a camera outside the scope and an unknown one": tally.compared,
        "routes that were not asked": len(missing),
        "leaks, and pairs that differ": len(tally.leaks),
    }
    print("| counted | |\n|---|---|")
    for name, count in rows.items():
        print(f"| {name} | {count:,} |")
    print(f"\n{time.monotonic() - began:.0f} s.", *sorted(missing), *tally.leaks[:SHOWN], sep="\n")
    sys.exit(1 if tally.leaks or missing else 0)


if __name__ == "__main__":
    main()
