"""Rules for the whole tree: its shape, its use of shields and buffers, and that its documents are true."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from quart.routing import QuartRule

import catalogue
import chart
import diagrams
import oddities
import planted
import reference
from actors.media.ffmpeg import _COMPLAINTS
from supervisor.__main__ import COMMANDS
from supervisor.domain import state
from supervisor.domain.values import (
    Fault,
)
from web.app import WebSettings, create_app
from web.sockets import Sockets

ROOT = Path(__file__).parents[1]
PACKAGES = ("supervisor", "actors", "web")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
DOCUMENTS = [path for path in ROOT.rglob("*.md") if not any(part.startswith(".") for part in path.parts)]
CATALOGUE = ROOT / "ops" / "docs" / "events.md"
API = ROOT / "ops" / "docs" / "api.md"
GUIDES = [
    *(ROOT / folder / "README.md" for folder in (".", "ops")),
    *(ROOT / "ops" / "docs" / f"{name}.md" for name in ("architecture", "configuration", "api", "operations")),
    ROOT / "ops" / "docs" / "investigating.md",
]


def nodes(kind: type[ast.AST]) -> Iterator[tuple[Path, ast.AST]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kind):
                yield path, node


def test_no_child_has_the_name_of_a_command() -> None:
    """The purpose of a child process and a command of `banken` are two things, and so have two words."""
    written = {
        ast.unparse(node.args[1]).strip("'")
        for _, node in nodes(ast.Call)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ChildSpec"
    }
    purposes = {getattr(state, name, name) for name in written}
    assert {"inspector", "source", "audio", "decoder"} <= purposes
    assert purposes & set(COMMANDS) == set()


def test_the_top_is_what_was_agreed() -> None:
    """A new file or folder at the top of the tree is a decision, not an accident."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {name.partition("/")[0] for name in tracked.split()}
    assert {name for name in top if not name.startswith(".")} == {
        "pyproject.toml", "supervisor", "actors", "web", "tests", "ops", "README.md", "LICENSE", "CHANGELOG.md",
    }  # fmt: skip


NOT_BESIDE_A_MODULE = {
    "actors/sources/rtsp/test_fallback.py": "the source, its session and its sockets, from one transport to the next",
    "actors/test_causes.py": "causes, from every kind of event back to its root",
    "actors/test_demand.py": "cameras on demand: registry, cameras, peers and patrols together",
    "actors/test_privacy.py": "private cameras: registry, cameras, snapshots and patrols together",
    "web/resources/test_privacy.py": "private cameras, over every route that they change",
    "actors/recorder/test_odd_sources.py": "recorders, from cameras that behave oddly to files that play",
    "actors/test_environment.py": "the environment of a child, from its source to its process",
    "actors/sources/rtsp/test_odd_video.py": "depacketizers of both codecs, over payloads that no standard defines",
    "actors/sources/rtsp/test_foreign.py": "depacketizers of video and AAC, over packets of other clients",
    "actors/sources/rtsp/test_audio_of_ffmpeg.py": "audio, from a real ffmpeg's packets to a tone in Opus",
    "supervisor/domain/test_properties.py": "invariants of all entities, over random commands",
    "supervisor/forensics/incident/test_secrets.py": "a password in everything that the daemon writes or answers",
    "supervisor/forensics/test_states.py": "questions about states: bisect, diff and statistics",
    "supervisor/journal/test_chain.py": "store, guard and recovery after a change of the files",
    "supervisor/journal/test_foreign.py": "every reader, over a journal that somebody else made",
    "supervisor/journal/test_frozen.py": "every reader, over the journals of earlier formats",
    "supervisor/journal/test_mixed.py": "every reader, over the files of several daemons",
    "supervisor/journal/test_power.py": "the whole journal after a power loss",
    "supervisor/journal/test_releases.py": "configuration, journal and bundle of each release",
    "supervisor/journal/test_rot.py": "the whole journal over random bytes",
    "supervisor/journal/test_segments.py": "store, manifest, retention and reader over many segments",
    "supervisor/journal/test_tampering.py": "check, chain and anchors after a change of the files",
    "supervisor/test_journal_commands.py": "all commands that read a journal",
    "supervisor/test_releases.py": "configuration and bundle of each release",
    "supervisor/test_tour.py": "the commands of a document, in their order",
    "web/resources/test_operator.py": "retry of a camera and reload of the configuration",
    "web/resources/test_whep_owner.py": "WHEP with every kind of login",
    "web/resources/test_whep_path.py": "the modules that a WHEP request crosses",
    "web/test_api.py": "all resources that answer JSON",
    "web/test_frames.py": "security headers, checks of other sites, and cookies in a frame or behind a proxy",
    "web/test_linear.py": "every parser of the web server",
}
"""Files of tests that exercise several modules together, and the subject of each."""


