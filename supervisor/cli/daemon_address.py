"""Which daemon a command means: the options for it, and the address and the journal that its configuration names."""

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
from ..config.table import variable_of
from ..config.types import PLAIN, is_loopback
from .terminal import fail

_HERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


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
    return url(config(command))


def address_in(path: Path) -> str:
    """The URL of the daemon over the configuration at `path`, or by the variable of `web.listen`.

    The file may have the very mistake that the daemon is to report: in one that is no YAML the key alone is looked for.
    Ends the command where it names no address, or one that is not fixed.
    """
    listen = os.environ.get(variable_of("web.listen")) or setting_in(text_of(path), "web", "listen") or DEFAULT_LISTEN
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or port == "0" or "$" in host:
        fail(f"{path} names no fixed address (web.listen); --url can name the daemon")
    tls = os.environ.get(variable_of("web.tls")) or setting_in(text_of(path), "web", "tls") or "auto"
    is_plain = tls in PLAIN or (tls == "auto" and is_loopback(host.strip("[]")))
    return f"{'http' if is_plain else 'https'}://{_HERE.get(host, host)}:{port}/"


def state_in(path: Path) -> Path:
    """The state folder by the configuration at `path`, or by the variables of `state.path` and `journal.path`."""
    text = text_of(path)
    found = os.environ.get(variable_of("state.path")) or setting_in(text, "state", "path")
    if "${" in found:
        fail(f"{path} names no fixed state folder (state.path); --state can name it")
    return path.parent / Path(found).expanduser() if found else Path(os.path.abspath(journal_in(path))).parent


def journal_in(path: Path) -> Path:
    """The journal's folder by the configuration at `path`, or by the variable of `journal.path`."""
    found = os.environ.get(variable_of("journal.path")) or setting_in(text_of(path), "journal", "path") or "journal"
    if "${" in found:
        fail(f"{path} names no fixed journal (journal.path), so the process of --pid cannot be compared with it")
    return path.parent / Path(found).expanduser()


def text_of(path: Path) -> str:
    """The text of a configuration, which may have mistakes. Ends the command if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode(errors="replace")
    except FileNotFoundError:
        fail(f"there is no {path}; --config names the configuration, or --url the daemon")
    except OSError as error:
        fail(f"{path}: cannot be read: {error.strerror}; --url can name the daemon")


def setting_in(text: str, *names: str) -> str:
    """The text of a setting in a configuration; empty if it has none. In a text that is not YAML, only its key counts.

    A mapping has the text `{`.
    """
    key = names[-1]
    try:
        node: Any = yaml.compose(text, Loader=Loader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        pattern = rf"^[^#\n]*?\b{key}[\"']?[ \t]*:[ \t]*[\"']?([^\s\"'#,}}]+)"
        found = re.search(pattern, text, re.MULTILINE)
        return found[1] if found else ""
    for name in names:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for each, value in pairs if each.value == name), None)
    if isinstance(node, yaml.MappingNode):
        return "{"
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""
