"""The token that a command shows to a daemon which it asks over HTTP.

Rules of this file:
- It comes from a file, or from the variable `BANKEN_TOKEN`; never from an argument, which other programs can read.
- It is sent over https, or to this machine. Anybody between two machines could read it otherwise.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import click

from ..base.redact import redact
from ..config.types import is_loopback
from .terminal import fail

VARIABLE = "BANKEN_TOKEN"
MOST_BYTES = 1024
WANTED = f"--token-file or ${VARIABLE} gives a token (banken token make), and on its own machine none is needed"
REFUSED = "the token is wrong, was revoked, or is over"
_KEY = "banken.token_file"
_TOKEN = re.compile(r"[\x21-\x7e]+")


def with_token(command: Callable[..., None]) -> Callable[..., None]:
    """The option `--token-file`, of which `credentials_for` knows."""

    def keep(context: click.Context, _: click.Parameter, path: Path | None) -> None:
        context.meta[_KEY] = path

    option = click.option(
        "--token-file", type=click.Path(path_type=Path), metavar="FILE", expose_value=False, callback=keep,
        help=f"File with the token for --url; or the token in ${VARIABLE}.",
    )  # fmt: skip
    return option(command)


def credentials_for(url: str) -> dict[str, str]:
    """The header with the token for a daemon at `url`; empty without a token. Ends the command if it cannot be sent."""
    token = _token()
    if not token:
        return {}
    parts = urlsplit(url)
    if parts.username is not None:
        fail(f"{redact(url)}: there is a token and a user in the address, and one request shows one of them only")
    if parts.scheme in ("http", "ws") and not is_loopback(parts.hostname or ""):
        fail(f"{redact(url)}: the token would be readable on the way; use https")
    return {"Authorization": f"Bearer {token}"}


def _token() -> str:
    """The token of the command that runs; empty without one. Ends the command for a file that has none."""
    context = click.get_current_context(silent=True)
    path = context.meta.get(_KEY) if context is not None else None
    if path is None:
        text, where = os.environ.get(VARIABLE, "").strip(), f"${VARIABLE}"
        if not text:
            return ""
    else:
        try:
            with path.open("rb") as file:
                text, where = file.read(MOST_BYTES).decode("ascii", "replace").strip(), str(path)
        except OSError as error:
            fail(f"{path}: cannot be read: {error.strerror}")
    if _TOKEN.fullmatch(text) is None:
        fail(f"{where}: has no token, which is one line without spaces")
    return text
