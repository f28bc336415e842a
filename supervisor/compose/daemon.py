"""The daemon's life cycle: the order in which its parts start and end.

It knows the actors and the HTTP layer only by protocols. `commands.py` knows them by name.
"""

import logging
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import trio

from .. import __version__
from ..base.clock import SystemClock
from ..base.lag import run_lag
from ..base.shield import bounded_shield
from ..base.supervision import run_supervised
from ..config.config import Config, state_folder
from ..domain import commands as c
from ..domain.events import RunStarted
from ..domain.growth import Keeping
from ..domain.ids import ChildId, NodeId, RunId
from ..domain.monitors import Reading
from ..domain.values import Fault, Reason
from ..domain.words import plural
from ..journal.recovery import Recovered, recover
from ..journal.writer import Journal, ThreadedStore
from ..ports.actors import ActorsPort
from ..ports.statistics import SocketStatistics
from ..runtime import collector, memory, systemd
from ..runtime.feed import Feed
from ..runtime.kernel import Kernel, new_id
from ..runtime.loading import ViewerModules, load_viewer_modules
from ..runtime.reconcile import CameraActors, run_reconcile, wait_after_crash_of
from ..runtime.trouble_log import run_trouble_log
from ..runtime.vault import Vault
from ..services.access_file import NAME as ACCESS_FILE
from ..services.accounts import Accounts
from ..services.audit_traces import run_traces
from ..services.gateway import Gateway
from ..services.journal_reader import JournalReader
from ..services.journal_reports import report_journal
from ..services.leases import Leases
from ..services.monitors import make_monitors, read_users, run_monitors
from ..services.recording_requests import RecordingRequests
from ..services.refusals import run_refusals
from ..services.reload import Reloads, configure_of, run_reloads
from ..services.schedules import Schedules
from ..services.setup import Setup
from ..services.shares import Shares

if TYPE_CHECKING:
    from ..services.anchors import Anchoring
    from ..services.detections import Detections
    from ..services.oidc import Oidc

logger = logging.getLogger("banken")

STOP_S = 3.5
"""Longest time of a graceful stop. Tasks that still run are cancelled then."""
FLUSH_S = 1.0
"""Longest time after the stop for decided events to become durable."""

Watches = Mapping[str, Callable[[], Coroutine[Any, Any, None]]]
"""The actors that serve no single camera, by name."""


class Actors(CameraActors, ActorsPort[Any], ViewerModules, Protocol):
    """The complete interface of the actors."""

    async def find_survivors(self) -> frozenset[ChildId]:
        """The children of earlier runs that are still alive."""
        ...

    async def run_decoder(self) -> None:
        """Decode key frames to snapshots, until it is cancelled."""
        ...

    async def run_detectors(self) -> None:
        """Run the detectors of the configuration, until it is cancelled."""
        ...

    async def run_rtsp(self) -> None:
        """Serve readers by RTSP, until it is cancelled. Only if the configuration has an address for it."""
        ...

    async def run_recordings(self) -> None:
        """Keep the recordings, until it is cancelled."""
        ...

    async def run_daemons(self) -> None:
        """Run the programs of the section `daemons`, until it is cancelled."""
        ...

    async def run_sweep(self) -> None:
        """End orphaned child processes, now and every minute, until it is cancelled."""
        ...


