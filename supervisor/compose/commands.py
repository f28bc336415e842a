"""The commands that need actors or the HTTP layer, and how the parts are connected.

`__main__` imports this module when one of its commands runs.
"""

import logging
import os
import random
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..cli.check import Assignment, check_or_fail, load_or_fail, print_rewritten, print_schema, report
from ..cli.terminal import fail
from ..config.config import Check, Config, state_folder
from ..config.load import load, parse
from ..config.login_provider import LoginProvider
from ..config.problem_text import ConfigError
from ..config.settings import DEFAULT_LISTEN
from ..config.types import TlsFiles
from ..domain.words import plural
from ..ports.errors import JournalError
from ..runtime.collector import starting
from ..runtime.control_socket import ControlInUse, ControlSocket
from ..runtime.descriptors import allow_descriptors
from ..runtime.names import conflicting_distributions
from ..runtime.output import announce, set_up_log, show_on_terminal

if TYPE_CHECKING:
    import trio

    from ..runtime.certificates import ServedCertificate
    from ..runtime.kernel import Kernel
    from ..runtime.vault import Vault
    from ..services.accounts import Accounts
    from ..services.detections import Detections
    from ..services.gateway import Gateway
    from ..services.leases import Leases
    from .daemon import Parts

HEAVY = (
    "av", "aiortc", "aioice", "dns", "cryptography", "OpenSSL", "pylibsrtp", "trio_asyncio", "webbrowser",
    "supervisor.forensics.incident", "supervisor.forensics", "supervisor.services.answers", "supervisor.services.past",
    "supervisor.compose.replay",
    "web.room_client", "prometheus_client",
)  # fmt: skip
"""Modules that are not needed before the web server answers. A test checks that none of them is imported by then."""
DEBUG = {"log.level": "debug"}
"""The option `-v`."""
DEMO_PICTURE = "test:640x360@15"
DEMO_RECORDED, DEMO_RECORDINGS = 4, "128MiB"
"""The number of cameras of the demo that are recorded, and the limit of their sealed files."""
DEMO_NAMES = ("north", "east", "south", "west")


_CONFIG = click.argument("config", type=click.Path(path_type=Path))
_VERBOSE = click.option("--verbose", "-v", is_flag=True, help="Log more: the same as --set log.level=debug.")
_SET = click.option(
    "--set", "options", multiple=True, type=Assignment(), metavar="NAME=VALUE",
    help="A setting, like web.listen=127.0.0.1:8621. It overrides its environment variable and the file.",
)  # fmt: skip


@click.command()
@click.argument("config", type=click.Path(path_type=Path), envvar="BANKEN_CONFIG", default="banken.yaml")
@_SET
@click.option("--schema", is_flag=True, help="Print the JSON schema of a configuration. CONFIG is not needed.")
@click.option("--rewrite", is_flag=True, help="Print CONFIG with the current names of its settings.")
def check(config: Path, options: tuple[tuple[str, str], ...], schema: bool, rewrite: bool) -> None:
    """Check a configuration, and print its problems. Exit 0: no problem; exit 2: problems, one per line.

    CONFIG is ./banken.yaml, or $BANKEN_CONFIG; - is standard input.
    """
    if schema:
        print_schema()
    elif rewrite:
        print_rewritten(config)
    else:
        checked = check_or_fail(config, _kinds(), dict(options))
        if isinstance(checked.tls, TlsFiles):
            certificate_of(checked)
        if checked.oidc is not None:
            _check_ca_of(checked.oidc)
        report(checked)


@click.command()
@_CONFIG
@_SET
@_VERBOSE
def run(config: Path, options: tuple[tuple[str, str], ...], verbose: bool) -> None:
    """Run the daemon with the configuration file CONFIG, until SIGTERM. SIGHUP reads the file again."""
    with starting():
        kinds, chosen = _kinds(), {**(DEBUG if verbose else {}), **dict(options)}
        _serve(load_or_fail(config, kinds, chosen), partial(load, config, os.environ, kinds, chosen))