def test_tests_mirror_the_tree() -> None:
    """`tests/web/test_client.py` tests `web/client.py`; the files that test several modules are in a table."""
    tests = [
        path.relative_to(ROOT / "tests") for package in PACKAGES for path in (ROOT / "tests" / package).rglob("*.py")
    ]
    assert [str(path) for path in tests if not (ROOT / path.parent).is_dir()] == []
    stray = set()
    for path in tests:
        name = path.stem.removeprefix("test_")
        beside = (f"{name}.py", f"__{name}__.py", name)
        if path.name.startswith("test_") and not any((ROOT / path.parent / each).exists() for each in beside):
            stray.add(path.as_posix())
    assert stray == set(NOT_BESIDE_A_MODULE)


def test_every_test_has_a_docstring() -> None:
    """It says what must hold; a test of a class counts, too."""
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert bare == []


def test_there_is_one_shield_and_it_has_a_deadline() -> None:
    """A shielded scope elsewhere could block a cancellation without end."""
    for path, node in nodes(ast.Attribute):
        if isinstance(node, ast.Attribute) and node.attr == "shield":
            assert path.name == "shield.py", f"{path}:{node.lineno}"
    for path, node in nodes(ast.keyword):
        assert not (isinstance(node, ast.keyword) and node.arg == "shield"), path


def test_carried_cause_is_not_held_across_a_yield() -> None:
    """The caller of a generator would carry the cause, too, and a generator may end in another context."""
    for path, node in nodes(ast.With):
        assert isinstance(node, ast.With)
        if any(ast.unparse(item.context_expr).split("(")[0].endswith(".following") for item in node.items):
            inner = [each for each in ast.walk(node) if isinstance(each, ast.Yield | ast.YieldFrom)]
            assert not inner, f"{path}:{node.lineno}"


MAY_LOOK_UP = {
    "actors/camera/camera.py": "a use, new settings and a free slot are found in the state",
    "actors/camera/snapshots.py": "the loss of a camera is found in the state",
    "actors/media/transcoder.py": "listeners are counted, and have no events",
    "actors/peer_reports.py": "reconciling finds in the state that a peer is closing",
    "actors/process/sweep.py": "an orphan of an earlier run is found at the start of this one",
    "supervisor/ports/decisions.py": "an actor that starts carries nothing; an alert outlives the task that raised it",
    "supervisor/runtime/kernel.py": "a request for a probe wakes whoever waits for it",
    "supervisor/runtime/reconcile.py": "reconciling compares states",
    "supervisor/services/leases.py": "a lease outlives its request",
    "supervisor/services/rooms.py": "a lost connection and an idle room are no events",
}
"""The modules that may look a cause up by stream and type, and why nobody carries it there. None may be added."""


def test_causes_are_looked_up_only_where_none_is_carried() -> None:
    """A look-up in the past finds whatever came last, which is the cause only by luck."""
    found = set()
    for path, node in nodes(ast.Attribute):
        if isinstance(node, ast.Attribute) and node.attr == "latest":
            found.add(path.relative_to(ROOT).as_posix())
    assert found == set(MAY_LOOK_UP)


def test_exception_groups_are_taken_apart_in_one_place() -> None:
    """`except*` may catch one anywhere; only `base/groups.py` looks inside."""
    for path, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        if ast.unparse(node.func) == "isinstance" and "ExceptionGroup" in ast.unparse(node.args[1]):
            assert path.name == "groups.py", f"{path}:{node.lineno}"
    for path, node in nodes(ast.Attribute):
        if isinstance(node, ast.Attribute) and node.attr == "exceptions":
            assert path.name == "groups.py", f"{path}:{node.lineno}"


