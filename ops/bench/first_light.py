"""Measure how quick the whole is, from outside: `.venv/bin/python ops/bench/first_light.py [--fresh] [-o FILE]`.

A real RTSP server, a real Chromium, a real daemon. `--fresh` measures the very first `ops/demo` too, from a clone with
an empty pip cache. Prints one table of what was asked and what was got.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ops.bench.lib.calibrate import stated  # noqa: E402
from tests.kit.chromium import Page, open_chromium  # noqa: E402
from tests.kit.daemon import Daemon, open_daemon  # noqa: E402
from tests.kit.gst import open_rtsp_server  # noqa: E402
from tests.kit.processes import cpu_s, wait_until  # noqa: E402
from tests.kit.viewer import open_viewer  # noqa: E402

PLAYERS = "[...(window.banken?.players.values() ?? [])]"
DECODED = f"Math.min(...{PLAYERS}.map(p => p.statistics().framesDecoded))"
Row = tuple[str, str, str]


async def until(page: Page, expression: str, within: float = 120) -> None:
    await page.wait_for(expression, within)


async def demo(command: list[str], environ: dict[str, str], cwd: Path) -> float:
    """Seconds from the command to the first decoded picture of every camera in a browser."""
    async with open_chromium() as browser, browser.open_page("about:blank") as page:
        began = time.monotonic()
        process = subprocess.Popen(  # noqa: ASYNC220 - measured from outside
            command, cwd=cwd, env={**os.environ, **environ}, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            assert process.stdout is not None
            line = await trio.to_thread.run_sync(process.stdout.readline)
            await page.goto(line.split()[-1])
            await until(page, f"{PLAYERS}.length === 4 && {DECODED} > 0")
            return time.monotonic() - began
        finally:
            process.terminate()
            await trio.to_thread.run_sync(process.wait)


async def demos(fresh: bool) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="banken-bench-") as folder:
        home = Path(folder)
        environ = {"XDG_STATE_HOME": folder, "PIP_CACHE_DIR": str(home / "pip")}
        clone = ROOT
        options = ["--listen", "127.0.0.1:0"]
        if fresh:
            clone = home / "banken"
            subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)  # noqa: ASYNC221
            seconds = await demo(["ops/demo", *options], environ, clone)
            rows.append(("first `ops/demo`, empty pip cache, to the first frame", "120 s", f"{seconds:.1f} s"))
        again = [await demo(["ops/demo", *options], environ, clone) for _ in range(3)]
        rows.append(("`ops/demo` again, to the first frame of all four", "8 s", f"{statistics.median(again):.1f} s"))
    return rows


async def clicks(daemon: Daemon) -> Row:
    """From a click on Play to the first presented picture, while the camera runs."""
    async with open_chromium() as browser, browser.open_page(daemon.url) as page:
        await until(page, f"{PLAYERS}.length === 1 && {DECODED} > 10")
        button = "document.querySelector('.tile [data-part=play]')"
        taken = []
        for _ in range(15):
            await page.evaluate(f"{button}.click()")
            await until(page, f"{PLAYERS}[0].statistics().peerConnectionState !== 'connected'")
            await page.evaluate(f"{button}.click()")
            await until(page, f"{DECODED} > 5")
            taken.append(float(await page.evaluate(f"{PLAYERS}[0].statistics().firstFrameMs")))
    median, worst = statistics.median(taken), max(taken)
    return (
        "first frame in Chromium after the click, 15 times",
        "1000 ms",
        f"median {median:.0f} ms, worst {worst:.0f} ms",
    )


async def kills(daemon: Daemon, page: Page) -> list[Row]:
    """The ffmpeg child is killed: when it is reaped and journaled, and when the picture moves again."""
    reaped, moving = [], []
    for _ in range(5):
        (child,) = daemon.children()
        seen = await page.evaluate(DECODED)
        ended = sum(r.type == "ChildEnded" for r in daemon.journal())
        began = time.monotonic()
        os.kill(child.pid, signal.SIGKILL)
        await wait_until(partial(_more, daemon, ended), 10)
        reaped.append(time.monotonic() - began)
        await until(page, f"{DECODED} > {seen + 10}")
        moving.append(time.monotonic() - began)
        await trio.sleep(1)
    return [
        ("ffmpeg killed: reaped and in the journal, worst of 5", "at once", f"{max(reaped) * 1000:.0f} ms"),
        ("ffmpeg killed: frames again, same peer", "5 s", f"{moving[0]:.1f} s"),
        (
            "the same, killed again within seconds each time: the backoff grows, as intended",
            "–",
            ", ".join(f"{seconds:.1f}" for seconds in moving[1:]) + " s",
        ),
    ]


def _more(daemon: Daemon, than: int) -> bool:
    return sum(r.type == "ChildEnded" for r in daemon.journal()) > than


async def outage(camera: object, daemon: Daemon, page: Page) -> Row:
    most, began = 0, trio.current_time()
    await camera.stop()  # type: ignore[attr-defined]
    while trio.current_time() < began + 20:
        most = max(most, len(daemon.children()))
        await trio.sleep(0.05)
    seen = await page.evaluate(DECODED)
    await camera.start()  # type: ignore[attr-defined]
    back = time.monotonic()
    await until(page, f"{DECODED} > {seen + 10}")
    return (
        "RTSP server unavailable for 20 s: frames again after its return (children at the same time)",
        "10 s (1)",
        f"{time.monotonic() - back:.1f} s ({most})",
    )


async def ends(folder: Path, source: object, how: signal.Signals) -> Row:
    """Four cameras, eight viewers; the daemon is asked to stop, or killed."""
    names = [f"cam-{number}" for number in range(4)]
    async with open_daemon(folder, dict.fromkeys(names, source)) as daemon, trio.open_nursery() as nursery:
        for name in names:
            await daemon.wait_camera(name, "live")
        await watch(nursery, daemon, names, 8)
        children = [child.pid for child in daemon.children()]
        began = time.monotonic()
        code = await daemon.end(how)
        ended = time.monotonic() - began
        await wait_until(lambda: not any(_alive(pid) for pid in children), 10)
        gone = time.monotonic() - began
        nursery.cancel_scope.cancel()
    if how is signal.SIGKILL:
        return ("SIGKILL with 4 cameras, 8 viewers: last child gone", "1 s", f"{gone * 1000:.0f} ms")
    return ("SIGTERM with 4 cameras, 8 viewers: exit code, seconds", "0, 5 s", f"{code}, {ended:.2f} s")


async def watch(nursery: trio.Nursery, daemon: Daemon, names: list[str], viewers: int) -> None:
    """Start so many viewers, and wait until each sees something."""

    async def one(name: str, task_status: trio.TaskStatus[None]) -> None:
        async with open_viewer() as viewer:
            await viewer.accept((await daemon.offer(name, viewer.offer)).text)
            await viewer.wait_frames(1)
            task_status.started()
            await trio.sleep_forever()

    for number in range(viewers):
        await nursery.start(one, names[number % len(names)])


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


async def cost(folder: Path, url: str) -> list[Row]:
    """CPU of the daemon alone, without its child, for 0, 1, 4 and 8 viewers of one camera."""
    rows, base, seconds = [], 0.0, 10.0
    async with open_daemon(folder, {"front": url}) as daemon:
        await daemon.wait_camera("front", "live")
        for viewers in (0, 1, 4, 8):
            async with trio.open_nursery() as nursery:
                await watch(nursery, daemon, ["front"], viewers)
                before = cpu_s(daemon.pid)
                await trio.sleep(seconds)
                percent = (cpu_s(daemon.pid) - before) / seconds * 100
                nursery.cancel_scope.cancel()
            rate = (await daemon.camera("front"))["bitrate"] / 1e6
            base = base if viewers else percent
            each = f", {(percent - base) / viewers:.2f} % a viewer" if viewers else ""
            rows.append((f"CPU of the daemon, {viewers} viewers, {rate:.1f} Mbit/s", "–", f"{percent:.1f} %{each}"))
        rows.append(("memory of the daemon afterwards (PSS)", "–", f"{pss_mb(daemon.pid):.0f} MB"))
    return rows


async def measure(fresh: bool) -> list[Row]:
    rows: list[Row] = []

    async def step(name: str, run: Callable[[], Awaitable[list[Row] | Row]]) -> None:
        print(f"· {name}", file=sys.stderr, flush=True)
        got = await run()
        rows.extend(got if isinstance(got, list) else [got])

    await step("demo", partial(demos, fresh))
    with tempfile.TemporaryDirectory(prefix="banken-bench-") as folder:
        async with open_rtsp_server(size=(1280, 720), fps=30) as camera:
            for name in ("watch", "kills", "term", "kill", "cost"):
                (Path(folder) / name).mkdir()
            async with open_daemon(Path(folder) / "watch", {"front": camera.url}) as daemon:
                await daemon.wait_camera("front", "live")
                await step("clicks", partial(clicks, daemon))
                async with open_chromium() as browser, browser.open_page(daemon.url) as page:
                    await until(page, f"{PLAYERS}.length === 1 && {DECODED} > 10")
                    await step("outage", partial(outage, camera, daemon, page))
            by_child = {"ffmpeg": ["-rtsp_transport", "tcp", "-i", camera.url, "-c", "copy"]}
            async with (
                open_daemon(Path(folder) / "kills", {"front": by_child}) as daemon,
                open_chromium() as browser,
                browser.open_page(daemon.url) as page,
            ):
                await until(page, f"{PLAYERS}.length === 1 && {DECODED} > 10")
                await step("kills", partial(kills, daemon, page))
            await step("SIGTERM", partial(ends, Path(folder) / "term", by_child, signal.SIGTERM))
            await step("SIGKILL", partial(ends, Path(folder) / "kill", by_child, signal.SIGKILL))
            await step("cost", partial(cost, Path(folder) / "cost", camera.url))
    return rows


def table(rows: list[Row]) -> str:
    head = ["| measurement | target | result |", "|---|---|---|"]
    lines = [stated(), "", *head]
    return "\n".join([*lines, *(f"| {what} | {asked} | {got} |" for what, asked, got in rows), ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="also the first demo from a clone with nothing in it")
    parser.add_argument("-o", "--output", type=Path, help="write the table there as well")
    options = parser.parse_args()
    assert shutil.which("git")
    result = table(trio.run(measure, options.fresh))
    print(result)
    if options.output:
        command = f"python ops/bench/first_light.py{' --fresh' if options.fresh else ''}"
        options.output.write_text(f"# Times to the first frame, and after faults\n\nMade by `{command}`.\n\n{result}")


if __name__ == "__main__":
    main()