@click.command()
@click.option("--cameras", type=click.IntRange(1, 16), default=4, show_default=True, help="Number of test patterns.")
@click.option("--listen", default=DEFAULT_LISTEN, show_default=True, metavar="ADDRESS:PORT")
@click.option("--journal", type=click.Path(path_type=Path), help="Folder of the journal [default: in your home].")
@click.option("--browser/--no-browser", default=False, help="Open the page in a browser.")
@_VERBOSE
def demo(cameras: int, listen: str, journal: Path | None, browser: bool, verbose: bool) -> None:
    """Run with test patterns: no camera and no configuration needed.

    The first four are recorded, in less than 200 MB. With --journal FOLDER, the state folder is FOLDER.state, and the
    recordings are in FOLDER.recordings.
    """
    with starting():
        try:
            config = demo_config(cameras, listen, journal, DEBUG if verbose else {})
        except ConfigError as error:
            fail(error.complaints)
        _serve(config, None, open_browser=browser)


def demo_config(cameras: int, listen: str, journal: Path | None, more: Mapping[str, str]) -> Config:
    """The configuration of the demo. Raises `ConfigError`."""
    names = [*DEMO_NAMES, *(f"camera-{number}" for number in range(5, 17))][:cameras]
    folder = journal or _state_home() / "demo" / "journal"
    modes = ["always"] * DEMO_RECORDED + ["off"] * len(names)
    lines = [
        f'  {name}: {{source: "{DEMO_PICTURE}", record: {mode}}}' for name, mode in zip(names, modes, strict=False)
    ]
    options = {
        "web.listen": listen,
        "journal.path": str(folder),
        "record.path": str(folder.with_name("recordings")),
        "record.max_size": DEMO_RECORDINGS,
        "record.reserve": "512MiB",
        **more,
    }
    if journal is not None:  # beside it, and not in the folder around it, which may be that of another daemon
        options |= {"state.path": f"{journal}.state", "record.path": f"{journal}.recordings"}
    return parse("\n".join(["cameras:", *lines]), "the demo", os.environ, _kinds(), options=options)


def _kinds() -> Mapping[str, Check]:
    from actors.sources import KINDS

    return {name: kind.check for name, kind in KINDS.items()}


def _state_home() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "banken"


def _serve(config: Config, reload: partial[Config] | None, open_browser: bool = False) -> None:
    """Take the address, the state folder, the certificate and the journal, then run the daemon.

    If one of them cannot be had, print one line and exit with 2.
    """
    import trio

    from web.serve import address, listen

    from .daemon import open_journal, run_daemon

    others = conflicting_distributions()
    if others:
        fail(f"{', '.join(others)} owns packages of our names; uninstall it, then install banken again")
    set_up_log(config.log_level, config.secret, config.log_format)
    allow_descriptors()
    for warning in config.warnings:
        logging.getLogger("banken").warning("%s", warning)
    try:
        listener = listen(config.host, config.port)
    except (OSError, TypeError, ValueError) as error:
        fail(f"cannot listen on {config.host}:{config.port}: {error}; web.listen or --listen can name another")
    with ExitStack() as opened:
        opened.enter_context(listener)
        rtsp = opened.enter_context(_listen_for_readers(config.rtsp)) if config.rtsp else None
        control = ControlSocket(state_folder(config))
        opened.callback(control.close)
        try:
            control.open()
            certificate = certificate_of(config)
            recovered = open_journal(config.journal, config.retention)
        except (ControlInUse, JournalError) as error:
            fail(str(error))
        url = address(listener, "https" if certificate else "http")

        def ready() -> None:
            if rtsp is not None:
                host, port = rtsp.getsockname()[:2]
                shown = f"[{host}]" if ":" in host else host
                logging.getLogger("banken").info("readers connect to rtsp://%s:%d/CAMERA", shown, port)
            if certificate is not None:
                logging.getLogger("banken").info("%s", certificate.reading().text)
            announce(f"banken: {plural(len(config.cameras), 'camera')} at {url}", url if open_browser else None)

        parts = _parts(config, listener, rtsp, control, reload, certificate)
        is_stored = trio.run(run_daemon, config, recovered, parts, ready)
    if not is_stored:
        sys.exit(1)


def certificate_of(config: Config) -> "ServedCertificate | None":
    """The certificate of the page; None without TLS. If it cannot be used, print one line and exit with 2."""
    if not config.is_secure:
        return None
    from ..runtime.certificates import CertificateError, ServedCertificate
    from ..runtime.local_ca import FOLDER, LocalAuthority
    from ..runtime.machine_names import configured_names, machine_names

    def renew(now: datetime) -> str:
        return authority.renew(machine_names(), configured, now)

    try:
        if isinstance(config.tls, TlsFiles):
            return ServedCertificate(config.tls.cert, config.tls.key)
        authority = LocalAuthority(state_folder(config) / FOLDER)
        configured = configured_names(config.host, config.allow_origins)
        return ServedCertificate(authority.pair, authority.pair, renew=renew)
    except CertificateError as error:
        fail(f"web.tls: {error}")


