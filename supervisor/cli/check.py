"""`banken check CONFIG`: everything that is wrong with a configuration, before anything runs."""

import os
from collections.abc import Mapping
from pathlib import Path

from ..config import Check, Config, ConfigError, load
from .words import clean, fail, say


def load_or_fail(path: Path, kinds: Mapping[str, Check]) -> Config:
    """The configuration at `path`; with every complaint on stderr and exit 2 where it cannot be used."""
    try:
        return load(path, os.environ, kinds)
    except ConfigError as error:
        for complaint in error.complaints:
            say(clean(complaint), err=True)
        fail(f"{path} was not used: {len(error.complaints)} problem{'s' if len(error.complaints) > 1 else ''}")


def report(config: Config) -> None:
    """Say what a good configuration holds."""
    say(f"{clean(config.origin)}: good; {len(config.cameras)} camera{'' if len(config.cameras) == 1 else 's'}")
    for warning in config.warnings:
        say(f"warning: {clean(warning)}", err=True)
    for name, source in config.cameras.items():
        say(f"  {name}: {clean(source.summary().url)}")
