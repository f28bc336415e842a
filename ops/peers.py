"""Thousands of misbehaving viewers: `.venv/bin/python ops/peers.py --cycles 3000`.

They are cancelled at any moment, never connect, vanish, are closed twice, or crash. Prints the resources held
afterwards and the bytes per cycle; exit 1 if a resource is not released.
"""

import argparse
import ctypes
import gc
import logging
import sys
import time
from collections import Counter
from pathlib import Path

import attrs
import trio

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.kit.peers import OFTEN, Resources, count_resources, open_rig, run_cycles  # noqa: E402

WARM = 160
"""Cycles after which the allocator has what it will have."""
STEP = 40


def resident() -> int:
    """Bytes of memory that are the process's own, after what is free was given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


async def run(cycles: int, first: int) -> tuple[Resources, Resources, int, Counter[str]]:
    ends: Counter[str] = Counter()
    async with open_rig() as rig:
        await run_cycles(rig, range(first, first + WARM))
        before, bytes_before = count_resources(), resident()
        for at in range(0, cycles, STEP):
            begin = first + WARM + at
            ends.update(await run_cycles(rig, range(begin, begin + min(STEP, cycles - at))))
            # The journal of the test, a list in memory, is not a cost of a peer.
            rig.core.disk.forget()
            if sys.stderr.isatty():
                done = min(cycles, at + STEP)
                bar = "█" * (40 * done // cycles)
                print(f"\r{bar:·<40} {done:,} of {cycles:,} ", end="", file=sys.stderr, flush=True)
        after, bytes_after = count_resources(), resident()
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    return before, after, bytes_after - bytes_before, ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=3000, metavar="N")
    parser.add_argument(
        "--first", type=int, default=0, metavar="I", help="number of the first cycle, which is its seed"
    )
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # crashes are what is asked for here
    assert len(OFTEN) <= WARM
    began = time.monotonic()
    before, after, grown, ends = trio.run(run, options.cycles, options.first)
    print("| held | before | after |\n|---|---|---|")
    for name in attrs.fields_dict(Resources):
        print(f"| {name} | {getattr(before, name)} | {getattr(after, name)} |")
    print("\nEnds: " + ", ".join(f"{end} {count:,}" for end, count in ends.most_common()) + ".")
    print(f"{options.cycles:,} cycles in {time.monotonic() - began:.0f} s, {grown / options.cycles:.0f} bytes a cycle.")
    more = [name for name in attrs.fields_dict(Resources) if getattr(after, name) > getattr(before, name)]
    sys.exit(f"there are more {', '.join(more)} than before" if more else 0)


if __name__ == "__main__":
    main()
