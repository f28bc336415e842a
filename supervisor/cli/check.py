"""`banken check CONFIG`: the problems of a configuration, before anything runs; its schema; its present names."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from ..config.config import Check, Config, state_folder
from ..config.load import load, parse, read_text
from ..config.problem_text import ConfigError
from ..config.rewrite import rewritten
from ..config.schema import schema_of
from ..config.settings import SETTINGS
from ..config.types import TlsFiles
from ..domain.words import plural
from ..services.access_file import NAME as ACCESS_FILE
from ..services.access_file import AccessDamaged, read_access
from .terminal import clean, fail, say

STDIN, STDIN_FILE = Path("-"), Path("/dev/stdin")


class Assignment(click.ParamType[tuple[str, str]]):
    """`NAME=VALUE`, as a pair."""

    name = "assignment"

    def __init__(self, example: str = "web.listen=127.0.0.1:8621") -> None:
        self.example = example

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, separator, text = value.partition("=")
        if not name or not separator:
            self.fail(f"it must be NAME=VALUE, like {self.example}", param, ctx)
        return name, text


def check_or_fail(path: Path, kinds: Mapping[str, Check], options: Mapping[str, str]) -> Config:
    """As `load_or_fail`; `-` is standard input, which only a check reads: a reload could not read it again."""
    if path != STDIN:
        return load_or_fail(path, kinds, options)
    return or_fail("-", lambda: parse(read_text(STDIN_FILE), "-", os.environ, kinds, options=options))


def load_or_fail(path: Path, kinds: Mapping[str, Check], options: Mapping[str, str]) -> Config:
    """The configuration at `path`. On problems, print each on stderr and exit with 2."""
    return or_fail(str(path), lambda: load(path, os.environ, kinds, options))


def or_fail(origin: str, read: Callable[[], Config], hidden: Sequence[str] = ()) -> Config:
    """The configuration that `read` returns. On problems, print each without `hidden` on stderr, and exit with 2."""
    try:
        return read()
    except ConfigError as error:
        for complaint in error.complaints:
            text = clean(complaint)
            for words in hidden:
                text = text.replace(words, "")
            say(text, err=True)
        fail(f"{origin} was not used: {plural(len(error.complaints), 'problem')}")


def report(config: Config) -> None:
    """Print the cameras of a good configuration, with the warnings on stderr."""
    say(f"{clean(config.origin)}: good; {plural(len(config.cameras), 'camera')}")
    for warning in (*config.warnings, *(() if _has_users(config) else config.before_users)):
        say(f"warning: {clean(warning)}", err=True)
    if config.is_secure:
        shown = f"in {config.tls.cert}" if isinstance(config.tls, TlsFiles) else "of the local CA (banken ca)"
        say(f"  https, with the certificate {clean(shown)}")
    for setting, place in config.replaced.items():
        say(f"  {clean(setting)} is set by {clean(place)}")
    for name, source in config.cameras.items():
        say(f"  {name}: {clean(source.summary().url)}")


def _has_users(config: Config) -> bool:
    """Whether the access file says so. One that cannot be read says nothing."""
    try:
        found = read_access(state_folder(config) / ACCESS_FILE)
    except AccessDamaged:
        return False
    return found is not None and found.trust_ended


def print_schema() -> None:
    """The JSON schema of a configuration."""
    say(json.dumps(schema_of(SETTINGS), indent=2, ensure_ascii=False))


def print_rewritten(path: Path) -> None:
    """The configuration at `path` with the current names of its settings. Nothing else of it changes."""
    try:
        text = rewritten(read_text(STDIN_FILE if path == STDIN else path), str(path), SETTINGS)
    except ConfigError as error:
        fail(error.complaints)
    say(text.removesuffix("\n"))
