"""Measure logins and authorization: `.venv/bin/python ops/bench/access.py [--sessions 1000] [--tries 200]`.

The real accounts, kernel, application and HTTP server run in this process, over a journal in memory and a real access
file. Logins come one after the other over loopback; tries with a wrong password alternate between a user and an unknown
name. The revocation is that of 20 users at once, from the request until the WebSocket of each is closed; and with a
real daemon and WebRTC, until the last RTP packet has arrived in the kernel of the viewers.
"""

import argparse
import ctypes
import gc
import statistics
import sys
import tempfile
import time
import tracemalloc
from functools import partial
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import trio
import trio.testing
from rpds import HashTrieMap
from trio_websocket import ConnectionClosed

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from ops.bench.lib import commands  # noqa: E402
from ops.bench.lib.plan import Plan  # noqa: E402
from ops.bench.lib.receivers import Crowd  # noqa: E402
from ops.bench.lib.report import Report  # noqa: E402
from ops.bench.lib.signalling import Whep  # noqa: E402
from supervisor.domain.access import authorize  # noqa: E402
from supervisor.domain.errors import Rejected  # noqa: E402
from supervisor.domain.ids import UserId  # noqa: E402
from supervisor.domain.rights import ALL, Role  # noqa: E402
from supervisor.domain.session import ReportLoginFailed  # noqa: E402
from supervisor.ports.decisions import Origin, Receipt  # noqa: E402
from supervisor.services.accounts import WRONG_PASSWORD, Accounts  # noqa: E402
from supervisor.services.attempts import Attempts  # noqa: E402
from supervisor.services.passwords import Argon2, Passwords  # noqa: E402
from tests.kit.accounts import ANNA, ME, PASSWORDS, Browser, PlainHasher, add_users  # noqa: E402
from tests.kit.core import Core, open_core  # noqa: E402
from tests.kit.daemon import open_daemon  # noqa: E402
from tests.kit.domain import GATE, YARD, lease  # noqa: E402
from tests.kit.site import message, open_site  # noqa: E402

AUTHORIZATIONS, LOGINS, REVOKED, FILLING, EVENTS = 20_000, 40, 20, 20_000, 200
CLIENT, AGENT = "192.0.2.9", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--tries", type=int, default=200)
    options = parser.parse_args()
    rows: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for measure in (
            measure_sessions,
            measure_waits,
            measure_guesses,
            measure_logins,
            measure_revocation,
            measure_black,
        ):
            own = Path(folder, measure.__name__)
            own.mkdir()
            rows += trio.run(partial(measure, own, options))
    report = Report("Access", ("measurement", "target", "result"), rows)
    commands.show(report, as_json=False)
    report.write(Path(__file__).parent, "access")


async def accounts_over(core: Core, folder: Path, plain: bool) -> Accounts:
    accounts = Accounts(core.kernel, folder / "access.json", PlainHasher if plain else Argon2)
    await accounts.restore()
    return accounts


