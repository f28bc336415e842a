"""`banken setup-link`: the link with which somebody at another machine makes the first user."""

from pathlib import Path

import click

from ..config.state_folder import control_in
from .access import when
from .daemon_address import FOLDER, state_in
from .journal_argument import JSON
from .remote import ask, detail, refuse, unknown
from .terminal import UTC_OPTION, clean, say, say_json


@click.command()
@click.option(
    "--state", type=click.Path(path_type=Path, readable=False), metavar="FOLDER",
    help="The state folder of the daemon, which has the control socket [default: state.path of the configuration].",
)  # fmt: skip
@click.option(
    "--config", envvar="BANKEN_CONFIG", type=click.Path(path_type=Path), default=Path("banken.yaml"),
    show_default=True, metavar="FILE", help="The configuration that names its state folder, or $BANKEN_CONFIG.",
)  # fmt: skip
@UTC_OPTION
@JSON
def setup_link(state: Path | None, config: Path, as_json: bool) -> None:
    """Print a link to the page that makes the first user, an admin.

    It is for a daemon that listens beyond loopback and has no users. It works once, for 15 minutes, and ends the link
    before. It makes an admin of everybody who has it, so it comes by the control socket only, and is alone on stdout.
    Exit 1: the daemon refused; exit 2: no daemon answers.
    """
    where = control_in(state or state_in(config, FOLDER))
    status, body = ask(where, "POST", "api/setup/link", config)
    if status != 200 or "link" not in body:
        refuse(detail(body) or unknown(where, status))
    if as_json:
        say_json(body)
    else:
        say(clean(str(body["link"])))
    say(f"it works once, until {when(body['until'])}; the first person with it becomes the admin", err=True)
