"""The availability of the cameras, queried in every way: `banken stats`, the report, API, metrics, page.

Rules of this file:
- Each answer is got as its user gets it: printed, rendered, or over HTTP.
- Numbers are compared to the last digit, words to the last letter. The words of the page are left out without Node.
- The report is asked about all of the journal, and about a part of it.
- The sum is compared with its parts and with the visits of patrols, too (`tests/kit/availability.py`).
"""

import html
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from supervisor.__main__ import main
from supervisor.base.times import shown
from supervisor.domain.availability import Availability
from supervisor.domain.events import Recorded
from supervisor.forensics.incident import bundle
from supervisor.forensics.incident.render import ReportScope, describe
from supervisor.forensics.statistics import COLUMNS
from supervisor.journal.check import verify
from supervisor.journal.excerpt import find_stretch
from supervisor.journal.reader import Reader
from supervisor.services.answers import look_back
from supervisor.services.journal_reader import JournalReader
from supervisor.services.past import PastGateway
from tests.kit.availability import odd_cycles, uncounted_visits, unequal_parts
from tests.kit.http import request
from tests.kit.journals import states, write_journal
from tests.kit.troubles import untold
from web.app import WebSettings, create_app
from web.metrics import FIGURES
from web.serve import listen, run_web
from web.sockets import Sockets

US, MS = 1_000, 1_000_000
"""In nanoseconds."""


Figures = dict[str, dict[str, Any]]
"""The figures of each camera by its name, as in JSON."""
FIGURES_OF = Path(__file__).with_name("figures.mjs")


def of_page(figures: Figures) -> dict[str, str] | None:
    """The texts of the page for each camera; None without Node."""
    node = shutil.which("node")
    if node is None:
        return None
    done = subprocess.run([node, FIGURES_OF], input=msgspec.json.encode(figures), capture_output=True, check=True)
    return msgspec.json.decode(done.stdout, type=dict[str, str])


def disagreement(
    rows: Sequence[Recorded], kept: Availability | None = None, exposed: str | None = None,
    page: Callable[[Figures], dict[str, str] | None] = of_page,
) -> str | None:  # fmt: skip
    """Return two answers about the journal of `rows` that differ; none if all are equal. Not in a trio run.

    `kept` is the sum that a daemon has maintained until its end, and `exposed` its metrics at the end. `page` returns
    the texts of the page.
    """
    known = states(rows)
    cuts = range(1, len(rows), len(rows) // 8 + 1)
    if odd := uncounted_visits(rows, known) or odd_cycles(rows, known) or unequal_parts(rows, known, cuts):
        return odd
    with tempfile.TemporaryDirectory() as scratch:
        journal = write_journal(Path(scratch) / "journal", rows, batch=500)
        if damages := verify(journal).damages:
            return f"verify: {damages[0]}"
        stats = {one["camera"]: one for one in msgspec.json.decode(banken("stats", journal, "--json"))["cameras"]}
        served, replayed = trio.run(_ask, journal)
        answers: dict[str, dict[str, Any]] = {"the API": {one["camera"]: one for one in served["cameras"]}}
        if kept is not None:
            answers["the daemon"] = {one.camera: msgspec.to_builtins(one) for one in kept.cameras}
        for who, found in answers.items():
            if found != stats:
                return f"stats: {stats}\n{who}: {found}"
        for text in (replayed,) if exposed is None else (replayed, exposed):
            measured = of_metrics(text)
            wanted = {name: {field: stats[name][field] for _, _, field in FIGURES} for name in measured}
            if not measured or measured != wanted:
                return f"stats: {wanted}\n/metrics: {measured}"
        said, printed = page(stats), of_table(banken("stats", journal))
        words = {name: in_sentence(cells) for name, cells in printed.items()}
        if said is not None and said != words:
            return f"stats: {words}\nthe page: {said}"
        begin_ns, end_ns = rows[0].wall_ns, rows[-1].wall_ns
        thirds = [(begin_ns + (end_ns - begin_ns) * number // 3) // MS * MS for number in (1, 2)]
        return _of_the_report(journal, begin_ns, end_ns) or _of_the_report(journal, *thirds)


def _of_the_report(journal: Path, since_ns: int, until_ns: int) -> str | None:
    """Return differences between the report of a period and `banken stats`, and between its summary and its table."""
    times = [shown(ns, None, "microseconds") for ns in (since_ns, until_ns)]
    # `--from` is the beginning of a microsecond, and `--to` the end of one.
    since_ns, until_ns = since_ns // US * US, until_ns // US * US + US - 1
    printed = of_table(banken("stats", journal, "--from", times[0], "--to", times[1]))
    reader = Reader(journal)
    try:
        stretch = find_stretch(reader, since_ns, until_ns)
        if stretch is None:
            return None  # the clock jumped, and this period has no event
        about = ReportScope(since_ns, until_ns, stretch.asked_first, stretch.asked_last, None, "")
        rendered = describe(reader, about)
        reported = of_report(rendered.files[bundle.REPORT].decode())
        if not printed or printed != reported:
            return f"stats: {printed}\nthe report: {reported}"
        return untold(rendered.summary.troubles, rendered.summary.availability)
    finally:
        reader.close()


def banken(*arguments: str | Path) -> str:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def of_table(printed: str) -> dict[str, list[str]]:
    """Return the texts of each camera as `banken stats` prints them, remarks last."""
    _, head, *lines = printed.splitlines()
    columns = len(re.split(r"\s{2,}", head))
    rows = [[*re.split(r"\s{2,}", line), ""][: columns + 1] for line in lines]
    return {row[0]: row[1:] for row in rows}


def in_sentence(cells: Sequence[str]) -> str:
    """Return the expected sentence of the page, from the columns of `banken stats`."""
    words = dict(zip(COLUMNS, cells, strict=False))
    said = [] if words["wanted"] == "-" else [f"live {words['live']} of {words['wanted']}"]
    for column, what in (("cycles", "patrol cycles"), ("snapshots", "snapshots")):
        served, _, count = words[column].partition("/")
        said += [f"{served} of {count} {what}"] if count else []
    return ", ".join(said + ([] if words["losses"] == "0" else [f"losses: {words['losses']}"]))


def of_report(report: str) -> dict[str, list[str]]:
    """Return the texts of each camera as in a report."""
    table = report.partition("<h2>Availability")[2].partition("<tbody>")[2].partition("</tbody>")[0]
    found = re.findall(r"<tr><th scope=row>(.*?)</th><td>.*?</td>(.*?)</tr>", table)
    return {name: [html.unescape(cell) for cell in re.findall("<td.*?>(.*?)</td>", cells)] for name, cells in found}


def of_metrics(text: str) -> dict[str, dict[str, float]]:
    """Return the figures of each camera as Prometheus parses them."""
    fields = {f"{metric}_total": field for metric, _, field in FIGURES}
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in fields:
                found.setdefault(sample.labels["camera"], {})[fields[sample.name]] = sample.value
    return found


async def _ask(journal: Path) -> tuple[Any, str]:
    """Return the answers of `banken replay`: the API in JSON, and `/metrics`."""
    whole, reader, sockets, stop = Reader(journal), JournalReader(journal), Sockets(), trio.Event()
    app = create_app(PastGateway(reader, look_back(whole)), WebSettings(), sockets)
    listener = listen("127.0.0.1", 0)
    port = int(listener.getsockname()[1])
    whole.close()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_web, app, sockets, listener, stop))
        served = (await request(port, "GET", "/api/availability", within=60)).json
        replayed = (await request(port, "GET", "/metrics", within=60)).text
        stop.set()
    reader.close()
    return served, replayed