async def measure_sessions(folder: Path, options: argparse.Namespace) -> list[tuple[str, str, str]]:
    """The memory of many sessions, and the time to find one and to authorize its command."""
    async with open_core(GATE) as core:
        accounts = await accounts_over(core, folder, plain=True)
        await add_users(accounts)
        for number in range(options.sessions // 40):
            await accounts.add_user(UserId(f"user{number}"), Role.WATCHER, ALL, "a password", ME)
        tracemalloc.start()
        await fill(core)
        secrets = [token_urlsafe(32) for _ in range(options.sessions)]  # the browsers have them
        fresh = iter(secrets)
        accounts._new_secret = lambda: next(fresh)
        before = traced(core)
        for number in range(options.sessions):
            user = UserId(f"user{number % (options.sessions // 40)}")
            # The texts of each request are new objects.
            name, client, agent = (text.encode().decode() for text in (user, CLIENT, AGENT))
            await accounts.open_session(UserId(name), "password", client, agent, lambda: True)
        await fill(core)
        after = traced(core)
        tracemalloc.stop()
        after += 2 * map_bytes(core.kernel.state.sessions)  # of their streams, too
        state, command, now_ns = core.kernel.state, lease(), core.kernel.clock.wall_ns()
        began = time.perf_counter()
        for number in range(AUTHORIZATIONS):
            who = accounts.by_session(secrets[number % len(secrets)])
            assert who is not None
            authorize(state, who.name, command, now_ns)
        cost_us = (time.perf_counter() - began) / AUTHORIZATIONS * 1e6
        return [
            (f"authorization of a request, of {options.sessions} sessions", "≤ 20 µs", f"{cost_us:.1f} µs"),
            (f"memory of {options.sessions} sessions", "≤ 1 MB", f"{(after - before) / 1e6:.2f} MB"),
        ]


async def fill(core: Core) -> None:
    """Fill the tables that keep the newest events and requests, so that they hold nothing of a session."""
    for number in range(FILLING):
        core.kernel.emit(ReportLoginFailed("", CLIENT, WRONG_PASSWORD), origin=Origin(f"client:{CLIENT}"))
        if number % 100 == 0:
            await core.kernel.wait_durable(Receipt((), durable=False))


def traced(core: Core) -> int:
    """The bytes of Python's objects, without the journal."""
    core.disk.rows[:-1] = []
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


class MallocInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = [(name, ctypes.c_size_t) for name in (*"abcd", "mapped", *"fg", "used", *"ij")]


def map_bytes(held: "HashTrieMap[Any, Any]") -> int:
    """The bytes of a persistent map without its keys and values. It is not made by Python, which cannot see them."""
    libc, items = ctypes.CDLL(None), dict(held.items())
    libc.mallinfo2.restype = MallocInfo
    before = libc.mallinfo2()
    copy = HashTrieMap(items)
    after = libc.mallinfo2()
    assert len(copy) == len(held)
    return int(after.used + after.mapped - before.used - before.mapped)


async def measure_waits(folder: Path, options: argparse.Namespace) -> list[tuple[str, str, str]]:
    """The processor time that the open WebSockets of many sessions add to each event: they wait for fewer rights."""
    async with open_core(GATE) as core:
        accounts = await accounts_over(core, folder, plain=True)
        await add_users(accounts)

        async def emit_many() -> float:
            began = time.process_time()
            for _ in range(EVENTS):
                core.kernel.emit(ReportLoginFailed("", CLIENT, WRONG_PASSWORD), origin=Origin(f"client:{CLIENT}"))
                await trio.testing.wait_all_tasks_blocked()
            return (time.process_time() - began) / EVENTS * 1e6

        async with trio.open_nursery() as nursery:
            alone_us = await emit_many()
            for number in range(options.sessions):
                name = UserId(f"user{number % 40}")
                if number < 40:
                    await accounts.add_user(name, Role.WATCHER, ALL, "a password", ME)
                opened = await accounts.open_session(name, "password", CLIENT, AGENT, lambda: True)
                who = accounts.by_session(opened.secret)
                assert who is not None
                nursery.start_soon(accounts.wait_fewer_rights, who)
            await trio.testing.wait_all_tasks_blocked()
            with_all_us = await emit_many()
            nursery.cancel_scope.cancel()
        what = f"processor time that {options.sessions} open WebSockets add to an event, to notice lost rights"
        return [(what, "", f"{with_all_us - alone_us:.0f} µs")]


async def measure_guesses(folder: Path, options: argparse.Namespace) -> list[tuple[str, str, str]]:
    """The time of a wrong password, of a user and of an unknown name."""
    async with open_core(GATE) as core:
        accounts = await accounts_over(core, folder, plain=False)
        await add_users(accounts)
        took: dict[str, list[float]] = {ANNA: [], "nobody": []}
        for _ in range(options.tries):
            for name, times in took.items():
                accounts.attempts = Attempts(core.kernel)  # the limits would slow both down
                began = time.perf_counter()
                try:
                    await accounts.log_in(name, "wrong horse", CLIENT, AGENT)
                except Rejected:
                    times.append((time.perf_counter() - began) * 1e3)
        known, unknown = (statistics.median(times) for times in took.values())
        what = f"wrong password of a user against an unknown name, medians of {options.tries}"
        return [
            (what, "differ by < 2 ms", f"{known:.2f} and {unknown:.2f} ms, differ by {abs(known - unknown):.2f} ms")
        ]


async def measure_logins(folder: Path, options: argparse.Namespace) -> list[tuple[str, str, str]]:
    """The time of a login over HTTP."""
    async with open_site(GATE, YARD, access=folder / "access.json") as site:
        assert isinstance(site.gateway.accounts, Accounts)
        site.gateway.accounts._hashing = Passwords(Argon2)
        await add_users(site.gateway.accounts)
        times = []
        for _ in range(LOGINS):
            began = time.perf_counter()
            answer = await Browser(site.port).log_in(ANNA, PASSWORDS[ANNA])
            times.append((time.perf_counter() - began) * 1e3)
            assert answer.status == 201, answer
        times.sort()
        p95 = times[int(len(times) * 0.95)]
        return [("login over HTTP, p95", "≤ 150 ms", f"{p95:.0f} ms (median {statistics.median(times):.0f})")]


async def measure_revocation(folder: Path, options: argparse.Namespace) -> list[tuple[str, str, str]]:
    """From the request of the admin to the closed WebSocket of each user; their leases have ended before."""
    async with open_site(GATE, access=folder / "access.json") as site:
        accounts = site.gateway.accounts
        assert isinstance(accounts, Accounts)
        await add_users(accounts)
        closed: list[float] = []
        opened, all_opened = 0, trio.Event()

        async def watch(name: str) -> None:
            nonlocal opened
            browser = Browser(site.port)
            await browser.log_in(name, "a password")
            async with site.socket(**browser.headers) as socket:
                await message(socket)
                opened += 1
                if opened == REVOKED:
                    all_opened.set()
                try:
                    while True:
                        await socket.get_message()
                except ConnectionClosed:
                    closed.append(time.perf_counter())

        async with trio.open_nursery() as nursery:
            for number in range(REVOKED):
                name = UserId(f"user{number}")
                await accounts.add_user(name, Role.WATCHER, ALL, "a password", ME)
                nursery.start_soon(watch, name)
            await all_opened.wait()
            began = time.perf_counter()
            for number in range(REVOKED):
                nursery.start_soon(accounts.remove_user, UserId(f"user{number}"), ME)
        what = f"revocation to the closed WebSocket, {REVOKED} users at once, the last"
        return [(what, "≤ 1 s", f"{max(closed) - began:.2f} s")]


async def measure_black(folder: Path, options: argparse.Namespace) -> list[tuple[str, str, str]]:
    """From the first request of the admin to the last RTP packet of any of the viewers, by the kernel's time stamps."""
    names = [f"user{number}" for number in range(REVOKED)]
    crowd = Crowd(Plan((), 0, stamps=True))
    last_ns = dict.fromkeys(names, 0)
    async with open_daemon(folder, {"front": "test:640x360@25"}) as daemon:
        await daemon.wait_camera("front", "live")
        admin = Browser(daemon.port)
        for name in ("chief", *names):
            role = "admin" if name == "chief" else "watcher"
            user = {"user": name, "password": "a password", "role": role, "everything": True}
            assert (await admin.post("/api/users", user)).status == 201
            if name == "chief":
                await admin.log_in(name, "a password")
        for number, name in enumerate(names):
            browser = Browser(daemon.port)
            assert (await browser.log_in(name, "a password")).status == 201
            url = f"{daemon.url}whep/front#127.0.0.{10 + number}"  # one address may have eight viewers
            viewer = crowd.add(Whep(url, browser.headers))
            viewer.inspect = lambda _, at_ns, name=name: last_ns.update({name: at_ns})  # type: ignore[misc]
            await trio.to_thread.run_sync(viewer.join)
            await trio.to_thread.run_sync(crowd.run, 0.2)
        await trio.to_thread.run_sync(crowd.run, 5.0)
        began_ns = time.time_ns()
        assert all(began_ns - at_ns < 1e9 for at_ns in last_ns.values()), "not every viewer gets pictures"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, crowd.run, 5.0)
            for name in names:
                nursery.start_soon(admin.delete, f"/api/users/{name}")
        for viewer in list(crowd.viewers.values()):
            crowd.remove(viewer)
    black_s = [(at_ns - began_ns) / 1e9 for at_ns in last_ns.values()]
    what = f"revocation to the black picture in WebRTC, {REVOKED} users at once, the last packet"
    return [(what, "≤ 1 s", f"{max(black_s):.2f} s (median {statistics.median(black_s):.2f})")]


if __name__ == "__main__":
    main()
