"""Takes a changed configuration while the daemon runs: at a SIGHUP, or when a client asks for it.

Rules of this file:
- One file is read at a time, in a thread; the loop only takes the result.
- A file that is refused changes nothing, and is an event with its first complaints, without secrets. They are cut and
  redacted in that thread, since a file may have thousands of them.
- A client is charged for a reload before the file is read, and for nothing that follows from it.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import chain

import trio

from ..base.background_import import short_switch_interval
from ..base.log import hide_in_log
from ..base.redact import redact
from ..base.threads import run_in_thread
from ..config.config import Config
from ..config.problem_text import ConfigError
from ..domain import commands as c
from ..domain.clients import client_in
from ..domain.configuration import LINES
from ..domain.errors import Refusal, Rejected
from ..domain.events import ConfigurationRefused
from ..domain.words import plural
from ..ports.decisions import Origin
from ..ports.gateway import ReloadResult
from ..runtime.kernel import Kernel
from ..runtime.output import set_log_level
from ..runtime.vault import Vault

MOST_WAITING = 4
"""Requests that wait for the one before; any further one is refused."""
logger = logging.getLogger("banken")


class Reloads:
    """Reads the file with `read`, which blocks and raises `ConfigError`. `running` is what the daemon began with."""

    def __init__(
        self,
        kernel: Kernel,
        vault: Vault,
        running: Config,
        read: Callable[[], Config],
        applied: Callable[[], object] = lambda: None,
    ) -> None:
        """`applied` is called in the step in which a configuration takes effect."""
        self._kernel, self._vault, self._running, self._read = kernel, vault, running, read
        self._secret, self._level = running.secret, running.log_level
        self._applied = applied
        self._turn = trio.Lock()

    async def reload(self, origin: Origin | None = None) -> ReloadResult:
        """Take a changed configuration, or keep the one there is and say why. `origin`: who asks, if that is known.

        Raises `Rejected` for a client that asks too often, and when others wait already.
        Cancellation: at any time; a thread that reads the file is abandoned. Cleanup: nothing is held.
        """
        client = client_in(origin.principal) if origin is not None else None
        if client is not None and self._turn.statistics().tasks_waiting >= MOST_WAITING:
            raise Rejected(Refusal.RATE_LIMITED, "reloads that others asked for are not over yet", 1.0)
        async with self._turn:
            if client is not None:
                self._kernel.charge(client)
            try:
                return await self._take(origin)
            except Rejected:
                raise
            except Exception as error:  # whatever a file may do to its reader, the cameras go on
                logger.exception("the configuration is kept as it was")
                why = f"{self._running.origin}: it cannot be read ({type(error).__name__}; the log has more)"
                return self._refuse(c.RefuseConfiguration(self._running.origin, (why,)), origin)

    async def _take(self, origin: Origin | None) -> ReloadResult:
        has_cameras = len(self._kernel.state.cameras) > 0
        with short_switch_interval():
            found = await run_in_thread(
                partial(_read, self._read, self._vault, self._secret, self._running.origin, has_cameras),
                limiter=trio.CapacityLimiter(1),
                abandon="a file on a network disk may not answer",
            )
        if isinstance(found, c.RefuseConfiguration):
            return self._refuse(found, origin)
        config, configure = found
        emitted = self._kernel.emit(configure, origin=origin)
        self._applied()
        applied = emitted.last
        self._vault.take(config.cameras, configure.cameras)
        self._vault.take_detectors(config.detectors)
        self._vault.take_daemons(config.daemons, emitted.events[0])
        hide_in_log(config.secret)
        self._secret = config.secret
        if config.log_level != self._level:
            set_log_level(config.log_level)
            self._level = config.log_level
        logger.info("configuration read again: %s", plural(len(config.cameras), "camera"))
        warnings = [*config.warnings]
        if changed := config.changed_at_start(self._running):
            warning = f"the change of {', '.join(changed)} is taken at the next start"
            logger.warning("%s", warning)
            warnings.append(warning)
        assert applied is not None
        return ReloadResult(applied.seq, len(config.cameras), warnings=tuple(warnings))

    def _refuse(self, command: c.RefuseConfiguration, origin: Origin | None) -> ReloadResult:
        refused = self._kernel.emit(command, origin=origin).last
        assert refused is not None
        assert isinstance(refused.event, ConfigurationRefused)
        event = refused.event
        return ReloadResult(refused.seq, len(self._kernel.state.cameras), refused=event.lines, more=event.more)


async def run_reloads(asks: trio.MemoryReceiveChannel[None], reload: Callable[[], Awaitable[object]]) -> None:
    """One reload after the other, so that the newest file is taken last. `asks` has room for one request.

    Cancellation: at any time; a thread that reads a file is abandoned. Cleanup: nothing is held.
    """
    async for _ in asks:
        await reload()


def _read(
    reload: Callable[[], Config], vault: Vault, secret: Sequence[str], origin: str, has_cameras: bool
) -> tuple[Config, c.Configure] | c.RefuseConfiguration:
    """Blocking: seconds for a large file. For a file that cannot be used the command that says so, fit for the journal.

    Args:
        secret: texts that are hidden in its complaints, beside the secrets in `vault`.
        has_cameras: whether the daemon has any now; then a file without one is refused.
    """
    try:
        config = reload()
        if has_cameras and not config.cameras:
            raise ConfigError([f"{config.origin}: names no camera any more; if that is meant, stop banken"])
    except ConfigError as error:
        secrets = {
            *secret,
            *chain.from_iterable(source.secrets for source in vault.all()),
            *chain.from_iterable(detector.secrets for detector in vault.detectors().values()),
            *chain.from_iterable(daemon.secrets for daemon in vault.daemons().values()),
        }
        first, more = error.complaints[:LINES], len(error.complaints[LINES:])
        lines = tuple(redact(" ".join(line.split()), secrets) for line in first)
        beside = [f"and {more} more; banken check says them all"] if more else []
        logger.error("the configuration is kept as it was:\n%s", "\n".join([*lines, *beside]))
        return c.RefuseConfiguration(origin, lines, more)
    for warning in config.warnings:
        logger.warning("%s", warning)
    return config, configure_of(config, vault)


def configure_of(config: Config, vault: Vault) -> c.Configure:
    """The command that makes the daemon's cameras, devices and limits those of `config`."""
    return c.Configure(
        origin=config.origin,
        cameras=vault.settings_of(config.cameras),
        limits=config.limits,
        devices=config.devices,
        patrol=config.patrol,
        policy=config.policy,
    )
