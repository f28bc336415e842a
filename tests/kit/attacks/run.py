"""All attacks at once against a real daemon with honest viewers and lease holders, compared with quiet phases.

Rules of this file:
1. Quiet, loud and quiet phases follow each other in one run; the loud one is compared with the quiet ones.
2. The daemon, the cameras, the honest viewers and the hostile clients are four processes.
3. Every grant and release that was acknowledged must be in the journal when the daemon has ended.
"""

import json
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import h11
import msgspec
import trio

from supervisor.domain import events as e

from ..certificates import write_pair
from ..daemon import ROOT, Daemon, launch_daemon, write_config
from ..habits import Behaviour
from ..http import request
from ..patience import give_up_after
from ..processes import cpu_s, descendants, descriptors, read_process, thread_names
from ..readers import free_port
from ..senders import open_senders
from . import EVERY, host_of
from .tls import TLS_ATTACKS

FPS, STEADY = 25, 3
VIEWERS, HOLDERS = 8, 4
READERS = "tcp", "udp"
"""Transports of the honest readers by RTSP."""
FIRST_VIEWER, FIRST_HOLDER = 10, 30
"""Last parts of their loopback addresses."""
SETTLE_S, GONE_S, STOP_S = 5.0, 60.0, 30.0
ROW_BYTES = 250
"""Of a row in the journal beside its body, about: other columns, checksum, and its share of indexes and pages."""
UNANSWERED = OSError, trio.BrokenResourceError, trio.TooSlowError, h11.RemoteProtocolError, AssertionError
"""Errors of a request without an answer."""
Report = Callable[[float, str], None]


@attrs.define
class Holder:
    """One honest client that acquires a lease, holds it for a while and releases it."""

    port: int
    host: str
    secure: bool
    granted: list[str] = attrs.field(factory=list)
    released: list[str] = attrs.field(factory=list)
    refused: Counter[int] = attrs.field(factory=Counter)

    async def run(self, cameras: Sequence[str], chance: random.Random) -> None:
        while True:
            wish = json.dumps({"kind": "viewer", "camera": chance.choice(cameras)})
            answer = await self._ask("POST", "/api/leases", wish, {"Content-Type": "application/json"})
            if answer is not None and answer.status == 201:
                self.granted.append(answer.json["lease"])
                await trio.sleep(1)
                bearer = {"Authorization": f"Bearer {answer.json['secret']}"}
                ended = await self._ask("DELETE", f"/api/leases/{self.granted[-1]}", "", bearer)
                if ended is not None and ended.status < 300:
                    self.released.append(self.granted[-1])
            await trio.sleep(1)

    async def _ask(self, method: str, path: str, body: str, headers: dict[str, str]) -> Any:
        try:
            answer = await request(self.port, method, path, body, headers, secure=self.secure, source=self.host)
        except UNANSWERED:
            self.refused[0] += 1
            return None
        if answer.status >= 400:
            self.refused[answer.status] += 1
        return answer


@attrs.define
class Phase:
    """Times in milliseconds; of all viewers together."""

    name: str
    seconds: float
    viewers: list[dict[str, Any]] = attrs.field(factory=list)
    healthz: list[float] = attrs.field(factory=list)
    lag: list[float] = attrs.field(factory=list)
    """The p99 of the loop's lag, as the daemon reports it each second."""
    cpu: float = 0.0
    """Processor time of the daemon itself, in percent of one core."""

    def values(self, name: str) -> list[float]:
        return sorted(value for viewer in self.viewers for value in viewer[name])

    @property
    def missed(self) -> int:
        return sum(viewer["missed"] for viewer in self.viewers)


@attrs.frozen
class Counts:
    """Of the daemon itself, without its children."""

    descriptors: int
    threads: int
    tasks: int
    children: int
    resident_mb: float
    peak_mb: float


@attrs.define
class Result:
    phases: list[Phase]
    before: Counts
    after: Counts
    tallies: dict[str, dict[str, int]]
    granted: int
    lost: list[str]
    """Acknowledged events that are missing in the journal."""
    honest_refusals: Counter[int]
    growth: dict[str, float]
    """MB of journal in a minute of the loud phase, for each client."""
    left: list[str]
    """Processes that outlived the daemon."""
    code: int | None
    """The exit code of the daemon; None when it did not end within `STOP_S` of SIGTERM."""
    output: str

    def phase(self, name: str) -> Phase:
        return next(phase for phase in self.phases if phase.name == name)


