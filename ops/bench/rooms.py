"""A hundred full rooms at once: `.venv/bin/python ops/bench/rooms.py [--rooms 100] [--seconds 20]`.

In one process, without sockets: from the text of a message that has been read to the text that is to be written to its
receiver. Then some of them over real WebSockets, from client to client, all in the same process. At the end 10,000
joins and leaves, and what is left of them.
"""

import argparse
import gc
import itertools
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "ops")]

import progress  # noqa: E402
from ops.bench.lib.calibrate import stated  # noqa: E402
from supervisor.base.clock import SystemClock  # noqa: E402
from supervisor.domain import commands as c  # noqa: E402
from supervisor.domain import signaling as s  # noqa: E402
from supervisor.domain.ids import NodeId, RunId  # noqa: E402
from supervisor.domain.state import State  # noqa: E402
from supervisor.domain.values import Limits  # noqa: E402
from supervisor.journal.store import Store  # noqa: E402
from supervisor.journal.writer import Journal, ThreadedStore  # noqa: E402
from supervisor.ports.decisions import Receipt  # noqa: E402
from supervisor.runtime.feed import Feed  # noqa: E402
from supervisor.runtime.kernel import Kernel  # noqa: E402
from supervisor.services.journal_reader import JournalReader  # noqa: E402
from supervisor.services.rooms import Rooms, Session, run_idle_rooms  # noqa: E402
from tests.kit.site import open_site  # noqa: E402
from web import serve, sockets  # noqa: E402
from web.room_client import RoomClient, open_room_client  # noqa: E402

PEOPLE = 8
MANY = Limits(journaled_burst=1_000_000)
"""One client makes all of these rooms."""
PADDING = "x" * 1000
"""About what a candidate or a small answer takes, and half an offer."""


