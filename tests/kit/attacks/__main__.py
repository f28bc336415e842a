"""All hostile clients in one separate process: `python -m tests.kit.attacks SEED [NAME ...]`.

Prints the URLs of its hostile cameras as a JSON list. Then reads lines of standard input: a JSON object of `port`,
`rtsp`, `pid`, `live`, `cameras`, `big` and `traps` begins all attacks. An empty line ends them and prints their
tallies; the end of the input is the end of the process.
"""

import json
import random
import sys
from typing import Any

import trio

from . import ATTACKS, EVERY, host_of
from .cameras import SERVERS, serve
from .target import Target


async def main(seed: int, names: list[str]) -> None:
    async with trio.open_nursery() as nursery:
        urls = [await nursery.start(serve, each) for each in SERVERS]
        print(json.dumps(urls), flush=True)
        while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            await _attack_until_next_line(json.loads(line), seed, names)
        nursery.cancel_scope.cancel()


async def _attack_until_next_line(given: dict[str, Any], seed: int, names: list[str]) -> None:
    targets = {
        name: Target(
            given["port"], given["pid"], host_of(name), tuple(given["cameras"]), given["big"], tuple(given["traps"]),
            given["rtsp"], given["live"], random.Random(f"{seed} {name}"),
        )
        for name in names
    }  # fmt: skip
    async with trio.open_nursery() as nursery:
        for name, target in targets.items():
            nursery.start_soon(EVERY[name], target)
        await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()
    print(json.dumps({name: dict(target.tally) for name, target in targets.items()}), flush=True)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), sys.argv[2:] or list(ATTACKS))
