"""`banken share`: links with which others watch some cameras for a while.

Only the result is on stdout: the link, which is printed once.
"""

import re
import sys
from collections.abc import Sequence
from urllib.parse import quote

import click

from ..domain.share import LONGEST_S, MOST_LABEL
from ..runtime.machine_names import own_address
from .access import YES, RunningDaemon, confirm, described, print_list, when, with_daemon
from .daemon_address import address_in
from .journal_argument import JSON
from .terminal import UTC_OPTION, clean, say, say_json

SECONDS = {"m": 60, "h": 3600, "d": 86_400}
_SPAN = re.compile(r"(\d{1,6})([mhd])", re.ASCII)


class ShareTime(click.ParamType[float]):
    """A time like `2h`, in seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = _SPAN.fullmatch(str(value))
        if found is None:
            self.fail(f"{str(value)[:40]!r} is not a time; write 30m, 2h or 7d", param, ctx)
        seconds = float(found[1]) * SECONDS[found[2]]
        if not SECONDS["m"] <= seconds <= LONGEST_S:
            self.fail(f"{value} is not from 1m to 90d", param, ctx)
        return seconds


@click.command()
@click.argument("cameras", nargs=-1, metavar="CAMERA...")
@click.option("--group", "groups", multiple=True, metavar="GROUP", help="The cameras of this group; repeatable.")
@click.option("--for", "for_s", type=ShareTime(), required=True, help="When it ends: 30m, 2h, 7d; at most 90d.")
@click.option(
    "--viewers", type=click.IntRange(1, 50), default=1, show_default=True, metavar="N",
    help="How many may have it open at the same time.",
)  # fmt: skip
@click.option("--label", default="", metavar="TEXT", help="A name for it, for you.")
@click.option(
    "--page", metavar="URL",
    help="The address at which others reach banken [default: --url, or this machine's, by web.listen].",
)  # fmt: skip
@with_daemon
@UTC_OPTION
@JSON
def add_share(
    daemon: RunningDaemon,
    cameras: Sequence[str],
    groups: Sequence[str],
    for_s: float,
    viewers: int,
    label: str,
    page: str | None,
    as_json: bool,
) -> None:
    """Make a link with which others watch CAMERA, without an account, and print it.

    The link is not shown again, and is alone on stdout. On a terminal it is a QR code, too. Exit 1: the daemon refused;
    exit 2: no daemon answers.
    """
    if not (cameras or groups):
        raise click.UsageError("name the cameras: CAMERA, or --group, which can be repeated")
    if len(label) > MOST_LABEL:
        raise click.UsageError(f"--label has at most {MOST_LABEL} characters")
    address = page or (daemon.where if isinstance(daemon.where, str) else address_in(daemon.config, own_address))
    sent = {
        "cameras": list(cameras), "groups": list(groups), "for_s": for_s, "viewers": viewers, "label": label,
        "page": address,
    }  # fmt: skip
    body = daemon.ask("POST", "shares", 201, "link", sent)
    link = str(body["link"])
    if as_json:
        say_json(body)
    else:
        say(clean(link))
        if sys.stdout.isatty():
            _show_code(link)
    names = described({"everything": False, "cameras": cameras, "groups": groups})
    say(
        f"share {clean(str(body['share']))} made: {names}, until {when(body['until'])}; it is not shown again", err=True
    )


def _show_code(link: str) -> None:
    """The link as a QR code, on a terminal."""
    import segno

    segno.make(link, error="l", micro=False).terminal(sys.stdout, compact=True)


@click.command()
@with_daemon
@UTC_OPTION
@JSON
def list_shares(daemon: RunningDaemon, as_json: bool) -> None:
    """List the links that have not ended, the newest first, without their secrets.

    Exit 1: the daemon refused; exit 2: no daemon answers.
    """
    heads = ("share", "label", "cameras", "until", "watching", "made by")
    print_list(
        daemon.ask("GET", "shares", 200, "shares"), "shares", as_json, heads,
        lambda each: (
            each["share"], each["label"], described(each["scope"]), when(each["until"]),
            f"{each['present']} of {each['viewers']}", each["by"],
        ),
    )  # fmt: skip


@click.command()
@click.argument("share")
@YES
@with_daemon
def remove_share(daemon: RunningDaemon, share: str, yes: bool) -> None:
    """Revoke the link of SHARE; its viewers end within a second.

    It asks first. `banken share list` has the names. Exit 1: the daemon refused; exit 2: no daemon answers.
    """
    confirm(f"Revoke the link of share {share}? It opens nothing any more.", yes)
    daemon.ask("DELETE", f"shares/{quote(share, safe='')}", 204)
    say(f"share {clean(share)} revoked")
