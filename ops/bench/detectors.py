"""From the line of a detector to the suggestion on a page: `.venv/bin/python ops/bench/detectors.py [--lines 20]`.

A real daemon runs a program that prints a line for a picture, at a time that has nothing to do with the picture. A real
Chromium shows the page. Each detection is more important than the one before, so each is a new suggestion, of the other
camera. Both write down the time of the machine's clock: the program directly before it prints, the page when the
suggestion is on it.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "ops")]

import progress  # noqa: E402
from ops.bench.lib.calibrate import stated  # noqa: E402
from tests.kit.chromium import open_chromium  # noqa: E402
from tests.kit.daemon import open_daemon  # noqa: E402
from tests.kit.detectors import HEAD  # noqa: E402
from tests.kit.processes import wait_until  # noqa: E402

ASKED_MS = 500
CAMERAS = ("front", "yard")
WITHIN_S = 60.0
PROGRAM = """
import random
times, most = open(sys.argv[1], "a"), int(sys.argv[2])
while not os.path.exists(sys.argv[3]):
    time.sleep(0.1)
for number in range(most):
    head = {}
    while head.get("camera") != ("front", "yard")[number % 2]:
        head, _ = picture()
    time.sleep(1 + random.random())
    print(number, time.time(), file=times, flush=True)
    say(head, label=f"l{number}")
while True:
    picture()
"""
WATCH = """(() => {
  globalThis.seen = {};
  const look = () => {
    const label = document.querySelector("[data-part=suggest-what]")?.textContent.match(/^l(\\d+) /)?.[1];
    if (label && !(label in seen)) requestAnimationFrame(() => (seen[label] ??= Date.now()));
  };
  addEventListener("DOMContentLoaded", () =>
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true }));
})()"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=20)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="banken-bench-") as folder:
        took = trio.run(measure, Path(folder), options.lines)
    result = table(took)
    print(result)
    command = f"python ops/bench/detectors.py --lines {options.lines}"
    options.output.write_text(f"# From the line of a detector to the suggestion\n\nMade by `{command}`.\n\n{result}")


async def measure(folder: Path, lines: int) -> list[float]:
    """Milliseconds from each line to the frame of the page that shows its suggestion."""
    times = folder / "times"
    labels = ", ".join(f"l{number}" for number in reversed(range(lines)))
    program = folder / "look.py"
    program.write_text(HEAD + PROGRAM)
    command = json.dumps([sys.executable, "-S", str(program), str(times), str(lines), str(folder / "go")])
    more = f"detections: {{labels: [{labels}], score: 0.1, quiet: 0s, shown: 600s, at_once: 1}}\n"
    more += f"detectors: {{look: {{command: {command}, fps: 10}}}}\n"
    async with (
        open_daemon(folder, dict.fromkeys(CAMERAS, "test:320x180@15"), more) as daemon,
        open_chromium() as browser,
        browser.open_page("about:blank") as page,
    ):
        await page.command("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        await page.goto(daemon.url)
        await page.wait_for(f"document.querySelectorAll('.grid .tile').length === {len(CAMERAS)}", WITHIN_S)
        (folder / "go").touch()
        for number in range(lines):
            await page.wait_for(f"'{number}' in seen", WITHIN_S)
            progress.show(number + 1, lines, "lines")
        seen = await page.evaluate("seen")
        await wait_until(lambda: len(times.read_text().splitlines()) == lines, 10, what="the times of the lines")
    printed = [float(line.split()[1]) for line in times.read_text().splitlines()]
    return [seen[str(number)] - at * 1000 for number, at in enumerate(printed)]


def table(took: list[float]) -> str:
    ordered = sorted(took)
    rows = [
        ("lines", str(len(took))),
        ("median", f"{statistics.median(took):.0f} ms"),
        ("95 of 100 within", f"{ordered[max(0, -(-len(took) * 95 // 100) - 1)]:.0f} ms"),
        ("longest", f"{ordered[-1]:.0f} ms"),
        ("asked", f"at most {ASKED_MS} ms"),
    ]
    return "\n".join([stated(), "", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""])


if __name__ == "__main__":
    main()