class RunWeb(Protocol):
    async def __call__(self, gateway: Gateway, stop: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        """Serve until `stop` is set."""
        ...


class PageCertificate(Protocol):
    async def run(self) -> None:
        """Keep it up to date, until it is cancelled."""
        ...

    def reading(self) -> Reading:
        """How it is, for its monitor."""
        ...


@attrs.frozen
class Parts:
    """The parts from which the daemon is composed."""

    make_actors: Callable[[Kernel, Vault, Leases, Accounts, "Detections | None", trio.Nursery], Actors]
    run_web: RunWeb
    reload: Callable[[], Config] | None
    """Reads the configuration again; raises `ConfigError`. None if there is no file."""
    sockets: Callable[[], SocketStatistics]
    """Statistics of the open WebSockets."""
    control: Callable[[], Reading]
    """The state of the control socket."""
    certificate: PageCertificate | None = None
    """That of the page; None if it is served without TLS."""


open_journal = recover
"""Take the journal's folder and fold its events. Raises `JournalInUse`. Any other failure is a fault, and retried."""


async def run_daemon(config: Config, recovered: Recovered, parts: Parts, ready: Callable[[], None]) -> bool:
    """Run until SIGTERM or SIGINT, then stop gracefully. `ready` is called when the web server answers.

    Returns whether every event is stored for certain.

    The parts start in this order: the journal, the run and its configuration, the watches, the HTTP layer with WebRTC,
    the cameras. A second such signal cancels the tasks that still stop. SIGHUP reads the configuration again.
    Cancellation: as a second signal. Cleanup: no child, socket or thread is left; the journal is closed.
    """
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        reader = JournalReader(recovered.store.folder, running=True)
        segments = ThreadedStore(recovered.store)
        try:
            return await _run(config, recovered, parts, ready, reader, segments, signals)
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
) -> bool:
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
        leases, detections = Leases(kernel), _detections(kernel, config)
        accounts = Accounts(kernel, state_folder(config) / ACCESS_FILE)
        shares = Shares(kernel, accounts)
        actors = parts.make_actors(kernel, vault, leases, accounts, detections, bookkeeping)
        readings: dict[str, Reading] = {}
        provider = _login_provider(config, kernel, accounts)
        schedules = Schedules(kernel)
        reloads = None
        if parts.reload is not None:
            reloads = Reloads(kernel, vault, config, parts.reload, schedules.look)
        gateway = Gateway(
            kernel,
            journal,
            feed,
            reader,
            actors,
            leases,
            detections,
            readings=readings,
            reloads=reloads,
            accounts=accounts,
            setup=Setup(kernel, accounts),
            shares=shares,
            provider=provider,
            refuse_not_live=config.refuse_not_live,
            off=config.off,
        )
        keeping = Keeping(config.retention.keep_s, config.retention.max_bytes)
        folder, anchoring = recovered.store.folder, _anchoring(config)
        monitors = make_monitors(
            kernel,
            journal,
            folder,
            parts.sockets,
            actors.starts_waiting,
            parts.control,
            keeping,
            anchoring.reading if anchoring is not None else None,
            parts.certificate.reading if parts.certificate is not None else None,
            partial(read_users, kernel, config.before_users) if config.before_users else None,
            provider.reading if provider is not None else None,
            actors.archive_rooms,
        )
        watches: Watches = {
            "daemons": actors.run_daemons,
            "sweep": actors.run_sweep,
            "recordings": actors.run_recordings,
            "decoder": actors.run_decoder,
            **({} if "detections" in config.off else {"detectors": actors.run_detectors}),
            "leases": leases.run,
            "accounts": accounts.run,
            "private cameras": accounts.run_privacy,
            "shares": shares.run,
            "schedules": schedules.run,
            "recording requests": RecordingRequests(kernel).run,
            "refusals": partial(run_refusals, kernel),
            "audit": partial(run_traces, kernel),
            "monitors": partial(run_monitors, monitors, readings, kernel),
            **({"anchor": anchoring.run} if anchoring else {}),
            **({"login provider": provider.run} if provider else {}),
            **({"certificate": parts.certificate.run} if parts.certificate else {}),
            **({"rtsp": actors.run_rtsp} if config.rtsp else {}),
            **({} if "rooms" in config.off else {"rooms": _idle_rooms(kernel)}),
        }
        bookkeeping.start_soon(journal.run, name="journal")
        bookkeeping.start_soon(run_trouble_log, feed, name="log")
        memory.free_large_blocks_at_once()
        bookkeeping.start_soon(memory.run_trimming, name="memory")
        bookkeeping.start_soon(run_lag, name="lag")
        bookkeeping.start_soon(systemd.run_watchdog, name="watchdog")
        try:
            alive = await actors.find_survivors()
            begin = c.StartRun(run=kernel.run, node=kernel.node, release=__version__, pid=os.getpid(), alive=alive)
            begun = await kernel.submit(begin)
            configure = configure_of(config, vault)
            vault.take(config.cameras, configure.cameras)
            vault.take_detectors(config.detectors)
            started = next(row for row in begun.events if isinstance(row.event, RunStarted))
            configured = await kernel.submit(configure, after=started)
            vault.take_daemons(config.daemons, configured.events[0])
            await accounts.restore()
            if not (kernel.state.trust_ended or accounts.damage):
                for hint in config.before_users:
                    logger.warning("%s", hint)
            schedules.look()
            async with _open_watches(kernel, watches), trio.open_nursery() as work:
                stop = trio.Event()
                await work.start(parts.run_web, gateway, stop, name="web")
                work.start_soon(run_reconcile, kernel, actors, random.random, name="reconcile")
                collector.settle()
                systemd.notify("READY=1")
                ready()
                work.start_soon(load_viewer_modules, actors, stop, name="load")
                asked, asks = trio.open_memory_channel[None](1)
                reload = trio.lowlevel.checkpoint if reloads is None else reloads.reload
                work.start_soon(run_reloads, asks, reload)
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
    if journal.committed >= kernel.state.seq:
        return True
    # After a sync that failed or hangs, the next start may find them or not. They were never acknowledged.
    first, last = journal.committed + 1, kernel.state.seq
    span = f"({first} to {last})"
    lost = plural(last - first + 1, f"event {span} was", f"events {span} were")
    logger.critical("%s never stored for certain: %s", lost, fault)
    return False


