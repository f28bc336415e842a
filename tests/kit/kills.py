"""Repeated kills of the real daemon under load, over one journal, with a check of everything that remains.

Rules of this file:
1. The moment of a kill is drawn from the seed and its number alone; a fault names both.
2. Acknowledged facts are noted before anything else is awaited.
3. Faults are collected, not raised: the fault of one kill does not hide that of the next.
"""

import json
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import attrs
import h11
import trio
import trio_websocket

from supervisor.compose.daemon import open_journal
from supervisor.domain import events as e
from supervisor.domain.evolve import fold
from supervisor.domain.ids import ChildId
from supervisor.journal.check import verify
from supervisor.journal.files import segment_path
from supervisor.ports.errors import JournalError

from .audit import Acknowledged, find_faults
from .daemon import MANY_REQUESTS, Daemon, launch_daemon, write_config
from .http import request
from .journals import read_all
from .process_group import open_background
from .processes import ProcessInfo, marked, read_process, wait_bounded, wait_until

READ_S = 30.0
"""Clients whose daemon is dead end by themselves, on a busy machine too; one that does not is found by this."""
SHAKE_S = 10.0
"""A WebSocket's handshake. A client of trio-websocket waits without end when the daemon dies in the middle of it."""
GONE_S = 1.0
"""No process of a killed daemon may live longer."""
LIFE_S = (0.05, 1.5)
"""After the ready line, when much is still imported, or after the first viewer was answered."""
BIRTH_S = (0.0, 0.08)
"""After the first write to the journal, when the kill is for one that starts its first children."""
AIMS = ("birth", "work", "birth", "ready")
"""In turn."""
MARK = "HOME"
"""In the environment of a daemon, and so of all it starts: one of the few names that it hands on to its children."""
CAMERAS = ("steady", "again", "brief", "mute")
ENCODER = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-threads", "1")
PICTURE = ("-f", "lavfi", "-re", "-i", "testsrc=size=64x64:rate=5")
MORE = f"limits: {{peers: 256, peers_per_camera: 256, peers_per_client: 256, {MANY_REQUESTS}}}"
OFFER = "\n".join(
    line for line in (Path(__file__).with_name("chromium.sdp")).read_text().splitlines() if ".local" not in line
)
"""Of a browser, without its addresses: it is answered, and never connects."""
LOST = (OSError, h11.ProtocolError, trio.BrokenResourceError, AssertionError)
LOST_SOCKET = (trio_websocket.HandshakeError, trio_websocket.ConnectionClosed)
"""Errors of a client whose daemon is killed: a partial answer, or no answer."""


@attrs.frozen
class Kill:
    """One kill: when it came, what it hit, what it left behind, and how long the next start took."""

    number: int
    aim: str
    after_s: float
    """From the start of the process."""
    hit: str
    """The last event that reached the journal."""
    events: int
    answers: int
    """Viewers that were answered in this life."""
    shown: int
    children: int
    """That were open in the journal when it was killed."""
    gone_s: float
    """Until the last of its processes was gone."""
    ready_s: float | None
    """From the start of the process to the ready line; none when it was killed before."""
    fold_s: float
    """To open and fold a copy of the journal that it left."""
    faults: tuple[str, ...]


@attrs.frozen
class Result:
    kills: tuple[Kill, ...]
    faults: tuple[str, ...]
    """Of the kills and of the graceful ends."""
    codes: tuple[int, ...]
    """Exit codes of the graceful ends."""


async def run_kills(folder: Path, kills: int, seed: int, lanes: int, report: Callable[[Kill], None]) -> Result:
    """Kill that many times, in so many lanes at once (a daemon and a journal for each), then end each gracefully."""
    numbers = iter(range(1, kills + 1))
    made: list[Lane] = []
    async with open_silence() as port, trio.open_nursery() as nursery:
        for index in range(lanes):
            lane = Lane(folder / f"lane-{index}", seed, port)
            made.append(lane)
            nursery.start_soon(lane.run, numbers, report)
    found = sorted((kill for lane in made for kill in lane.kills), key=lambda kill: kill.number)
    faults = [f"seed {seed}, kill {kill.number}: {fault}" for kill in found for fault in kill.faults]
    faults += [f"seed {seed}, graceful end: {fault}" for lane in made for fault in lane.faults]
    return Result(tuple(found), tuple(faults), tuple(lane.code for lane in made))


