"""`banken record`: starts, stops and shows recordings of a daemon that runs."""

from pathlib import Path
from urllib.parse import quote

import click

from ..domain.words import plural, size
from .daemon_address import owner, place_of
from .journal_argument import JSON
from .remote import Body, ask, detail, refuse, unknown
from .terminal import clean, say, say_json


@click.command()
@click.argument("camera")
@click.option(
    "--for", "lasts", metavar="TIME", help="How long, like 10m or 2h. Without it, until `banken record stop`."
)
@owner
@JSON
def start(camera: str, lasts: str | None, url: str | None, state: Path | None, config: Path, as_json: bool) -> None:
    """Have the daemon record CAMERA from now on, or for longer than it was asked to.

    CAMERA has `record: demand` or `record: events` in the configuration. Exit 1: the daemon refused; exit 2: no daemon
    answers.
    """
    body = {"camera": camera} | ({} if lasts is None else {"for": lasts})
    _tell(_ask(place_of(url, state, config), "POST", "api/recordings", config, body), as_json)


@click.command()
@click.argument("camera")
@owner
@JSON
def stop(camera: str, url: str | None, state: Path | None, config: Path, as_json: bool) -> None:
    """End the recording of CAMERA that a person started.

    Exit 1: the daemon refused, for instance because CAMERA is always recorded; exit 2: no daemon answers.
    """
    path = f"api/recordings/{quote(camera, safe='')}"
    _tell(_ask(place_of(url, state, config), "DELETE", path, config), as_json)


@click.command()
@owner
@JSON
def status(url: str | None, state: Path | None, config: Path, as_json: bool) -> None:
    """Print which cameras are recorded, and how long the room lasts. Exit 2: no daemon answers."""
    where = place_of(url, state, config)
    body = _ask(where, "GET", "api/recordings", config)
    if as_json:
        say_json(body)
        return
    found = body["recordings"]
    for each in found if isinstance(found, list) else ():
        say(_line(each))
    _, body = ask(where, "GET", "api/archives", config)
    rooms = body.get("archives")
    for each in rooms if isinstance(rooms, list) else ():
        say(_room(each))


def _ask(where: str | Path, method: str, path: str, config: Path, sent: Body | None = None) -> Body:
    status, body = ask(where, method, path, config, sent)
    if status != 200 or not ("camera" in body or "recordings" in body):
        refuse(detail(body) or unknown(where, status))
    return body


def _tell(body: Body, as_json: bool) -> None:
    if as_json:
        say_json(body)
    else:
        say(_line(body))


def _room(each: Body) -> str:
    """The room of an archive in one line."""
    text = f"archive {each.get('archive')}: {size(each.get('bytes', 0))} of {size(each.get('budget_bytes', 0))}"
    if (left := each.get("days_left")) is not None:
        text += f", full in {plural(left, 'day')}"
    elif (kept := each.get("turns_over_days")) is not None:
        text += f", keeps {plural(kept, 'day')}"
    return clean("; ".join(filter(None, (text, each.get("warning")))))


def _line(each: Body) -> str:
    """A camera's recording in one line."""
    words = [f"{each.get('camera')}: {each.get('state')} (record: {each.get('mode')})"]
    if each.get("since"):
        words.append(f"since {each['since']}")
    if each.get("requested"):
        words.append("requested" + (f" until {each['until']}" if each.get("until") else ""))
    reason = each.get("reason")
    if isinstance(reason, dict):
        words.append(str(reason.get("text", "")))
    return clean(", ".join(words))