def test_threads_have_a_limiter_and_a_reason_where_they_are_abandoned() -> None:
    """Only `base/threads.py` starts one. The reason is a text in the call, so that a reader sees it."""
    for path, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        called, words = ast.unparse(node.func), {word.arg: word.value for word in node.keywords}
        if "to_thread." in called:
            assert path.name == "threads.py", f"{path}:{node.lineno}"
        if called.rpartition(".")[2] == "run_in_thread":
            assert "limiter" in words, f"{path}:{node.lineno}"
            reason = words.get("abandon", ast.Constant("it is waited for"))
            assert isinstance(reason, ast.Constant), f"{path}:{node.lineno}"
            assert len(str(reason.value).split()) >= 4, f"{path}:{node.lineno}"


def test_no_class_name_stands_for_two_things() -> None:
    """In `supervisor` and `actors`; a class of `web` may be the schema of one of theirs, with its name."""
    places: dict[str, set[Path]] = {}
    for path, node in nodes(ast.ClassDef):
        if isinstance(node, ast.ClassDef) and not path.is_relative_to(ROOT / "web"):
            places.setdefault(node.name, set()).add(path)
    assert {name: sorted(found) for name, found in places.items() if len(found) > 1} == {}


def test_no_channel_is_unbounded() -> None:
    """A channel or queue without a bound turns a slow consumer into a use of memory without limit."""
    for path in SOURCES:
        assert not re.search(r"open_memory_channel(\[\w+\])?\((math\.)?inf|Queue\(\)", path.read_text()), path


def test_every_answer_has_a_body() -> None:
    """Also an empty one: without it, Quart makes one that needs asyncio's loop, and the request fails in the log."""
    for path, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        if ast.unparse(node.func) == "Response":
            assert node.args or any(word.arg == "response" for word in node.keywords), f"{path}:{node.lineno}"


def test_commands_print_through_one_function() -> None:
    """`say` and its siblings make text safe for terminals; only programs that speak to programs may print."""
    for path, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        if ast.unparse(node.func) in ("click.echo", "click.secho", "logging.basicConfig"):
            assert path.name in ("terminal.py", "output.py"), f"{path}:{node.lineno}"
        if ast.unparse(node.func) == "print":
            assert path.is_relative_to(ROOT / "actors"), f"{path}:{node.lineno}"


def test_actors_catch_nothing_broadly_but_at_their_edge() -> None:
    """`except Exception` would swallow what supervision has to see; `except*` stands at the edge of a `run`."""
    for path, node in nodes(ast.Try):
        assert isinstance(node, ast.Try)
        for handler in node.handlers:
            names = {name.id for name in ast.walk(handler.type or node) if isinstance(name, ast.Name)}
            if path.is_relative_to(ROOT / "actors") and names & {"Exception"}:
                pytest.fail(f"{path}:{handler.lineno}")
            if "BaseException" in names:
                assert any(isinstance(inner, ast.Raise) for inner in ast.walk(handler)), f"{path}:{handler.lineno}"


