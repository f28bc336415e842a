"""Play a folder of camera cases to a daemon of this tree: `ops/test --cases FOLDER [NAME …] [--json]`.

Prints one line for each case, ✓ or ✗ with the first difference, and a summary. Exit code 0: all passed; 1: one did
not; 2: a folder or a case that cannot be used. `tests/kit/cases/README.md` describes the files.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import attrs
import trio

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import progress  # noqa: E402
from tests.kit.cases.daemon import DaemonError  # noqa: E402
from tests.kit.cases.form import CaseError, read_folder  # noqa: E402
from tests.kit.cases.run import Result, play  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(prog="ops/test", description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", nargs="+", required=True, metavar=("FOLDER", "NAME"), help="which cases to play")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args()
    folder, *names = options.cases
    try:
        cases = read_folder(Path(folder), names)
    except CaseError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 2
    done, began = 0, time.monotonic()

    def report(result: Result) -> None:
        nonlocal done
        done += 1
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        if not options.json:
            print(line(result), flush=True)
        if sys.stderr.isatty():
            progress.show(done, len(cases), f"{done} of {len(cases)} cases")

    if sys.stderr.isatty():
        progress.show(0, len(cases), f"0 of {len(cases)} cases")
    with tempfile.TemporaryDirectory(prefix="banken-cases-") as place:
        try:
            results = trio.run(play, Path(place), cases, report)
        except DaemonError as error:
            print(f"ops/test: {error}", file=sys.stderr)
            return 1
    passed = sum(result.passed for result in results)
    if options.json:
        rows = [attrs.asdict(result) | {"passed": result.passed} for result in results]
        print(json.dumps({"cases": rows, "passed": passed, "failed": len(results) - passed}, ensure_ascii=False))
    else:
        print(f"{passed} of {len(results)} cases passed in {time.monotonic() - began:.0f} s")
    return 0 if passed == len(results) else 1


def line(result: Result) -> str:
    return f"✓ {result.name}" if result.passed else f"✗ {result.name}: {result.difference}"


if __name__ == "__main__":
    sys.exit(main())
