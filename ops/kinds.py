"""Play each kind of odd camera to a daemon: `.venv/bin/python ops/kinds.py [NAME …] [--write]`.

Prints ✓ or ✗ with the first difference for each. `--write` renews the table in `docs/cameras.md`. `--chromium` plays
each NAME to Chromium for 15 s, three times, and prints how many of its pictures were decoded. Exit code 1: one kind is
not handled.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import trio

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from tests.kit.cases.camera import Camera  # noqa: E402
from tests.kit.cases.form import Case  # noqa: E402
from tests.kit.cases.run import Result, play  # noqa: E402
from tests.kit.chromium import open_chromium  # noqa: E402
from tests.kit.daemon import open_daemon  # noqa: E402
from tests.kit.kinds import GROUPS, all_kinds  # noqa: E402

PAGE = ROOT / "ops" / "docs" / "cameras.md"
SECONDS, PACE_S = 15, 0.07
BEGIN, END = "<!-- kinds: begin -->", "<!-- kinds: end -->"


def table(passed: dict[str, bool]) -> Iterator[str]:
    """Yield the lines of the tables: one for each group."""
    for title, kinds in GROUPS.items():
        rows = list(kinds())
        done = sum(passed[kind.name] for kind in rows)
        yield from (
            "",
            f"### {title}: {done} of {len(rows)}",
            "",
            "| kind | the camera | seen in | result |",
            "|---|---|---|---|",
        )
        for kind in rows:
            does = kind.does.replace("|", "\\|")
            result = (kind.handled or "shown") if passed[kind.name] else "not handled"
            yield f"| {kind.name} | `{does}` | {kind.seen or '–'} | {result} |"
    yield ""


async def decode(case: Case, folder: Path) -> tuple[int, int]:
    """Play a camera to Chromium, again and again, for `SECONDS`. Returns the decoded and the sent pictures."""
    camera = await Camera.open(msgspec.structs.replace(case, loop=True, pace_s=PACE_S))
    camera.release()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)
        async with open_daemon(folder, {"odd": camera.url}) as daemon, open_chromium(own=True) as browser:
            async with browser.open_page(daemon.url) as page:
                count = "window.banken?.players.get('odd')?.statistics().framesDecoded ?? 0"
                await page.wait_for(f"({count}) > 0", 60)
                before, sent = int(await page.evaluate(count)), camera.sent
                await trio.sleep(SECONDS)
                decoded, sent = int(await page.evaluate(count)) - before, camera.sent - sent
        nursery.cancel_scope.cancel()
    return decoded, sent


def show_in_chromium(names: Sequence[str]) -> None:
    for name in names:
        for _ in range(3):
            with tempfile.TemporaryDirectory(prefix="banken-kinds-") as folder:
                decoded, sent = trio.run(decode, all_kinds()[name].case, Path(folder))
            print(f"{name}: {decoded} of {sent} pictures decoded", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these kinds; a part of the name is enough")
    parser.add_argument("--write", action="store_true", help="renew the table in docs/cameras.md")
    parser.add_argument("--chromium", action="store_true", help="play them to Chromium, and count its pictures")
    options = parser.parse_args()
    wanted = [name for name in all_kinds() if not options.names or any(part in name for part in options.names)]
    if options.chromium:
        show_in_chromium(wanted)
        return 0
    cases = {name: all_kinds()[name].case for name in wanted}

    def report(result: Result) -> None:
        print(f"{'✓' if result.passed else '✗'} {result.name}  {result.difference}".rstrip(), flush=True)

    with tempfile.TemporaryDirectory(prefix="banken-kinds-") as folder:
        results = trio.run(play, Path(folder), cases, report)
    passed = {result.name: result.passed for result in results}
    print(f"{sum(passed.values())} of {len(passed)} are handled")
    if options.write and len(passed) == len(all_kinds()):
        text = PAGE.read_text()
        before, _, rest = text.partition(BEGIN)
        PAGE.write_text(before + BEGIN + "\n".join(table(passed)) + END + rest.partition(END)[2])
    return 0 if all(passed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