@asynccontextmanager
async def open_silence() -> AsyncIterator[int]:
    """A port that accepts and sends nothing: an ffmpeg that reads from it never writes, so only the daemon ends it."""

    async def hold(_stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, hold, 0, host="127.0.0.1"))
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@attrs.define
class Lane:
    """One journal, and the daemons that live and die over it."""

    folder: Path
    seed: int
    silence: int
    kills: list[Kill] = attrs.field(factory=list)
    faults: list[str] = attrs.field(factory=list)
    code: int = -1
    acknowledged: Acknowledged = attrs.field(factory=Acknowledged)

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    async def run(self, numbers: Iterator[int], report: Callable[[Kill], None]) -> None:
        self.folder.mkdir()
        cameras = {
            "steady": {"ffmpeg": [*PICTURE, *ENCODER]},
            "again": {"ffmpeg": [*PICTURE, *ENCODER]},
            "brief": {"ffmpeg": [*PICTURE, "-t", "0.4", *ENCODER]},
            "mute": {"ffmpeg": ["-f", "mpegts", "-i", f"tcp://127.0.0.1:{self.silence}", "-c", "copy"]},
        }
        write_config(self.folder, cameras, MORE)
        for number in numbers:
            kill = await self._kill(number)
            self.kills.append(kill)
            report(kill)
        await self._end()

    async def _kill(self, number: int) -> Kill:
        random = Random(f"{self.seed}/{number}")
        aim = AIMS[number % len(AIMS)]
        answers, shown, before = len(self.acknowledged.opened), len(self.acknowledged.shown), self._written()
        ready_s: float | None = None
        faults: list[str] = []
        began = time.monotonic()
        async with launch_daemon(self.folder, {MARK: str(self.folder)}) as daemon, open_background() as load:
            if aim == "birth":
                await wait_until(lambda: self._written() != before, 30, what="the first write to the journal")
                await trio.sleep(random.uniform(*BIRTH_S))
            else:
                await daemon.wait_ready()
                ready_s = time.monotonic() - began
                load.start_soon(self._load, daemon, random, faults)
                if aim == "work":
                    await wait_until(lambda: len(self.acknowledged.opened) > answers, READ_S, what="the first viewer")
                await trio.sleep(random.uniform(*LIFE_S))
            if daemon.process.poll() is not None:
                faults.append(f"it ended by itself with {daemon.process.returncode}")
            daemon.process.kill()
            dead_at = time.monotonic()
            await wait_until(lambda: daemon.process.poll() is not None, 5, what="the end of the daemon")
            if "Traceback" in daemon.output:
                faults.append(f"it said: {daemon.output[-2000:]}")
            await wait_until(lambda: not load.child_tasks, READ_S, what="the clients to read what was sent to them")
        rows, damage = self._read()
        faults += await self._leftovers(rows, dead_at + GONE_S)
        gone_s = time.monotonic() - dead_at
        faults += damage + find_faults(rows, self.acknowledged)
        return Kill(
            number=number,
            aim=aim,
            after_s=dead_at - began,
            hit=rows[-1].type if rows else "nothing",
            events=len(rows),
            answers=len(self.acknowledged.opened) - answers,
            shown=len(self.acknowledged.shown) - shown,
            children=0 if faults else len(fold(rows).children),
            gone_s=gone_s,
            ready_s=ready_s,
            fold_s=self._time_fold(),
            faults=tuple(faults),
        )

    async def _end(self) -> None:
        """Run one more life, after which nothing is open."""
        async with launch_daemon(self.folder, {MARK: str(self.folder)}) as daemon, open_background() as load:
            await daemon.wait_ready()
            load.start_soon(self._load, daemon, Random(self.seed), self.faults)
            await trio.sleep(LIFE_S[1])
            self.code = await daemon.end()
            ended_at = time.monotonic()
            await wait_until(lambda: not load.child_tasks, READ_S, what="the clients to read what was sent to them")
        rows, damage = self._read()
        self.faults += damage + find_faults(rows, self.acknowledged)
        self.faults += await self._leftovers(rows, ended_at)
        state = fold(rows)
        if (state.run, len(state.children), len(state.peers), rows[-1].type) != (None, 0, 0, "RunEnded"):
            self.faults.append(f"it ended with {rows[-1].type} and left open: {state.children} {state.peers}")

    # ── load ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _load(self, daemon: Daemon, random: Random, faults: list[str]) -> None:
        """Run viewers that join and leave, and two subscribers to the journal, while the daemon runs."""
        after = self.acknowledged.last
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until_lost, partial(self._offer, daemon, random, faults))
            nursery.start_soon(_until_lost, partial(self._follow, daemon, after))
            nursery.start_soon(_until_lost, partial(self._read_on, daemon, after))

    async def _offer(self, daemon: Daemon, random: Random, faults: list[str]) -> None:
        places: list[str] = []
        while True:
            if places and random.random() < 0.3:
                place = places.pop(random.randrange(len(places)))
                answer = await request(daemon.port, "DELETE", place)
                if answer.status == 200:
                    self.acknowledged.leaving.add(_peer(place))
            else:
                answer = await daemon.offer(random.choice(CAMERAS), OFFER)
                if answer.status == 201:
                    places.append(answer.location)
                    self.acknowledged.opened.add(_peer(places[-1]))
            if answer.status not in (200, 201, 404, 503):
                faults.append(f"a viewer was answered with {answer.status}: {answer.text[:200]}")

    async def _follow(self, daemon: Daemon, after: int) -> None:
        """The stream is ours: trio-websocket leaves it open when the server closes first."""
        host, path = f"127.0.0.1:{daemon.port}", f"/ws/events?after={after}"
        async with await trio.open_tcp_stream("127.0.0.1", daemon.port) as stream, trio.open_nursery() as nursery:
            try:
                with trio.fail_after(SHAKE_S):
                    socket = await trio_websocket.wrap_client_stream(nursery, stream, host, path)
            except trio.TooSlowError:
                if daemon.process.poll() is None:
                    raise
                return
            while True:
                self._take(json.loads(await socket.get_message()))

    async def _read_on(self, daemon: Daemon, after: int) -> None:
        while True:
            page = await daemon.get(f"/api/events?after={after}&limit=1000")
            self._take(page)
            after = page["next"]
            await trio.sleep(0.05)

    def _take(self, message: dict[str, Any]) -> None:
        for event in message.get("events", ()):
            self.acknowledged.show(event)
        self.acknowledged.last = max(self.acknowledged.last, message.get("last", 0))

    # ── what is left ────────────────────────────────────────────────────────────────────────────────────────────

    def _written(self) -> tuple[int, int]:
        """Changes with every commit."""
        try:
            status = os.stat(f"{segment_path(self.journal, 1)}-wal")
        except FileNotFoundError:
            return 0, 0
        return status.st_size, status.st_mtime_ns

    def _read(self) -> tuple[list[e.Recorded], list[str]]:
        """Return the rows of the journal, and its damage."""
        try:
            damages = [str(damage) for damage in verify(self.journal).damages]
            return (read_all(self.journal) if not damages else []), damages
        except JournalError as error:  # killed during its creation, before anything could be acknowledged
            return [], [str(error)] if self.acknowledged.last else []

    async def _leftovers(self, rows: list[e.Recorded], until: float) -> list[str]:
        """Kill the remaining processes of the daemon, found by its mark and by the pids in the journal; return them."""
        started = [row.event for row in rows if isinstance(row.event, e.ChildStarted)]
        children = {event.pid: event.child for event in started}

        def left() -> dict[int, ProcessInfo]:
            known = (p for child in started if (p := read_process(child.pid)) and p.started == child.start_ticks)
            return {p.pid: p for p in (*marked(f"{MARK}={self.folder}"), *known) if not p.zombie}

        try:
            await wait_bounded(lambda: not left(), max(0.0, until - time.monotonic()))
        except TimeoutError:
            return [_end(process, children) for process in left().values()]
        return []

    def _time_fold(self) -> float:
        """On a copy: the real one keeps its torn end for the next daemon."""
        copy = self.folder / "copy"
        shutil.copytree(self.journal, copy)
        began = time.perf_counter()
        try:
            open_journal(copy).store.close()
        except JournalError:
            pass  # its damage has been found by reading
        finally:
            shutil.rmtree(copy)
        return time.perf_counter() - began


async def _until_lost(client: Callable[[], Awaitable[None]]) -> None:
    """Run a client until its daemon is no longer there."""
    try:
        await client()
    except* (*LOST, *LOST_SOCKET):
        pass


def _peer(place: str) -> str:
    """The peer of a session's address."""
    return place.rpartition("/")[2].partition(".")[0]


def _end(process: ProcessInfo, children: Mapping[int, ChildId]) -> str:
    """Kill what was left over; returns its description."""
    name = children.get(process.pgid, "")
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    return f"process {process.pid}, child {name or 'unknown'}, outlived it: {' '.join(process.cmdline)}"
