"""The environment of children: the variables that they need, those that their source lists, the mark, nothing else."""

import json
import sys
from collections.abc import Mapping

import attrs
import pytest
import trio

from actors.process.child import ChildSpec, run_child
from actors.process.process import INHERITED, MARK, environment_of
from supervisor.domain.values import Reason
from tests.actors.process.test_child import explain, tools
from tests.kit.core import open_core
from tests.kit.domain import GATE

SAYS = (
    "import json, os; "
    "own = open('/proc/self/environ', 'rb').read().decode().split(chr(0)); "
    "above = open(f'/proc/{os.getppid()}/environ', 'rb').read().decode().split(chr(0)); "
    "print(json.dumps([own, above]))"
)
"""Prints its environment and that of its parent process, as in /proc: a guardian's, if any."""
SECRETS = {"FRONT_PASSWORD": "geheim", "LD_PRELOAD_X": "x", "PYTHONPATH_X": "x", "https_proxy": "http://u:pw@192.0.2.1"}


async def environ_of_child(env: Mapping[str, str], guarded: bool) -> list[set[str]]:
    """Return the environment of a child, and of its guardian."""
    said = bytearray()

    async def consume(stream: trio.abc.ReceiveStream) -> Reason | None:
        async for chunk in stream:
            said.extend(chunk)
        return None

    spec = ChildSpec(GATE, "source", (sys.executable, "-I", "-S", "-c", SAYS), env=env, may_fork=guarded)
    async with open_core() as core:
        await run_child(spec, consume, explain, tools(core))
    own, above = json.loads(said)
    return [set(filter(None, own)), *([set(filter(None, above))] if guarded else [])]


@pytest.mark.parametrize("guarded", [False, True])
async def test_child_and_guardian_have_only_what_is_handed_on(monkeypatch: pytest.MonkeyPatch, guarded: bool) -> None:
    """PATH, HOME, LANG, TZ, the mark and `env` are passed on, but no password, loader or proxy of the daemon."""
    for name, value in {**SECRETS, "LANG": "C.UTF-8", "TZ": "UTC", "HOME": "/nowhere"}.items():
        monkeypatch.setenv(name, value)
    for found in await environ_of_child({"LICENCE": "mine", "TZ": "Asia/Tokyo"}, guarded):
        values = dict(entry.split("=", 1) for entry in found)
        assert set(values) - {"LC_CTYPE", "PWD", "OLDPWD", "SHLVL", "_"} == {*INHERITED, MARK, "LICENCE"}
        assert (values["LANG"], values["TZ"], values["LICENCE"]) == ("C.UTF-8", "Asia/Tokyo", "mine")


@pytest.mark.parametrize("guarded", [False, True])
async def test_path_listed_by_a_source_does_not_keep_its_child_from_starting(guarded: bool) -> None:
    """The programs above the child are found by the daemon's PATH."""
    (own, *_) = await environ_of_child({"PATH": "/nowhere"}, guarded)
    assert "PATH=/nowhere" in own


def test_mark_is_not_overridden_and_missing_names_stay_missing() -> None:
    """A variable that the daemon does not have is not invented."""
    assert environment_of("m", {MARK: "x"}, {"PATH": "/bin", "SECRET": "x"}) == {"PATH": "/bin", MARK: "m"}


def test_environment_of_a_child_is_hidden_when_its_spec_is_shown() -> None:
    """The environment may hold secrets."""
    assert "geheim" not in repr(ChildSpec(GATE, "source", ("x",), env={"A": "geheim"}))
    assert attrs.fields(ChildSpec).env.repr is False
