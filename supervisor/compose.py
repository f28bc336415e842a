"""The composition root: the commands that need actors or the web, and who is plugged into whom.

It alone knows the decider, the actors and the web layer. `__main__` imports it when one of its commands is run.
"""

import logging
import os
import random
import resource
import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .cli.check import load_or_fail, report
from .cli.words import fail
from .collector import starting
from .config import DEFAULT_LISTEN, Check, Config, ConfigError, load, parse
from .journal.errors import JournalError
from .names import conflicting_distributions
from .output import announce, set_up_log

if TYPE_CHECKING:
    import trio

    from .daemon import Parts
    from .gateway import Gateway
    from .kernel import Kernel
    from .vault import Vault

HEAVY = (
    "av", "aiortc", "aioice", "dns", "cryptography", "OpenSSL", "pylibsrtp", "trio_asyncio", "webbrowser",
    "supervisor.incident", "supervisor.analysis", "supervisor.past", "supervisor.replay", "actors.bench",
    "web.room_client", "prometheus_client",
)  # fmt: skip
"""Modules that nobody needs before the web answers: a test sees that none of them is imported by then."""
DEMO_PICTURE = "test:960x540@25"
DEMO_NAMES = ("north", "east", "south", "west")


_CONFIG = click.argument("config", type=click.Path(path_type=Path))
_VERBOSE = click.option("--verbose", "-v", is_flag=True, help="Log more.")


@click.command()
@_CONFIG
def check(config: Path) -> None:
    """Say what is wrong with a configuration. Exit 0: nothing; exit 2: each problem on a line, with its place."""
    report(load_or_fail(config, _kinds()))


@click.command()
@_CONFIG
@_VERBOSE
def run(config: Path, verbose: bool) -> None:
    """Run the daemon with the configuration file CONFIG, until SIGTERM. SIGHUP reads the file again."""
    with starting():
        kinds = _kinds()
        _serve(load_or_fail(config, kinds), partial(load, config, os.environ, kinds), verbose)


@click.command()
@click.option("--cameras", type=click.IntRange(1, 16), default=4, show_default=True, help="Test pictures to open.")
@click.option("--listen", default=DEFAULT_LISTEN, show_default=True, metavar="ADDRESS:PORT")
@click.option("--journal", type=click.Path(path_type=Path), help="Folder of the journal [default: in your home].")
@click.option("--browser/--no-browser", default=False, help="Open the page as well.")
@_VERBOSE
def demo(cameras: int, listen: str, journal: Path | None, browser: bool, verbose: bool) -> None:
    """Run with test pictures: no camera and no configuration needed."""
    names = [*DEMO_NAMES, *(f"camera-{number}" for number in range(5, 17))][:cameras]
    folder = journal or _state_home() / "demo" / "journal"
    lines = [f"web: {{listen: {listen!r}}}", f"journal: {{path: {str(folder)!r}}}", "cameras:"]
    lines += [f"  {name}: {DEMO_PICTURE}" for name in names]
    with starting():
        try:
            config = parse("\n".join(lines), "the demo", {}, _kinds())
        except ConfigError as error:
            fail(error.complaints)
        _serve(config, None, verbose, open_browser=browser)


def _kinds() -> Mapping[str, Check]:
    from actors.sources import KINDS

    return {name: kind.check for name, kind in KINDS.items()}


def _state_home() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "banken"


def _serve(config: Config, reload: partial[Config] | None, verbose: bool, open_browser: bool = False) -> None:
    """Take the address and the journal, and only then begin; what cannot be had is said in one line, with exit 2."""
    import trio

    from web.serve import address, listen

    from .daemon import open_journal, run_daemon

    others = conflicting_distributions()
    if others:
        fail(f"{', '.join(others)} owns packages of our names; uninstall it, then install banken again")
    set_up_log(logging.DEBUG if verbose else logging.INFO, config.secret)
    for chatty in ("aiortc", "aioice", "asyncio", "trio_asyncio", "libav", "hypercorn", "quart"):
        logging.getLogger(chatty).setLevel(logging.INFO if verbose else logging.ERROR)
    allow_descriptors()
    for warning in config.warnings:
        logging.getLogger("banken").warning("%s", warning)
    try:
        listener = listen(config.host, config.port)
    except (OSError, TypeError, ValueError) as error:
        fail(f"cannot listen on {config.host}:{config.port}: {error}; web.listen or --listen can name another")
    with listener:
        try:
            recovered = open_journal(config.journal, config.retention)
        except JournalError as error:
            fail(str(error))
        url = address(listener)

        def ready() -> None:
            announce(f"banken: {len(config.cameras)} cameras at {url}", url if open_browser else None)

        trio.run(run_daemon, config, recovered, _parts(config, listener, reload), ready)


def _parts(config: Config, listener: socket.socket, reload: partial[Config] | None) -> "Parts":
    from actors.ffmpeg import find_ffmpeg
    from actors.process import RealProcess
    from actors.process_table import RealProcessTable
    from actors.registry import Registry
    from actors.tools import Tools, knock
    from web.app import WebSettings, create_app
    from web.client import Proxies
    from web.serve import run_web
    from web.sockets import Sockets

    from .daemon import Parts

    sockets = Sockets()

    def make_actors(kernel: "Kernel", vault: "Vault", keep: "trio.Nursery") -> Registry:
        return Registry(
            Tools(
                kernel=kernel,
                sources=vault,
                open_process=RealProcess,
                processes=RealProcessTable(),
                ffmpeg=find_ffmpeg(),
                knock=knock,
                ice_servers=config.ice_servers,
                jitter=random.random,
                keep=keep,
            )
        )

    async def serve(gateway: "Gateway", stop: "trio.Event", task_status: "trio.TaskStatus[None]") -> None:
        proxies = Proxies(config.trusted_proxies, config.forwarded)
        settings = WebSettings(config.allow_origins, config.ice_servers, config.detector_token, proxies, config.exposed)
        app = create_app(gateway, settings, sockets)
        await run_web(app, sockets, listener, stop, task_status, is_proxy=proxies.trusts)

    return Parts(make_actors, serve, reload, sockets.statistics)


def allow_descriptors() -> None:
    """As many open files as this machine lets us have: each viewer and each camera takes a few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 65536), hard))