def _check_ca_of(provider: LoginProvider) -> None:
    """If its CAs cannot be read, print one line and exit with 2."""
    from ..services.bounded_http import HttpError, make_context

    try:
        make_context(provider.ca)
    except HttpError as error:
        fail(f"access.oidc.ca: {error}")


def _listen_for_readers(address: tuple[str, int]) -> socket.socket:
    """Open the listening socket of the RTSP server. If that fails, print one line and exit with 2."""
    from web.serve import listen

    try:
        listener = listen(*address)
    except (OSError, TypeError, ValueError) as error:
        fail(f"cannot listen on {address[0]}:{address[1]}: {error}; rtsp.listen can name another")
    listener.setblocking(False)
    return listener


def _setup_url(config: Config, listener: socket.socket) -> str:
    """The URL of the page as other machines reach it; empty on loopback."""
    if not config.exposed:
        return ""
    from ..runtime.machine_names import own_address

    bound, port = listener.getsockname()[:2]
    host = own_address() if ip_address(bound).is_unspecified else config.host
    return f"{'https' if config.is_secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"


def _show_setup_link(gateway: "Gateway", url: str) -> None:
    """Print a setup link on the terminal, if the first user can be made by one. Nothing else gets it."""
    if url and gateway.setup is not None and gateway.setup.is_open:
        show_on_terminal(f"banken: make the first user within 15 minutes at {url}setup#{gateway.setup.renew().text}")


def _parts(
    config: Config,
    listener: socket.socket,
    rtsp: socket.socket | None,
    control: ControlSocket,
    reload: partial[Config] | None,
    certificate: "ServedCertificate | None",
) -> "Parts":
    from actors.addresses import tcp_probe
    from actors.media.ffmpeg import find_ffmpeg
    from actors.process.process import RealProcess, owner_of
    from actors.process.process_table import RealProcessTable
    from actors.registry import Registry
    from actors.tools import Tools
    from actors.webrtc.deferred import run_connection
    from web.app import WebSettings, create_app
    from web.client import Proxies
    from web.proxy_access import ProxyAccess
    from web.serve import run_web
    from web.sockets import Sockets
    from web.tls import Tls

    from ..runtime.reconcile import wait_after_crash, wait_after_crash_of
    from ..services.reader_logins import TokenLogins
    from .daemon import Parts

    sockets = Sockets()

    def make_actors(
        kernel: "Kernel",
        vault: "Vault",
        leases: "Leases",
        accounts: "Accounts",
        detections: "Detections | None",
        keep: "trio.Nursery",
    ) -> Registry:
        return Registry(
            Tools(
                kernel=kernel,
                sources=vault,
                leases=leases,
                detections=detections,
                wait_after_crash=partial(wait_after_crash_of, kernel),
                wait_after_camera_crash=partial(wait_after_crash, kernel, random.random),
                open_process=RealProcess,
                processes=RealProcessTable(),
                owner=owner_of(kernel.node, config.journal),
                ffmpeg=find_ffmpeg(),
                tcp_probe=tcp_probe,
                jitter=random.random,
                keep=keep,
            ),
            connect=partial(run_connection, ice_servers=config.ice_servers),
            rtsp=None if rtsp is None else (rtsp, TokenLogins(kernel, accounts)),
            archives=config.archives,
        )

    async def serve(gateway: "Gateway", stop: "trio.Event", task_status: "trio.TaskStatus[None]") -> None:
        proxies = Proxies(config.trusted_proxies, config.forwarded)
        settings = WebSettings(
            allow_origins=config.allow_origins,
            frame_ancestors=tuple(config.settings["web.frame_ancestors"]),
            ice_servers=config.ice_servers,
            detector_token=config.detector_token,
            proxies=proxies,
            proxy_access=ProxyAccess(*config.proxy_access),
            setup_url=_setup_url(config, listener),
            off=config.off,
        )
        if "dashboard" not in config.off:
            _show_setup_link(gateway, settings.setup_url)
        app = create_app(gateway, settings, sockets)
        tls = None
        if certificate is not None:
            tls = Tls(certificate.context, isinstance(config.tls, TlsFiles), config.allow_origins)
        await run_web(app, sockets, listener, stop, task_status, is_proxy=proxies.trusts, tls=tls, control=control)

    return Parts(make_actors, serve, reload, sockets.statistics, control.reading, certificate)
