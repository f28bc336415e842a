"""Measure what viewers on bad lines see: `.venv/bin/python ops/bench/bad_network.py [--seconds N] [--seeds N]`.

The same runs as in `tests/e2e/test_bad_network.py`, longer and with several seeds: a real daemon, a real Chromium, and
a relay between them that loses, delays and holds back packets. Prints one table of what was seen.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "ops")]

import progress  # noqa: E402
from ops.bench.lib.calibrate import stated  # noqa: E402
from tests.kit.bad_network import LOSSY, Through, run_lossy, run_narrow  # noqa: E402
from tests.kit.numbered import KEY_EVERY_S  # noqa: E402
from tests.kit.watching import Report, percentile  # noqa: E402

LINES = {
    "3 % lost both ways, 20 ± 5 ms, in order": attrs.evolve(LOSSY, ordered=True),
    "3 % lost both ways, 20 ± 5 ms, out of order": LOSSY,
    "10 % lost both ways, 20 ± 5 ms, in order": attrs.evolve(LOSSY, loss=0.1, ordered=True),
}
HEAD = (
    "viewer", "frames/s decoded", "frame intervals (p50 / p99 / longest), ms", "freezes > 500 ms", "frozen, s",
    "by Chromium: freezes, s", "NACK / PLI", "lost / resent / dropped frames", "jitter buffer, ms", "reconnects",
    "packets sent for each received",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each stretch that is looked at")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="so many runs of each kind")
    parser.add_argument("-o", "--output", type=Path, help="write the table there as well")
    options = parser.parse_args()
    seeds = range(1, options.seeds + 1)
    lines = []
    steps, done = len(seeds) * (len(LINES) + 1), 0
    for name, link in LINES.items():
        for seed in seeds:
            progress.show(done, steps, f"{name}, seed {seed}")
            lossy = run(partial(run_lossy, seconds=options.seconds, seed=seed, link=link))
            lines.append(row(f"{name}, seed {seed}", lossy.seen, lossy.through))
            done += 1
    late = []
    for seed in seeds:
        progress.show(done, steps, f"1 Mbit/s, seed {seed}")
        narrow = run(partial(run_narrow, seconds=options.seconds, seed=seed))
        lines.append(row(f"good network, the other viewer's too, seed {seed}", narrow.quiet))
        lines.append(row(f"good network, the other viewer's is narrow, seed {seed}", narrow.beside))
        lines.append(row(f"1 Mbit/s with a queue of 128 KiB, seed {seed}", narrow.slow, narrow.through))
        late.append(
            f"On the narrow network with seed {seed}, a frame came later than on the good one by {delays(narrow)}"
        )
        done += 1
    progress.show(done, steps, "done")
    result = "\n".join([
        stated(), "",
        f"720p30, 2.5 Mbit/s, a key frame every {KEY_EVERY_S} s; {options.seconds:g} s each.", "",
        cells(HEAD), "|" + "---|" * len(HEAD), *lines, "", *late, "",
    ])  # fmt: skip
    print(result)
    if options.output:
        command = f"python ops/bench/bad_network.py --seconds {options.seconds:g} --seeds {options.seeds}"
        options.output.write_text(f"# Bad networks\n\nMade by `{command}`.\n\n{result}")


def run(measure: Any) -> Any:
    with tempfile.TemporaryDirectory(prefix="banken-bench-") as folder:
        return trio.run(measure, Path(folder))


def row(name: str, seen: Report, through: Through | None = None) -> str:
    count = seen.counted
    gaps = " / ".join(
        f"{seconds * 1000:.0f}" for seconds in (*map(partial(percentile, seen.gaps), (50, 99)), seen.longest_s)
    )
    sent = "–"
    if through is not None:
        spoiled = through.relayed.up.spoiled + through.relayed.down.spoiled
        # The relay has counted those of earlier connections too, the browser has not.
        sent = "–" if seen.connections else f"{through.relayed.down.taken / max(1, through.received):.2f}"
        sent += f"; the relay spoiled {spoiled}: measure again" if spoiled or not through.only else ""
    return cells((
        name, f"{seen.rate:.1f}", gaps, f"{seen.freezes}", f"{seen.frozen_s:.1f}",
        f"{count['freezeCount']:.0f}, {count['totalFreezesDuration']:.1f}",
        f"{count['nackCount']:.0f} / {count['pliCount']:.0f}",
        f"{count['packetsLost']:.0f} / {count['retransmittedPacketsReceived']:.0f} / {count['framesDropped']:.0f}",
        f"{seen.buffered_s * 1000:.0f}", f"{seen.connections}", sent,
    ))  # fmt: skip


def delays(narrow: Any) -> str:
    """In words: p50 and the latest, at the beginning and afterwards."""
    everything, settled = [each.by_s for each in narrow.late], narrow.settled
    begin = f"{max(everything):.2f} s at most" if everything else "an unknown time: no frame was seen"
    after = f"{percentile(settled, 50):.2f} s (p50), {max(settled):.2f} s (most)" if settled else "no frame was seen"
    return f"{begin}; after the first {2 * KEY_EVERY_S} s: {after}."


def cells(values: tuple[str, ...]) -> str:
    return f"| {' | '.join(values)} |"


if __name__ == "__main__":
    main()