async def run_attack(
    folder: Path, seed: int, quiet_s: float, loud_s: float, names: Sequence[str], report: Report, nice: int = 0
) -> Result:
    """One run. `report` is given the seconds that have passed and the phase, now and then.

    Args:
        nice: added to the niceness of the hostile clients, which then take no processor time that the daemon needs.
    """
    behaviours = [Behaviour(size=(320, 240), fps=FPS, key_every=2 * FPS, stamps=True)] * STEADY
    big = folder / "big.mp4"
    await trio.to_thread.run_sync(write_big, big)
    async with open_senders(behaviours) as urls, _open_hostile(seed, names, nice) as hostile:
        traps = {f"trap-{n}": {"source": url, "mode": "on_demand"} for n, url in enumerate(hostile.urls)}
        resting = {f"rest-{n}": {"source": "test:320x180@10", "mode": "on_demand"} for n in range(3)}
        steady = {f"steady-{n}": url for n, url in enumerate(urls)}
        cameras = {**steady, "test": "test:160x90@10", **resting, **traps}
        rtsp = free_port()
        more = f'rtsp: {{listen: "127.0.0.1:{rtsp}"}}\nlimits: {{}}'
        web = ""
        if not TLS_ATTACKS.keys().isdisjoint(names):
            cert, key = write_pair(folder, "127.0.0.1", "localhost")
            web = f"tls: {{cert: {cert}, key: {key}}}"
        write_config(folder, {**cameras, "big": {"source": f"file://{big}", "mode": "on_demand"}}, more, web)
        async with launch_daemon(folder) as daemon:
            await daemon.wait_ready(60)
            for name in steady:
                await daemon.wait_camera(name, "live")
            run = _Run(daemon, hostile, report, tuple(resting), tuple(traps), rtsp)
            with give_up_after(2 * quiet_s + loud_s + GONE_S + 120):
                return await run.play(seed, quiet_s, loud_s)


