"""The daemon's life: what starts in which order, and what ends in which.

It knows the actors and the web only by what they must be able to do; `__main__` knows them by name.
"""

import logging
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

import attrs
import trio

from . import __version__, collector, memory, systemd
from .clock import SystemClock
from .config import Config, ConfigError
from .domain import commands as c
from .domain.describe import Severity, describe
from .domain.growth import Keeping
from .domain.ids import SYSTEM, ChildId, NodeId, RunId
from .domain.monitors import Reading
from .domain.values import Fault, Reason
from .feed import Feed
from .gateway import Gateway, Hands, JournalReader, SocketStatistics
from .journal.errors import JournalError
from .journal.recovery import Recovered, recover
from .journal.writer import Journal, ThreadedStore
from .journal_reports import report_journal
from .kernel import Kernel, new_id
from .lag import run_lag
from .late import NotLoaded, short_turns
from .monitors import make_monitors, run_monitors
from .printable import hide_in_log
from .reconcile import Crew, run_reconcile, wait_after_crash_of
from .refusals import run_refusals
from .rooms import run_idle_rooms
from .shield import bounded_shield
from .supervision import run_supervised
from .threads import run_in_thread
from .vault import Vault

if TYPE_CHECKING:
    from .anchors import Anchoring

logger = logging.getLogger("banken")

STOP_S = 3.5
"""A graceful stop is over after this long; what still runs is cancelled then."""
LOG_AGAIN_S = 10.0
"""Before events that could not be read back for the log are read again."""
FLUSH_S = 1.0
"""What has been decided then still has this long to reach the disk."""
LOAD_LOOK_S, LOAD_LOOKS = 0.25, 8
"""What viewers need is imported when at one of so many looks no camera waits to start, or after the last."""
LOAD_AGAIN_S = 5.0
"""Before it is tried again where the system refuses it."""

Watches = Mapping[str, Callable[[], Awaitable[None]]]
"""What looks after the whole, by name."""


class Actors(Crew, Hands, Protocol):
    """Everything the actors offer."""

    async def find_survivors(self) -> frozenset[ChildId]:
        """The children of earlier runs that are still alive."""
        ...

    async def run_decoder(self) -> None:
        """Decode what is wanted as a picture, until it is cancelled."""
        ...

    async def run_sweep(self) -> None:
        """End what nobody looks after, now and every minute, until it is cancelled."""
        ...

    def starts_waiting(self) -> tuple[int, float]:
        """How many cameras wait for their turn to start, and for how many seconds the first of them has."""
        ...

    async def load(self) -> None:
        """Import what only viewers need. Raises as `Late.load`; then the first viewer has it done."""
        ...


