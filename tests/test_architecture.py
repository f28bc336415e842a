"""What holds for the whole tree: its shape, its promises about shields and buffers, and that its documents are true."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, get_args, get_origin, get_type_hints

import pytest

import diagrams
import planted
from actors.ffmpeg import _COMPLAINTS
from supervisor.domain.describe import _SENTENCES, Severity
from supervisor.domain.events import EVENTS, Event
from supervisor.domain.values import (
    CameraSettings,
    DeviceSettings,
    Fault,
    Limits,
    Patrol,
    Picture,
    Policy,
    Reason,
    RefusedClient,
    SourceSummary,
)

ROOT = Path(__file__).parents[1]
PACKAGES = ("supervisor", "actors", "web")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
DOCUMENTS = [path for path in ROOT.rglob("*.md") if not any(part.startswith(".") for part in path.parts)]
CATALOGUE = ROOT / "ops" / "docs" / "events.md"
VALUES = (Reason, CameraSettings, SourceSummary, DeviceSettings, Limits, RefusedClient, Patrol, Policy, Picture)


def nodes(kind: type[ast.AST]) -> Iterator[tuple[Path, ast.AST]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kind):
                yield path, node


def test_the_top_is_what_was_agreed() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {name.partition("/")[0] for name in tracked.split()}
    assert {name for name in top if not name.startswith(".")} == {
        "pyproject.toml", "supervisor", "actors", "web", "tests", "ops", "README.md", "LICENSE", "CHANGELOG.md",
    }  # fmt: skip


def test_there_is_one_shield_and_it_has_a_deadline() -> None:
    for path, node in nodes(ast.Attribute):
        if isinstance(node, ast.Attribute) and node.attr == "shield":
            assert path.name == "shield.py", f"{path}:{node.lineno}"
    for path, node in nodes(ast.keyword):
        assert not (isinstance(node, ast.keyword) and node.arg == "shield"), path


def test_no_channel_is_unbounded() -> None:
    for path in SOURCES:
        assert not re.search(r"open_memory_channel(\[\w+\])?\((math\.)?inf|Queue\(\)", path.read_text()), path


def test_commands_print_through_one_function() -> None:
    """`say` and its siblings make text safe for terminals; only programs that speak to programs may print."""
    for path, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        if ast.unparse(node.func) in ("click.echo", "click.secho", "logging.basicConfig"):
            assert path.name in ("words.py", "output.py"), f"{path}:{node.lineno}"
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
    found = [n for _, n in nodes(ast.AsyncFunctionDef) if isinstance(n, ast.AsyncFunctionDef) and n.name == name]
    texts = [ast.get_docstring(node) or "" for node in found]
    assert any("Cancellation:" in text and "Cleanup:" in text for text in texts)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_in_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_the_diagrams_are_those_of_the_tables() -> None:
    assert diagrams.PAGE.read_text() == diagrams.page(), "run .venv/bin/python ops/diagrams.py"


def test_every_planted_bug_can_still_be_planted() -> None:
    """A guard that was rewritten takes its bug along; the page lists them all."""
    assert [bug.guard for bug in planted.BUGS if not planted.is_there(bug)] == []
    assert planted.PAGE.read_text() == planted.page(), "run .venv/bin/python ops/planted.py --list"


def test_every_setting_and_route_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    routes = set(
        re.findall(
            r'"(/(?:api/\w+|healthz|readyz|metrics|ws/\w+|whep|cameras/<camera>/[\w.]+))',
            "".join(p.read_text() for p in SOURCES if "web" in p.parts),
        )
    )
    assert routes
    assert [route for route in routes if route.replace("<camera>", "{id}") not in readme] == []
    settings = ["listen", "path", "peers", "peers_per_camera", "peers_per_client", "disconnected_after", "linger"]
    settings += ["leases", "leases_per_client", "idle", "ttl", "modal"]
    settings += ["token", "labels", "score", "quiet", "shown", "motion"]
    for setting in [*settings, "device", "mode", "group", "via", "max_connections", "every", "patience"]:
        assert f"{setting}:" in readme


def spelled(hint: object) -> str:
    """A type as the catalogue spells it: without modules, the same in every release of Python."""
    text = re.sub(r"\b(?:[A-Za-z_]\w*\.)+", "", repr(hint) if get_args(hint) else getattr(hint, "__name__", repr(hint)))
    return re.sub(r"Optional\[(.*)\]", r"\1 | None", text)


def fields_of(kind: type) -> list[tuple[str, ...]]:
    """Names and types of a value's fields, those of its bases first."""
    return [(name, spelled(hint)) for name, hint in get_type_hints(kind).items() if get_origin(hint) is not ClassVar]


def cells(text: str, columns: int) -> list[tuple[str, ...]]:
    """The first `columns` cells of each row of a table of which all of these stand in backticks."""
    row = re.compile(r"^\|" + r" `([^`]*)` \|" * columns, re.MULTILINE)
    return [tuple(cell.replace(r"\|", "|") for cell in found.groups()) for found in row.finditer(text)]


def section(heading: str) -> str:
    """What stands in the catalogue of events from a heading to the next one."""
    return re.split(r"^##+ ", CATALOGUE.read_text().split(f"\n{heading}\n")[1], flags=re.MULTILINE)[0]


def test_the_catalogue_has_every_event_once_and_no_other() -> None:
    headings = re.findall(r"^### (.+)$", CATALOGUE.read_text(), re.MULTILINE)
    assert headings == [kind.__name__ for kind in EVENTS]


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_the_catalogue_has_every_field_of_an_event_and_no_other(kind: type[Event]) -> None:
    text = section(f"### {kind.__name__}")
    severity, _ = _SENTENCES[kind]
    assert cells(text, 2) == fields_of(kind)
    for point in ("**who**: ", "**when**: ", "**cause**: ", f"**level**: {severity.value}; **stream**: `"):
        assert f"\n- {point}" in text
    assert ("\n- **to do**: " in text) == (severity in (Severity.WARNING, Severity.ERROR))


def test_the_catalogue_has_every_field_of_the_values_in_bodies() -> None:
    found = [(kind.__name__, *field) for kind in VALUES for field in fields_of(kind)]
    assert cells(section("## Values in bodies"), 3) == found


def test_the_catalogue_has_every_reason_code_with_its_faults_and_no_other() -> None:
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
        used |= {(code.value, one) for one in ([Fault[fault[6:]]] if fault.startswith("Fault.") else both)}
    rows = re.findall(r"^\| `([\w-]+)` \| [^|]+ \| ([^|]+) \|", section("## Reason codes"), re.MULTILINE)
    assert [code for code, _ in rows] == sorted({code for code, _ in used})
    assert {(code, Fault(fault)) for code, faults in rows for fault in faults.split(", ")} == used
