"""`banken bench fanout|ingest|latency`. What measures is imported when it is asked for."""

import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supervisor.cli.words import say
from supervisor.printable import json_text

if TYPE_CHECKING:
    from .report import Report, Say
    from .servers import Open

Measure = Callable[["Say"], Coroutine[Any, Any, "Report"]]

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
_WRITE = click.option(
    "--write", "folder", type=click.Path(path_type=Path, file_okay=False), help="Put a page into FOLDER, too."
)
_PROGRAM = click.Path(path_type=Path, exists=True, dir_okay=False)
_ALONE = click.option("--alone", is_flag=True, help="Only banken.")
_JANUS = click.option("--janus", type=_PROGRAM, help="Janus's program [default: the installed one].")
_GO2RTC = click.option("--go2rtc", type=_PROGRAM, help="Measure this go2rtc as well.")
_MEDIAMTX = click.option("--mediamtx", type=_PROGRAM, help="Measure this mediamtx as well.")
_COUNT = click.IntRange(1, 1000)
_SECONDS = click.FloatRange(0.1, 600)


@click.command()
@click.option("--viewers", type=_COUNT, default=120, show_default=True)
@click.option("--cameras", type=_COUNT, default=1, show_default=True, help="Viewers take them in turns.")
@click.option("--seconds", type=_SECONDS, default=10.0, show_default=True, help="Of each window.")
@click.option("--rounds", type=_COUNT, default=3, show_default=True, help="The medians count.")
@_ALONE
@_JANUS
@_GO2RTC
@_MEDIAMTX
@click.option("--gro/--no-gro", default=False, show_default=True, help="Receivers take long datagrams in one piece.")
@_JSON
@_WRITE
def fanout(
    viewers: int,
    cameras: int,
    seconds: float,
    rounds: int,
    alone: bool,
    janus: Path | None,
    go2rtc: Path | None,
    mediamtx: Path | None,
    gro: bool,
    as_json: bool,
    folder: Path | None,
) -> None:
    """What it costs to send one stream to many viewers: banken, aiortc alone, Janus, and others you have."""
    from .fanout import measure
    from .servers import open_banken, open_stock

    servers: dict[str, Open] = {"banken": open_banken}
    if not alone:
        servers |= {"aiortc": open_stock, **_peers(janus, go2rtc, mediamtx)}
    _report(
        f"fanout-{viewers}", lambda say: measure(servers, viewers, cameras, seconds, rounds, gro, say), as_json, folder
    )


@click.command()
@click.option("--cameras", type=_COUNT, default=30, show_default=True)
@click.option("--seconds", type=_SECONDS, default=20.0, show_default=True, help="Of each window.")
@_JSON
@_WRITE
def ingest(cameras: int, seconds: float, as_json: bool, folder: Path | None) -> None:
    """What it costs to keep many RTSP cameras: read by banken itself, and by ffmpeg children."""
    from .ingest import measure

    _report("ingest", lambda say: measure(cameras, seconds, say), as_json, folder)


@click.command()
@click.option("--viewers", type=_COUNT, default=100, show_default=True, help="Who watch meanwhile.")
@click.option("--joins", type=_COUNT, default=50, show_default=True, help="Who come one after the other.")
@click.option("--seconds", type=_SECONDS, default=10.0, show_default=True, help="Of the window.")
@_ALONE
@_JANUS
@_GO2RTC
@_MEDIAMTX
@_JSON
@_WRITE
def latency(
    viewers: int,
    joins: int,
    seconds: float,
    alone: bool,
    janus: Path | None,
    go2rtc: Path | None,
    mediamtx: Path | None,
    as_json: bool,
    folder: Path | None,
) -> None:
    """How long a viewer waits for the first picture, and how long each picture is under way from the camera."""
    from .latency import measure
    from .servers import open_banken

    servers: dict[str, Open] = {"banken": open_banken}
    if not alone:
        servers |= _peers(janus, go2rtc, mediamtx)
    _report("latency", lambda say: measure(servers, viewers, joins, seconds, say), as_json, folder)


def _peers(janus: Path | None, go2rtc: Path | None, mediamtx: Path | None) -> dict[str, "Open"]:
    """The other servers there are."""
    from .servers import go2rtc_at, janus_at, mediamtx_at

    servers: dict[str, Open] = {}
    installed = str(janus) if janus else shutil.which("janus")
    if installed:
        servers["Janus"] = janus_at(installed)
    if go2rtc:
        servers["go2rtc"] = go2rtc_at(str(go2rtc))
    if mediamtx:
        servers["mediamtx"] = mediamtx_at(str(mediamtx))
    return servers


def _report(name: str, measure: Measure, as_json: bool, folder: Path | None) -> None:
    """Run it, show what came of it, and write it down."""
    import trio

    from .processes import BenchError

    try:
        report = trio.run(measure, lambda text: say(f"· {text}", err=True))
    except* BenchError as errors:
        raise click.ClickException("; ".join(map(str, _leaves(errors)))) from None
    say(json_text(report.values()) if as_json else report.table())
    if not as_json:
        for note in report.notes:
            say(f"- {note}")
    if folder:
        report.write(folder, name)


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
