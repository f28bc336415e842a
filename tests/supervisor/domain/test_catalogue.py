"""The declarations of events: each is complete and true, and a new one costs one file."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

import catalogue as reference
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.catalogue import ARMS, DECISIONS, EVENTS
from supervisor.domain.core import ANY, OUTSIDE, Severity
from supervisor.domain.words import seconds

ROOT = Path(__file__).parents[3]
TOPS = ("supervisor", "actors", "web")
TOY_EVENT = '''

class RingBell(Command, frozen=True):
    room: RoomId

    sender = "test"


class BellRung(RoomEvent, frozen=True):
    """Somebody rang the bell of a room."""

    severity = Severity.WARNING
    emitters = ("RingBell",)
    when = "at once"
    action = "open the door"

    def sentence(self) -> str:
        return f"the bell of {self.room} rings"


def ring_bell(state: State, command: RingBell, now_ns: int) -> Events:
    return (BellRung(command.room),)


DECISIONS = {**DECISIONS, RingBell: ring_bell}
ARMS = {**ARMS, BellRung: lambda s, v, at: {}}
'''
"""A command, its decision, its event and its effect, as they are added to the file of an entity."""
IMPORTS = """from .common import Events
from .core import Command, Event, Severity
from .ids import RoomId
from .room import RoomEvent
from .state import State
"""
SENDERS = {
    "camera actor": ["actors/camera/camera.py"],
    "shares service": ["supervisor/services/shares.py"],
    "audit traces service": ["supervisor/domain/traces.py"],
    "accounts service": ["supervisor/services/accounts.py", "supervisor/services/attempts.py"],
    "passkeys service": ["supervisor/services/passkeys.py"],
    "identities service": ["supervisor/services/identities.py"],
    "child actor": ["actors/process/child.py"],
    "daemon": [
        "supervisor/compose/daemon.py",
        "supervisor/compose/probe.py",
        "supervisor/services/reload.py",
        "supervisor/services/journal_reports.py",
    ],
    "detectors": ["actors/detectors/work.py"],
    "gateway": ["supervisor/services/gateway.py", "supervisor/services/leases.py", "web/resources/"],
    "journal writer": ["supervisor/services/journal_reports.py"],
    "leases service": ["supervisor/services/leases.py"],
    "motion detector": ["actors/camera/motion.py"],
    "patrol": ["actors/camera/patrol.py", "actors/camera/snapshots.py"],
    "peer actor": ["actors/webrtc/peer.py", "actors/rtsp_server/actor.py", "actors/peer_reports.py"],
    "recording requests service": ["supervisor/services/recording_requests.py"],
    "pins service": ["supervisor/services/pins.py"],
    "recorder": ["actors/recorder/recorder.py", "actors/recorder/reports.py"],
    "refusals service": ["supervisor/domain/allowance.py"],
    "rooms service": ["supervisor/services/rooms.py"],
    "RTSP server": ["actors/rtsp_server/connection.py"],
    "schedules service": ["supervisor/services/schedules.py"],
    "snapshots": ["actors/camera/snapshots.py"],
    "HLS": ("actors/hls/",),
    "supervision of the camera actor": ["supervisor/runtime/reconcile.py"],
    "sweep": ["actors/process/sweep.py"],
    "see [alerts](#alerts)": ["actors/", "supervisor/"],
}
"""The files of each sender of commands."""
TRY = """
import json
import catalogue, web.resources.events
from supervisor.domain import catalogue as domain, commands as c, events as e
from supervisor.domain.decide import decide
from supervisor.domain.describe import describe
from supervisor.domain.state import State
from supervisor.journal import codec
made, = decide(State(), c.RingBell("hall"), 0)
row = e.Recorded(1, 1, 1, "n", "r", made.stream, 1, made, None, "x", "system")
print(json.dumps({
    "listed": e.BellRung in domain.EVENTS, "described": describe(made), "trouble": "BellRung" in domain.TROUBLES,
    "read": codec.decode(codec.encode(row)) == row, "api": "BellRung" in web.resources.events.EVENT_TYPES,
    "documented": "### BellRung" in catalogue.page(catalogue.PAGE.read_text()),
    "page": "  BellRung: { entity: " in catalogue.script(),
}))
"""


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_declaration_of_an_event_is_complete(kind: type[e.Event]) -> None:
    """It has a description of itself and of each field, an emitter, and an action if it is a warning or an error."""
    assert kind.__doc__
    assert kind.emitters
    assert kind.when
    assert bool(kind.action) == (kind.severity in (Severity.WARNING, Severity.ERROR))
    assert [name for name, _, _, meaning in reference.fields_of(kind) if not meaning] == []
    assert set(kind.causes) <= {each.__name__ for each in EVENTS} | {OUTSIDE, ANY}
    assert kind.causes or "StartRun" in kind.emitters
    assert "sentence" in vars(kind)
    assert kind.version == 1 + bool(kind.renames)
    assert set(kind.renames.values()) <= set(kind.__struct_fields__)


def test_emitters_are_the_commands_whose_decisions_reach_the_event() -> None:
    """Nothing is declared that cannot be emitted, and nothing is emitted that is not declared."""
    emitted: dict[str, set[str]] = {kind.__name__: set() for kind in EVENTS}
    for command, decision in DECISIONS.items():
        for kind in events_of(decision):
            emitted[kind.__name__].add(command.__name__)
    assert emitted == {kind.__name__: set(kind.emitters) for kind in EVENTS}


def test_every_event_is_named_by_a_test() -> None:
    """Some other test speaks of it."""
    others = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    words = set(re.findall(r"\w+", " ".join(path.read_text() for path in others)))
    assert {kind.__name__ for kind in EVENTS} - words == set()


def test_every_event_has_an_effect_on_the_state_or_states_that_it_has_none() -> None:
    """The table of effects covers all events and nothing else."""
    assert set(ARMS) == set(EVENTS)


def test_every_command_is_decided() -> None:
    """The table of decisions covers all commands and nothing else."""
    assert set(DECISIONS) == set(c.Command.__subclasses__())


def test_senders_of_a_command_are_those_that_send_it() -> None:
    """A file of each sender names the command, and no other file makes one. The sender is a text in the reference."""
    files = {path.relative_to(ROOT).as_posix(): path.read_text() for top in TOPS for path in (ROOT / top).rglob("*.py")}
    for command in DECISIONS:
        own, name = f"{command.__module__.replace('.', '/')}.py", command.__name__
        naming = [path for path, text in files.items() if re.search(rf"\b{name}\b", text) and path != own]
        making = [path for path in naming if f"{name}(" in files[path]]
        places = [tuple(SENDERS[sender]) for sender in command.sender.split(", ")]
        silent = [each for each in places if not any(path.startswith(each) for path in naming)]
        assert silent == [], f"{name} is named in none of these files of its sender"
        others = [path for path in making if not any(path.startswith(each) for each in places)]
        assert others == [], f"{name} is sent there, and its sender does not say so"


@pytest.mark.parametrize("entity", ["room", "bell"])
def test_new_event_costs_one_file_and_at_most_one_line(tmp_path: Path, entity: str) -> None:
    """An event in the file of an entity, or in a new one that the table names, is in each list, page and filter."""
    for name in ("supervisor", "web", "actors", "ops"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    domain = tmp_path / "supervisor" / "domain"
    path, table = domain / f"{entity}.py", domain / "entities.py"
    if path.exists():
        path.write_text(path.read_text() + TOY_EVENT)
    else:
        path.write_text(IMPORTS + TOY_EVENT.replace("{**DECISIONS, ", "{").replace("{**ARMS, ", "{"))
        path.write_text(f'"""Bells: a toy."""\n\n{path.read_text()}')
        table.write_text(f"{table.read_text()}from .{entity} import *\n")
    program = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(tmp_path / 'ops')!r}]\n{TRY}"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "listed": True, "described": ["warning", "the bell of hall rings"], "trouble": True, "read": True,
        "api": True, "documented": True, "page": True,
    }  # fmt: skip


@pytest.mark.parametrize(("value", "said"), [(0.31, "0.3 s"), (12, "12 s"), (300, "5 min"), (7800, "2 h 10 min")])
def test_durations_are_written_as_people_write_them(value: float, said: str) -> None:
    """The unit follows the length."""
    assert seconds(value) == said


def events_of(decision: Any) -> set[type[e.Event]]:
    """The events that a function of the domain may make, itself or through others that it names."""
    found, seen, left = set(), set(), [decision]
    while left:
        one = left.pop()
        if isinstance(one, type) and issubclass(one, e.Event):
            found.add(one)
        elif isinstance(one, FunctionType) and one not in seen and one.__module__.startswith("supervisor.domain"):
            seen.add(one)
            left += [value for name in names_of(one.__code__) for value in named(one, name)]
    return found


def named(function: FunctionType, name: str) -> Iterator[object]:
    """The values of a name in `function`: a global, or an attribute of a module that is a global."""
    yield function.__globals__.get(name)
    for other in names_of(function.__code__):
        module = function.__globals__.get(other)
        if isinstance(module, ModuleType):
            yield getattr(module, name, None)


def names_of(code: CodeType) -> set[str]:
    """The names in a function and in those that are defined within it."""
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    return set(code.co_names).union(*map(names_of, inner))