@attrs.define
class Hops:
    """Of the messages of one measurement. Each says whose it is, its number, and when it was sent."""

    took_ms: list[float] = attrs.field(factory=list)
    sent: int = 0
    disorder: int = 0
    _last: dict[tuple[str, str], int] = attrs.field(factory=dict)

    def text(self, number: int) -> str:
        self.sent += 1
        return f"{number} {time.perf_counter()} {PADDING}"

    def arrived(self, told: s.Told, receiver: str) -> None:
        if not isinstance(told, s.OfferFrom):
            return
        number, sent, _ = told.sdp.split(" ")
        self.took_ms.append((time.perf_counter() - float(sent)) * 1000)
        pair = told.sender, receiver
        self.disorder += int(number) <= self._last.get(pair, -1)
        self._last[pair] = int(number)

    def quantile(self, part: float) -> float:
        ranked = sorted(self.took_ms)
        return ranked[min(len(ranked) - 1, int(part * len(ranked)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", type=int, default=100)
    parser.add_argument("--rate", type=int, default=50, help="messages a second in each room")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--socket-rooms", type=int, default=20, help="of those over WebSockets")
    parser.add_argument("--joins", type=int, default=10_000)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    result = trio.run(measure, options)
    print(result)
    given = {name: value for name, value in vars(options).items() if name != "output"}
    arguments = " ".join(f"--{name.replace('_', '-')} {value:g}" for name, value in given.items())
    options.output.write_text(f"# Rooms\n\nMade by `python ops/bench/rooms.py {arguments}`.\n\n{result}")


async def measure(options: argparse.Namespace) -> str:
    lines = [
        stated(),
        "",
        f"Rooms of {PEOPLE}, {options.rate} messages of 1 kB a second in each, each to another participant, and a",
        "journal on the disk. A hop is the time until one client's message has reached the other. Target: 50 ms at the",
        "95th percentile; goal: 5 ms.",
        "",
        "| | rooms | messages | lost | out of order | p50, ms | p95, ms | p99, ms | worst, ms | share of a core |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    async with open_rooms() as (hall, _):
        lines.append(await in_process(hall, options))
    lines.append(await over_sockets(options))
    lines += ["", await come_and_go(options), ""]
    return "\n".join(lines)


@asynccontextmanager
async def open_rooms() -> AsyncIterator[tuple[Rooms, Kernel]]:
    """Rooms over a kernel with a journal on this disk."""
    with tempfile.TemporaryDirectory(prefix="banken-bench-") as folder:
        store = Store(Path(folder) / "journal")
        reader = JournalReader(store.folder)
        journal = Journal(ThreadedStore(store), Feed(0, reader.page).publish)
        kernel = Kernel(State(limits=MANY), journal, SystemClock(), NodeId("node"), RunId("run"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal.run)
            nursery.start_soon(run_idle_rooms, kernel)
            await kernel.submit(c.StartRun(kernel.run, kernel.node, "0", os.getpid()))
            yield Rooms(kernel), kernel
            await journal.wait_committed(kernel.state.seq)
            nursery.cancel_scope.cancel()
        reader.close()
        store.close()


async def in_process(hall: Rooms, options: argparse.Namespace) -> str:
    hops = Hops()
    with ExitStack() as stack:
        async with trio.open_nursery() as nursery:
            meetings = [meet(stack, hall) for _ in range(options.rooms)]
            for session in itertools.chain.from_iterable(meetings):
                nursery.start_soon(listen, session, hops)
            began, used = time.perf_counter(), time.process_time()
            await say_all(hops, options, [partial(say, people) for people in meetings])
            share = (time.process_time() - used) / (time.perf_counter() - began)
            await trio.sleep(0.5)
            nursery.cancel_scope.cancel()
    return row("in the process", options.rooms, hops, share)


def meet(stack: ExitStack, hall: Rooms) -> list[Session]:
    people = [stack.enter_context(hall.open_session("192.0.2.1")) for _ in range(PEOPLE)]
    people[0].take(s.write(s.CreateRequest()))
    (created, _) = [s.read_message(text) for text in people[0].messages_nowait()]
    assert isinstance(created, s.RoomCreated)
    for session in people[1:]:
        session.take(s.write(s.JoinRequest(created.room_id)))
    return people


async def listen(session: Session, hops: Hops) -> None:
    while True:
        for text in await session.wait_messages():
            hops.arrived(s.read_message(text), session.participant)


async def say(people: list[Session], number: int, hops: Hops) -> None:
    sender, receiver = pair(number)
    people[sender].take(s.write(s.Offer(people[receiver].participant, hops.text(number))))


def pair(number: int) -> tuple[int, int]:
    """Sender and receiver of a room's message: each sends in turn, to each other in turn."""
    sender = number % PEOPLE
    return sender, (sender + 1 + number // PEOPLE % (PEOPLE - 1)) % PEOPLE


async def say_all(hops: Hops, options: argparse.Namespace, talkers: list[Callable[..., object]]) -> None:
    """Each room at its rate, all of them spread over time."""
    begin = trio.current_time()

    async def talk(place: int, talker: Callable[..., object]) -> None:
        for number in range(int(options.rate * options.seconds)):
            await trio.sleep_until(begin + (number + place / len(talkers)) / options.rate)
            await talker(number, hops)  # type: ignore[misc]
            if place == 0 and number % options.rate == 0:
                progress.show(number // options.rate, int(options.seconds), f"{len(hops.took_ms)} messages")

    async with trio.open_nursery() as nursery:
        for place, talker in enumerate(talkers):
            nursery.start_soon(talk, place, talker)


async def over_sockets(options: argparse.Namespace) -> str:
    """Clients and server share the processor and the loop: what a hop takes is the cost of both."""
    serve.MAX_PER_CLIENT = sockets.MAX_PER_CLIENT = serve.MAX_CONNECTIONS
    hops = Hops()
    async with open_site(limits=MANY) as site, AsyncExitStack() as stack:
        meetings = [await gather(stack, site.url) for _ in range(options.socket_rooms)]
        async with trio.open_nursery() as nursery:
            for client in itertools.chain.from_iterable(meetings):
                nursery.start_soon(receive, client, hops)
            began, used = time.perf_counter(), time.process_time()
            await say_all(hops, options, [partial(send, people) for people in meetings])
            share = (time.process_time() - used) / (time.perf_counter() - began)
            await trio.sleep(0.5)
            nursery.cancel_scope.cancel()
    return row("over WebSockets, clients included", options.socket_rooms, hops, share)


async def gather(stack: AsyncExitStack, url: str) -> list[RoomClient]:
    people = [await stack.enter_async_context(open_room_client(url)) for _ in range(PEOPLE)]
    room = await people[0].create()
    for client in people[1:]:
        await client.join(room.room_id)
    return people


async def receive(client: RoomClient, hops: Hops) -> None:
    while True:
        hops.arrived(await client.receive(), client.self_id or "")


async def send(people: list[RoomClient], number: int, hops: Hops) -> None:
    sender, receiver = pair(number)
    await people[sender].send(s.Offer(people[receiver].self_id or "", hops.text(number)))


async def come_and_go(options: argparse.Namespace) -> str:
    """Memory after many participants have joined and left, and after the same number again."""
    async with open_rooms() as (hall, kernel):
        sizes = []
        for _ in range(3):
            for _ in range(options.joins // PEOPLE):
                with ExitStack() as stack:
                    meet(stack, hall)
                await kernel.wait_durable(Receipt((), durable=False))
            await trio.sleep(0.2)
            gc.collect()
            sizes.append(resident_mb())
    first, *later = sizes
    more = " and ".join(f"{size - first:+.1f} MB" for size in later)
    times = f"Memory after {options.joins} joins and as many leaves, three times"
    return f"{times}: {first:.1f} MB after the first, then {more}."


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def row(what: str, rooms: int, hops: Hops, share: float) -> str:
    numbers = [hops.quantile(part) for part in (0.5, 0.95, 0.99, 1.0)]
    cells = [what, rooms, hops.sent, hops.sent - len(hops.took_ms), hops.disorder, *(f"{n:.2f}" for n in numbers)]
    return "| " + " | ".join(map(str, [*cells, f"{share:.0%}"])) + " |"


if __name__ == "__main__":
    main()
