"""Which daemon a command means: the options for it, and the places that its configuration names."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import yaml

from ..config.load import MAX_BYTES
from ..config.parse_context import Loader
from ..config.settings import DEFAULT_LISTEN
from ..config.state_folder import control_in, folder_of
from ..config.table import variable_of
from ..config.types import PLAIN, is_loopback
from .terminal import fail
from .token import with_token

_HERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
URL = "--url the daemon"
DAEMON = f"--state the state folder of the daemon, or {URL}"
FOLDER = "--state the state folder of the daemon"
PAGE = "--page the address at which others reach banken"


def daemon(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which daemon is meant."""
    url = click.option(
        "--url", envvar="BANKEN_URL", metavar="URL",
        help="Address of its page, or $BANKEN_URL [default: web.listen of the configuration].",
    )  # fmt: skip
    config = click.option(
        "--config", envvar="BANKEN_CONFIG", type=click.Path(path_type=Path), default=Path("banken.yaml"),
        show_default=True, metavar="FILE", help="The configuration that names its address, or $BANKEN_CONFIG.",
    )  # fmt: skip
    return url(with_token(config(command)))


def owner(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command for the owner of the machine, by the control socket; see `place_of`."""
    url = click.option(
        "--url", envvar="BANKEN_URL", metavar="URL",
        help="Ask the daemon over HTTP, at the address of its page, or $BANKEN_URL [default: by its control socket].",
    )  # fmt: skip
    state = click.option(
        "--state", type=click.Path(path_type=Path, readable=False), metavar="FOLDER",
        help="Its state folder, which has the control socket [default: state.path of the configuration].",
    )  # fmt: skip
    config = click.option(
        "--config", envvar="BANKEN_CONFIG", type=click.Path(path_type=Path), default=Path("banken.yaml"),
        show_default=True, metavar="FILE", help="The configuration that names its state folder, or $BANKEN_CONFIG.",
    )  # fmt: skip
    return url(with_token(state(config(command))))


def place_of(url: str | None, state: Path | None, config: Path) -> str | Path:
    """Where the daemon is asked: the path of its control socket, or a URL. A given folder comes before a URL.

    Ends the command where neither is given and the configuration names no folder, or one that is not fixed.
    """
    if state is not None:
        return control_in(state)
    return url or control_in(state_in(config))


def state_in(path: Path, otherwise: str = DAEMON) -> Path:
    """The state folder by the configuration at `path`, or by the variables of `state.path` and `journal.path`.

    Ends the command where it names none; `otherwise` is what an option of the command can name instead.
    """
    text = text_of(path, otherwise)
    found = os.environ.get(variable_of("state.path")) or setting_in(text, "state", "path")
    journal = os.environ.get(variable_of("journal.path")) or setting_in(text, "journal", "path") or "journal"
    if "${" in (found or journal):
        fail(f"{path} names no fixed state folder (state.path); --state can name it")
    return folder_of(
        path.parent / Path(found).expanduser() if found else None, path.parent / Path(journal).expanduser()
    )


def address_in(path: Path, own_address: Callable[[], str] | None = None) -> str:
    """The URL of the daemon over the configuration at `path`, or by the variable of `web.listen`.

    The file may have the very mistake that the daemon is to report: in one that is no YAML the key alone is looked for.
    Where that means every address, it is the one on this machine, or with `own_address` the one that others reach. Ends
    the command where it names no address, or one that is not fixed.
    """
    otherwise = URL if own_address is None else PAGE
    written = setting_in(text_of(path, otherwise), "web", "listen")
    listen = os.environ.get(variable_of("web.listen")) or written or DEFAULT_LISTEN
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or port == "0" or "$" in host:
        fail(f"{path} names no fixed address (web.listen); use {otherwise}")
    tls = os.environ.get(variable_of("web.tls")) or setting_in(text_of(path, otherwise), "web", "tls") or "auto"
    is_plain = tls in PLAIN or (tls == "auto" and is_loopback(host.strip("[]")))
    if host in _HERE:
        host = _HERE[host] if own_address is None else own_address()
    return f"{'http' if is_plain else 'https'}://{host}:{port}/"


def journal_in(path: Path) -> Path:
    """The journal's folder by the configuration at `path`, or by the variable of `journal.path`."""
    found = os.environ.get(variable_of("journal.path")) or setting_in(text_of(path), "journal", "path") or "journal"
    if "${" in found:
        fail(f"{path} names no fixed journal (journal.path), so the process of --pid cannot be compared with it")
    return path.parent / Path(found).expanduser()


def text_of(path: Path, otherwise: str = DAEMON) -> str:
    """The text of a configuration, which may have mistakes. Ends the command, as `state_in`, if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode(errors="replace")
    except FileNotFoundError:
        fail(f"there is no {path}; --config names the configuration, or {otherwise}")
    except OSError as error:
        fail(f"{path}: cannot be read: {error.strerror}; use another --config, or {otherwise}")


def setting_in(text: str, *names: str) -> str:
    """The text of a setting in a configuration; empty if it has none. A mapping has the text `{`.

    In a text that is not YAML, it is the first such key in the lines of its section.
    """
    section, key = names[0], names[-1]
    try:
        node: Any = yaml.compose(text, Loader=Loader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        lines = re.search(rf"(?:^|[{{,])[ \t]*[\"']?{section}[\"']?[ \t]*:.*(?:\n(?:[ \t}}#].*)?)*", text, re.MULTILINE)
        pattern = rf"^[^#\n]*?\b{key}[\"']?[ \t]*:[ \t]*[\"']?([^\s\"'#,}}]+)"
        found = re.search(pattern, lines[0], re.MULTILINE) if lines else None
        return found[1] if found else ""
    for name in names:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for each, value in pairs if each.value == name), None)
    if isinstance(node, yaml.MappingNode):
        return "{"
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""
