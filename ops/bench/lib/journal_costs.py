"""The costs of one version's journal, in a process of that version: `journal_costs.py MODULE FOLDER EVENTS`.

MODULE is the version's own bench. Prints as JSON, in µs: the time of an acknowledged append with 64 callers, and the
CPU time of a fold. Started by path with the version in PYTHONPATH: it imports nothing of this checkout.
"""

import importlib
import json
import sys
import time
from pathlib import Path

import trio

from supervisor.domain.evolve import fold

if __name__ == "__main__":
    bench = importlib.import_module(sys.argv[1])
    append = bench.durable if hasattr(bench, "durable") else bench.promises
    rate = trio.run(append, Path(sys.argv[2]))
    events = [recorded for recorded, _ in bench.story(int(sys.argv[3]))]
    began = time.process_time()
    fold(events)
    print(json.dumps([1e6 / rate, (time.process_time() - began) / len(events) * 1e6]))