@attrs.define
class _Hostile:
    process: subprocess.Popen[str]
    urls: list[str]

    async def begin(self, **given: object) -> None:
        self._write(json.dumps(given))

    async def end(self) -> dict[str, dict[str, int]]:
        """End all attacks; what they did."""
        self._write("")
        assert self.process.stdout is not None
        line = await trio.to_thread.run_sync(self.process.stdout.readline)
        tallies: dict[str, dict[str, int]] = json.loads(line or "{}")
        return tallies

    def _write(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


@asynccontextmanager
async def _open_process(*arguments: str, nice: int = 0) -> AsyncIterator[subprocess.Popen[str]]:
    """Run a module of this project in a separate process, which ends with the block."""
    process = subprocess.Popen(  # noqa: ASYNC220 - a test may block for the millisecond it takes
        ["nice", "-n", str(nice), sys.executable, "-m", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@asynccontextmanager
async def _open_hostile(seed: int, names: Sequence[str], nice: int) -> AsyncIterator[_Hostile]:
    async with _open_process("tests.kit.attacks", str(seed), *names, nice=nice) as process:
        assert process.stdout is not None
        yield _Hostile(process, json.loads(await trio.to_thread.run_sync(process.stdout.readline)))


@attrs.define
class _Run:
    daemon: Daemon
    hostile: _Hostile
    report: Report
    resting: tuple[str, ...]
    traps: tuple[str, ...]
    rtsp: int
    holders: list[Holder] = attrs.field(factory=list)
    phases: list[Phase] = attrs.field(factory=list)
    _began: float = attrs.field(factory=trio.current_time)

    async def play(self, seed: int, quiet_s: float, loud_s: float) -> Result:
        daemon, port = self.daemon, self.daemon.port
        base, secure = f"{'https' if daemon.secure else 'http'}://127.0.0.1:{port}", daemon.secure
        urls = [f"{base}/whep/steady-{n % STEADY}#127.0.0.{FIRST_VIEWER + n}" for n in range(VIEWERS)]
        urls += [f"rtsp://127.0.0.1:{self.rtsp}/steady-0#{transport}" for transport in READERS]
        self.holders = [Holder(port, f"127.0.0.{FIRST_HOLDER + n}", secure) for n in range(HOLDERS)]
        async with (
            _open_process("tests.kit.attacks.viewers", str(FPS), *urls) as viewers,
            trio.open_nursery() as nursery,
        ):
            joined = json.loads(await _line(viewers))
            assert joined["joined"] == len(urls), joined
            for number, holder in enumerate(self.holders):
                nursery.start_soon(holder.run, (*self.resting, "steady-0"), random.Random(seed + number))
            await trio.sleep(SETTLE_S)
            # The decoder's child runs before as it does afterwards: it ends a minute after the last snapshot.
            assert (await request(port, "GET", "/cameras/test/snapshot.jpg?max_age=0", secure=secure)).status == 200
            await _ask_viewers(viewers)  # the join is not measured
            before = await self.count()
            await self.measure("quiet", quiet_s, viewers)
            first = len(daemon.journal())
            others = {"cameras": self.resting, "traps": self.traps, "big": "big", "live": "steady-0"}
            await self.hostile.begin(port=port, rtsp=self.rtsp, pid=daemon.pid, **others)
            await self.measure("loud", loud_s, viewers)
            tallies = await self.hostile.end()
            rows = daemon.journal()[first:]
            after = await self.wait_counts(before)
            await self.measure("quiet again", quiet_s, viewers)
            nursery.cancel_scope.cancel()
        children = [child.pid for child in descendants(daemon.pid)]
        try:
            code = await daemon.end(within=STOP_S)
        except TimeoutError:
            code = None
        left = [str(pid) for pid in children if read_process(pid) is not None]
        return Result(
            self.phases, before, after, tallies, sum(len(h.granted) for h in self.holders), self.find_lost(),
            sum((h.refused for h in self.holders), Counter()), growth(rows, loud_s), left, code,
            daemon.output,
        )  # fmt: skip

    async def measure(self, name: str, seconds: float, viewers: subprocess.Popen[str]) -> None:
        """One phase: the daemon is asked how it is, and the viewers for what they got."""
        phase, began_s, began = Phase(name, seconds), cpu_s(self.daemon.pid), trio.current_time()
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._poll_health, phase)
                nursery.start_soon(self._poll_lag, phase)
        phase.cpu = 100 * (cpu_s(self.daemon.pid) - began_s) / (trio.current_time() - began)
        phase.viewers = await _ask_viewers(viewers)
        self.phases.append(phase)

    async def _poll_health(self, phase: Phase) -> None:
        while True:
            began = trio.current_time()
            try:
                status = (await request(self.daemon.port, "GET", "/healthz", secure=self.daemon.secure)).status
            except UNANSWERED:
                status = 0
            phase.healthz.append((trio.current_time() - began) * 1e3 if status == 200 else float("inf"))
            self.report(trio.current_time() - self._began, phase.name)
            await trio.sleep(0.25)

    async def _poll_lag(self, phase: Phase) -> None:
        while True:
            await trio.sleep(1)
            lag = (await self.metrics()).get('banken_loop_lag_seconds{quantile="0.99"}')
            if lag is not None:
                phase.lag.append(lag * 1e3)

    async def metrics(self) -> dict[str, float]:
        """Empty when they cannot be had."""
        try:
            text = (await request(self.daemon.port, "GET", "/metrics", secure=self.daemon.secure)).text
        except UNANSWERED:
            return {}
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    async def count(self) -> Counts:
        pid, metrics = self.daemon.pid, await self.metrics()
        tasks = round(metrics.get("banken_tasks", 0))
        children = len(descendants(pid))
        return Counts(len(descriptors(pid)), len(thread_names(pid)), tasks, children, *_memory_mb(pid))

    async def wait_counts(self, before: Counts) -> Counts:
        """Wait until all resources of the attacks are closed, for at most `GONE_S`."""
        with trio.move_on_after(GONE_S):
            while True:
                after = await self.count()
                if _is_back(before, after):
                    return after
                await trio.sleep(1)
        return await self.count()

    def find_lost(self) -> list[str]:
        """Return acknowledged grants and releases that are missing in the journal."""
        granted, ended = set(), set()
        for row in self.daemon.journal():
            match row.event:
                case e.LeaseGranted(lease=lease):
                    granted.add(lease)
                case e.LeaseEnded(lease=lease):
                    ended.add(lease)
                case _:
                    pass
        lost = [f"grant {lease}" for holder in self.holders for lease in holder.granted if lease not in granted]
        return lost + [f"release {lease}" for holder in self.holders for lease in holder.released if lease not in ended]


MAX_GROWTH = 1.0
"""MB of journal a minute that one client may cause."""
MAX_FREEZE_MS = 5000.0
"""Maximum wait of a viewer for an access unit, on any machine that runs these tests."""
FORBIDDEN = {
    "h2c": "switched",
    "preface": "switched",
    "deflate": "negotiated",
    "cross-site": "opened",
    "rtsp-sessions": "elsewhere",
}
"""Faults that must never occur, on any machine."""


MAX_MISSED = 0.2
"""Share of a phase's access units. A slow machine may starve the daemon during two GOPs, which loses a part of them;
no other loss is permitted."""


MAX_LAG_MS, MAX_SHIFT = 10.0, 0.25
"""Of a machine that does nothing else: how late the loop is, and the share by which intervals change under attack."""


def find_slowness(result: Result) -> list[str]:
    """Return the effects of the attacks on honest viewers; meaningful only on an otherwise idle machine.

    The lag is the median of the p99 of each second; intervals are corrected for the lateness of the camera.
    """
    quiet, loud = result.phase("quiet"), result.phase("loud")
    lag_ms = quantile(sorted(loud.lag), 0.5)
    before, under = (quantile(phase.values("corrected"), 0.99) for phase in (quiet, loud))
    faults = [] if lag_ms <= MAX_LAG_MS else [f"the loop's lag, p99, was {lag_ms:.1f} ms under attack"]
    if not abs(under - before) <= MAX_SHIFT * before:
        faults.append(f"frame intervals, p99: {before:.1f} ms before, {under:.1f} ms under attack")
    return faults


def find_faults(result: Result, most_missed: float = MAX_MISSED) -> list[str]:
    """Return the faults that count on any machine, however slow.

    Args:
        most_missed: the share of a phase's pictures that viewers may miss; 0 on a machine that does nothing else.
    """
    faults = [f"acknowledged and lost: {lost}" for lost in result.lost]
    for phase in result.phases:
        shown = sum(viewer["pictures"] for viewer in phase.viewers)
        too_many = phase.missed > most_missed * (shown + phase.missed)
        faults += [f"{phase.name}: {phase.missed} pictures were missed"] if too_many else []
    for phase in result.phases:
        longest = quantile(phase.values("corrected"), 1.0)
        faults += [f"{phase.name}: a viewer waited {longest:.0f} ms for a picture"] if longest > MAX_FREEZE_MS else []
        faults += (
            [f"{phase.name}: not every viewer got pictures"] if not all(v["pictures"] for v in phase.viewers) else []
        )
        faults += (
            [f"{phase.name}: /healthz was never answered"]
            if min(phase.healthz, default=float("inf")) == float("inf")
            else []
        )
    faults += [f"{who} wrote {mb:.2f} MB a minute" for who, mb in result.growth.items() if mb > MAX_GROWTH]
    for name, what in FORBIDDEN.items():
        times = result.tallies.get(name, {}).get(what, 0)
        faults += [f"{name}: {what} × {times}"] if times else []
    before, after = result.before, result.after
    faults += [f"descriptors: {before.descriptors}, then {after.descriptors}"] if not _is_back(before, after) else []
    faults += [f"tasks: {before.tasks}, then {after.tasks}"] if not _is_back(before, after) else []
    faults += [f"processes were left: {', '.join(result.left)}"] if result.left else []
    return faults + ([f"the daemon ended with {result.code} after SIGTERM"] if result.code != 0 else [])


def _is_back(before: Counts, after: Counts) -> bool:
    """Whether all resources of the attacks are closed."""
    return after.descriptors <= before.descriptors + 8 and after.tasks <= before.tasks + 8


def growth(rows: Sequence[e.Recorded], seconds: float) -> dict[str, float]:
    """MB a minute for each client: its events, and all that follows from them. Less than a minute counts as one."""
    owners = {row.correlation: row.principal for row in rows if row.principal.startswith("client:")}
    shares: dict[str, float] = defaultdict(float)
    for row in rows:
        shares[owners.get(row.correlation, row.principal)] += len(msgspec.json.encode(row.event)) + ROW_BYTES
    names = {f"client:{host_of(name)}": name for name in EVERY}
    minutes = max(1.0, seconds / 60)
    return {names.get(owner, owner): round(share / minutes / 1e6, 4) for owner, share in shares.items()}


def write_big(path: Path) -> None:
    """A short H.264 file of grey pictures of 8192 × 8192."""
    source = ["-f", "lavfi", "-i", "color=gray:size=8192x8192:rate=1", "-frames:v", "2"]
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "1", "-threads", "1", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *source, *coding, str(path)], check=True, timeout=120)


def _memory_mb(pid: int) -> tuple[float, float]:
    """Resident now, and at the most so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return int(status["VmRSS"].split()[0]) / 1024, int(status["VmHWM"].split()[0]) / 1024


async def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return await trio.to_thread.run_sync(process.stdout.readline)


async def _ask_viewers(viewers: subprocess.Popen[str]) -> list[dict[str, Any]]:
    assert viewers.stdin is not None
    viewers.stdin.write("\n")
    viewers.stdin.flush()
    answer: list[dict[str, Any]] = json.loads(await _line(viewers))
    return answer


def quantile(values: Sequence[float], share: float) -> float:
    """Of sorted values; not a number without any."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")