def _anchoring(config: Config) -> "Anchoring | None":
    """The anchoring of the journal; None unless it is configured."""
    if config.anchor is None:
        return None
    from ..services.anchors import Anchoring

    return Anchoring(config.anchor, config.journal)


def _login_provider(config: Config, kernel: Kernel, accounts: Accounts) -> "Oidc | None":
    """The login provider; None unless it is configured."""
    if config.oidc is None:
        return None
    from ..services.oidc import Oidc

    return Oidc(config.oidc, kernel, accounts)


def _detections(kernel: Kernel, config: Config) -> "Detections | None":
    """The service for detections. Its module is imported only if the part is on."""
    if "detections" in config.off:
        return None
    from ..services.detections import Detections

    return Detections(kernel)


def _idle_rooms(kernel: Kernel) -> Callable[[], Coroutine[Any, Any, None]]:
    """The watch over empty rooms. Its module is imported only if the part is on."""
    from ..services.rooms import run_idle_rooms

    return partial(run_idle_rooms, kernel)


async def _wait_for_stop(signals: AsyncIterator[int], asked: trio.MemorySendChannel[None]) -> Reason:
    async for number in signals:
        if number != signal.SIGHUP:
            return Reason("signal", f"received {signal.Signals(number).name}", Fault.NONE)
        with suppress(trio.WouldBlock):  # the waiting reload reads the newest file as well
            asked.send_nowait(None)
    raise AssertionError("signals never end")


async def _cancel_at_second_signal(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for number in signals:
        if number != signal.SIGHUP:
            scope.cancel(reason=f"a second signal: {signal.Signals(number).name}")


@asynccontextmanager
async def _open_watches(kernel: Kernel, watches: Watches) -> AsyncIterator[None]:
    """Run the watches while the block runs."""
    async with trio.open_nursery() as nursery:
        for name, watch in watches.items():
            nursery.start_soon(run_supervised, name, watch, partial(wait_after_crash_of, kernel, name), name=name)
        yield
        nursery.cancel_scope.cancel(reason="banken stops")