@pytest.mark.parametrize(
    "name", ["run_child", "run_connection", "run_camera", "run_reconcile", "run_daemon", "run_web"]
)
def test_actors_say_what_cancelling_does(name: str) -> None:
    """The docstring has the sections Cancellation and Cleanup."""
    found = [n for _, n in nodes(ast.AsyncFunctionDef) if isinstance(n, ast.AsyncFunctionDef) and n.name == name]
    texts = [ast.get_docstring(node) or "" for node in found]
    assert any("Cancellation:" in text and "Cleanup:" in text for text in texts)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_in_documents_lead_somewhere(path: Path) -> None:
    """Each relative link in a document names a file that exists; links to the web are not opened."""
    for target in re.findall(r"\]\(([^)#\s]+)\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_row_of_a_table_is_one_line(path: Path) -> None:
    """A row that is broken over two lines ends its table, and the rest is shown as text."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip() for line in text.splitlines()]
    assert [line for line in lines if line.startswith("| ") and not line.endswith("|")] == []
    assert [line for line in lines if line.endswith(" |") and not line.startswith("|")] == []


def test_the_diagrams_are_those_of_the_tables() -> None:
    """The stored page equals the output of `ops/diagrams.py`, so that a changed table changes it."""
    assert diagrams.PAGE.read_text() == diagrams.page(), "run python3 ops/diagrams.py"


def test_table_of_deviations_is_that_of_the_code() -> None:
    """A member that is added to `Oddity`, removed or corrected changes the page."""
    text = oddities.PAGE.read_text()
    assert text == oddities.page(text), "run python3 ops/oddities.py"


def test_tables_of_the_page_are_those_of_the_chart() -> None:
    """A state, a word or a step of the axis that is changed in `supervisor/forensics/chart.py` changes the page."""
    assert chart.PAGE.read_text() == chart.page(), "run python3 ops/chart.py"


def test_the_reference_of_routes_is_that_of_their_tables() -> None:
    """Every route and every field of an answer is in the reference as its table states it."""
    text = reference.PAGE.read_text()
    assert text == reference.page(text), "run python3 ops/reference.py"


def test_every_planted_bug_can_still_be_planted() -> None:
    """A guard that was rewritten takes its bug along; the page lists them all."""
    assert [bug.guard for bug in planted.BUGS if not planted.is_there(bug)] == []
    assert planted.PAGE.read_text() == planted.page(), "run python3 ops/planted.py --list"


def rows_of(document: Path, columns: int, keys: int = 1) -> list[list[str]]:
    """The rows of tables with so many columns whose first `keys` cells are in backticks."""
    lines = [line for line in document.read_text().splitlines() if line.startswith("| `")]
    found = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in found if len(row) == columns and all(re.fullmatch("`[^`]+`", cell) for cell in row[:keys])]


def routes_of_the_app() -> set[tuple[str, str]]:
    """Every method and path, as the reference writes them; HEAD goes with GET, and OPTIONS where it is the route's."""
    found = set()
    for rule in create_app(cast(Any, None), WebSettings(), Sockets()).url_map.iter_rules():
        assert isinstance(rule, QuartRule)
        own = set(rule.methods or ()) - {"HEAD"} - ({"OPTIONS"} if rule.provide_automatic_options else set())
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        found |= {(method, path) for method in ({"WS"} if rule.websocket else own)}
    return found


def test_every_route_is_documented_and_no_other() -> None:
    """The application and its reference have the same methods and paths, each once."""
    rows = [(row[0].strip("`"), row[1].strip("`")) for row in rows_of(API, 6, keys=2)]
    assert len(rows) == len(set(rows)), "a route has two rows"
    assert set(rows) == routes_of_the_app()


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_a_guide_names_are_there(path: Path) -> None:
    """A path in backticks is that of a file or folder of the project."""
    named = re.findall(r"`((?:supervisor|actors|web|tests|ops)/[\w./-]*)", path.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_readme_is_one_screen() -> None:
    """A stranger reads it to the end: at most 95 lines of at most 120 columns."""
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 95
    assert [line for line in lines if len(line) > 120] == []


def section(heading: str) -> str:
    """The text of the catalogue of events from a heading to the next one."""
    return re.split(r"^##+ ", CATALOGUE.read_text().split(f"\n{heading}\n")[1], flags=re.MULTILINE)[0]


def test_reference_of_events_is_that_of_the_declarations() -> None:
    """Its sections of events and values are generated."""
    assert catalogue.page(CATALOGUE.read_text()) == CATALOGUE.read_text(), "run python3 ops/catalogue.py"
    assert catalogue.script() == catalogue.SCRIPT.read_text(), "run python3 ops/catalogue.py"


def test_the_catalogue_has_every_reason_code_with_its_faults_and_no_other() -> None:
    """The code is read as a syntax tree: each `Reason(...)` and each pattern of ffmpeg is in the table."""
    used = {(code, fault) for _, code, fault, _ in _COMPLAINTS}
    for path, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        if not isinstance(node.func, ast.Name) or node.func.id != "Reason":
            continue
        code, *rest = node.args
        assert not node.keywords, f"{path}:{node.lineno}: code, text and fault have their places"
        if not isinstance(code, ast.Constant):
            assert path.name == "ffmpeg.py", f"{path}:{node.lineno}: a code that this test cannot read"
            continue
        fault = ast.unparse(rest[1]) if len(rest) > 1 else "Fault.TEMPORARY"
        both = [Fault.TEMPORARY, Fault.FATAL]
        used |= {(str(code.value), one) for one in ([Fault[fault[6:]]] if fault.startswith("Fault.") else both)}
    rows = re.findall(r"^\| `([\w-]+)` \| [^|]+ \| ([^|]+) \|", section("## Reason codes"), re.MULTILINE)
    assert [code for code, _ in rows] == sorted({code for code, _ in used})
    assert {(code, Fault(fault)) for code, faults in rows for fault in faults.split(", ")} == used