class RunWeb(Protocol):
    async def __call__(self, gateway: Gateway, stop: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        """Serve until `stop` is set."""
        ...


@attrs.frozen
class Parts:
    """What the daemon is put together from."""

    make_actors: Callable[[Kernel, Vault, trio.Nursery], Actors]
    run_web: RunWeb
    reload: Callable[[], Config] | None
    """Reads the configuration anew; raises `ConfigError`. None where there is no file."""
    sockets: Callable[[], SocketStatistics]
    """How many WebSockets are open."""


open_journal = recover
"""Take the journal's folder and fold what is in it. Raises `JournalInUse`; other trouble is a fault, and retried."""


async def run_daemon(config: Config, recovered: Recovered, parts: Parts, ready: Callable[[], None]) -> None:
    """Run until SIGTERM or SIGINT, then stop in good order; `ready` is called once the web answers.

    It starts in this order: the journal, the run and its configuration, the watches, the web with WebRTC, the cameras.
    A second such signal ends what is still stopping. SIGHUP reads the configuration anew.
    Cancellation: as a second signal. Cleanup: no child, socket or thread is left; the journal is closed.
    """
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        reader = JournalReader(recovered.store.folder)
        segments = ThreadedStore(recovered.store)
        try:
            await _run(config, recovered, parts, ready, reader, segments, signals)
        finally:
            reader.close()
            segments.close()
            recovered.store.close()


async def _run(
    config: Config,
    recovered: Recovered,
    parts: Parts,
    ready: Callable[[], None],
    reader: JournalReader,
    segments: ThreadedStore,
    signals: AsyncIterator[int],
) -> None:
    feed = Feed(recovered.state.seq, reader.page)
    journal = Journal(segments, feed.publish, state=recovered.state, fault=recovered.fault, chain=recovered.chain)
    kernel = Kernel(
        state=recovered.state,
        journal=journal,
        clock=SystemClock(),
        node=recovered.state.node or NodeId(new_id()),
        run=RunId(new_id()),
    )
    report_journal(kernel, journal, segments, reader, recovered)
    vault = Vault()
    async with trio.open_nursery() as bookkeeping:
        actors = parts.make_actors(kernel, vault, bookkeeping)
        readings: dict[str, Reading] = {}
        gateway = Gateway(kernel, journal, feed, reader, actors, readings=readings)
        keeping = Keeping(config.retention.keep_s, config.retention.max_bytes)
        folder, anchoring = recovered.store.folder, _anchoring(config)
        monitors = make_monitors(
            kernel,
            journal,
            folder,
            parts.sockets,
            actors.starts_waiting,
            keeping,
            anchoring.reading if anchoring is not None else None,
        )
        watches: Watches = {
            "sweep": actors.run_sweep,
            "decoder": actors.run_decoder,
            "leases": gateway.leases.run,
            "rooms": partial(run_idle_rooms, kernel),
            "refusals": partial(run_refusals, kernel),
            "monitors": partial(run_monitors, monitors, readings, kernel),
            **({"anchor": anchoring.run} if anchoring else {}),
        }
        bookkeeping.start_soon(journal.run, name="journal")
        bookkeeping.start_soon(_log_troubles, feed, name="log")
        bookkeeping.start_soon(memory.run_trimming, name="memory")
        bookkeeping.start_soon(run_lag, name="lag")
        bookkeeping.start_soon(systemd.run_watchdog, name="watchdog")
        try:
            alive = await actors.find_survivors()
            begin = c.StartRun(run=kernel.run, node=kernel.node, release=__version__, pid=os.getpid(), alive=alive)
            await kernel.submit(begin)
            configure = _configure(config, vault)
            vault.take(config.cameras, configure.cameras)
            await kernel.submit(configure, after=kernel.latest(SYSTEM))
            async with _open_watches(kernel, watches), trio.open_nursery() as work:
                stop = trio.Event()
                await work.start(parts.run_web, gateway, stop, name="web")
                work.start_soon(run_reconcile, kernel, actors, random.random, name="reconcile")
                collector.settle()
                systemd.notify("READY=1")
                ready()
                work.start_soon(_load, actors, stop, name="load")
                asked, asks = trio.open_memory_channel[None](1)
                work.start_soon(_run_reloads, asks, partial(_reload, kernel, vault, config, parts.reload))
                with asked:
                    why = await _wait_for_stop(signals, asked)
                logger.info("stopping: %s", why.text)
                systemd.notify("STOPPING=1")
                work.cancel_scope.deadline = trio.current_time() + STOP_S
                bookkeeping.start_soon(_cancel_at_second_signal, signals, work.cancel_scope)
                stopping = kernel.emit(c.StopRun(why)).last
                stop.set()
            kernel.emit(c.EndRun(), after=stopping)
        finally:
            with bounded_shield(FLUSH_S):
                await journal.wait_committed(kernel.state.seq)
            fault = journal.fault or "the disk is slow"
            bookkeeping.cancel_scope.cancel(reason="the end")
    if journal.committed < kernel.state.seq:
        # A sync that failed or hangs leaves open whether they are found at the next start; they were never promised.
        first, last = journal.committed + 1, kernel.state.seq
        logger.critical("%d events (%d to %d) were never stored for certain: %s", last - first + 1, first, last, fault)


async def _load(actors: Actors, stop: trio.Event) -> None:
    """Import what viewers need when the first cameras have started: an interpreter does one of both at a time.

    Cancellation: at any time. Cleanup: nothing is held.
    """
    for _ in range(LOAD_LOOKS):
        await trio.sleep(LOAD_LOOK_S)
        if stop.is_set():
            return
        if not actors.starts_waiting()[0]:
            break
    is_refused = False
    while not stop.is_set():
        try:
            await actors.load()
        except NotLoaded as error:
            logger.warning("modules for WebRTC: %s; they are imported again in %g s", error.strerror, LOAD_AGAIN_S)
            is_refused = True
            await trio.sleep(LOAD_AGAIN_S)
        except ImportError as error:
            logger.error("no viewer can be connected over WebRTC: %s", error)
            return
        else:
            if is_refused:
                logger.info("modules for WebRTC: imported now")
            return


def _anchoring(config: Config) -> "Anchoring | None":
    """The anchoring of the journal; none unless the configuration asks for it."""
    if config.anchor is None:
        return None
    from .anchors import Anchoring

    return Anchoring(config.anchor, config.journal)


async def _wait_for_stop(signals: AsyncIterator[int], asked: trio.MemorySendChannel[None]) -> Reason:
    async for number in signals:
        if number != signal.SIGHUP:
            return Reason("signal", f"received {signal.Signals(number).name}", Fault.NONE)
        with suppress(trio.WouldBlock):  # the reload that waits will read the newest file as well
            asked.send_nowait(None)
    raise AssertionError("signals never end")


async def _cancel_at_second_signal(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for number in signals:
        if number != signal.SIGHUP:
            scope.cancel(reason=f"a second signal: {signal.Signals(number).name}")


async def _run_reloads(asks: trio.MemoryReceiveChannel[None], reload: Callable[[], Awaitable[None]]) -> None:
    """One reload after the other, so that the newest file is taken last. `asks` has room for one request.

    Cancellation: at any time; a thread that reads a file is abandoned. Cleanup: nothing is held.
    """
    async for _ in asks:
        await reload()


async def _reload(kernel: Kernel, vault: Vault, running: Config, reload: Callable[[], Config] | None) -> None:
    """Take a changed configuration, or keep the one there is and say why."""
    if reload is None:
        return
    try:
        with short_turns():
            read = partial(_read, reload, vault)
            config, configure = await run_in_thread(read, limiter=trio.CapacityLimiter(1), abandon_on_cancel=True)
        if kernel.state.cameras and not config.cameras:
            raise ConfigError([f"{config.origin}: names no camera any more; if that is meant, stop banken"])
        hide_in_log(config.secret)
        kernel.emit(configure)
        vault.take(config.cameras, configure.cameras)
    except ConfigError as error:
        logger.error("the configuration is kept as it was:\n%s", error)
    except Exception:  # whatever a file may do to its reader, the cameras go on
        logger.exception("the configuration is kept as it was")
    else:
        logger.info("configuration read anew: %d cameras", len(config.cameras))
        taken = {
            name: getattr(running, name) for name in ("cameras", "limits", "devices", "patrol", "policy", "secret")
        }
        if attrs.evolve(config, **taken) != running:
            logger.warning("what changed in web, webrtc, journal and detections.token is taken at the next start")


async def _log_troubles(feed: Feed) -> None:
    """What matters of the journal, for those who read logs."""
    levels = {Severity.WARNING: logging.WARNING, Severity.ERROR: logging.ERROR}
    seen = feed.last_seq
    while True:
        try:
            page = await feed.next_page(seen)
        except (OSError, JournalError) as error:
            logger.warning("the events after %d cannot be read for the log: %s", seen, error)
            await trio.sleep(LOG_AGAIN_S)
            continue
        for recorded in page:
            seen = recorded.seq
            severity, text = describe(recorded.event)
            if severity in levels:
                logger.log(levels[severity], "%s (event %d)", text, seen)


@asynccontextmanager
async def _open_watches(kernel: Kernel, watches: Watches) -> AsyncIterator[None]:
    """They run as long as the block does."""
    async with trio.open_nursery() as nursery:
        for name, watch in watches.items():
            nursery.start_soon(run_supervised, name, watch, partial(wait_after_crash_of, kernel, name), name=name)
        yield
        nursery.cancel_scope.cancel(reason="stopping")


def _read(reload: Callable[[], Config], vault: Vault) -> tuple[Config, c.Configure]:
    """Blocking: seconds for a large file. Raises `ConfigError`."""
    config = reload()
    for warning in config.warnings:
        logger.warning("%s", warning)
    return config, _configure(config, vault)


def _configure(config: Config, vault: Vault) -> c.Configure:
    return c.Configure(
        origin=config.origin,
        cameras=vault.settings_of(config.cameras),
        limits=config.limits,
        devices=config.devices,
        patrol=config.patrol,
        policy=config.policy,
    )
