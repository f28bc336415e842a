"""The section `daemons`."""

import pytest

from supervisor.config.config import Config, Daemon
from supervisor.config.load import parse
from supervisor.config.problem_text import ConfigError

CAMERAS = "cameras: {gate: 'rtsp://192.0.2.1/'}\n"


def read(text: str, **environ: str) -> Config:
    return parse(CAMERAS + text, "banken.yaml", environ, {"rtsp": lambda source: None})


def complaints(text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read(text, **environ)
    return error.value.complaints


def test_daemon_has_a_command_shared_memory_and_variables() -> None:
    """Values from the environment are secrets."""
    text = (
        "daemons: {switcher: {command: [/opt/switcher, --day], provides: /stream, env: {TOKEN: '${TOKEN}', DAY: yes}}}"
    )
    daemon = read(text, TOKEN="a-secret-value").daemons["switcher"]
    assert daemon == Daemon(
        "switcher",
        ("/opt/switcher", "--day"),
        "/stream",
        {"TOKEN": "a-secret-value", "DAY": "yes"},
        ("a-secret-value",),
    )
    assert "a-secret-value" not in repr(daemon)
    assert read("").daemons == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{switcher: {provides: /x}}", "needs `command`"),
        ("{switcher: {command: []}}", "needs `command`"),
        ("{switcher: /opt/switcher}", "must be a mapping"),
        ("{Switcher: {command: [x]}}", "daemon name 'Switcher' must be of a-z"),
        ("{switcher: {command: [x], provides: x}}", "provides of daemon 'switcher' must be one slash and a name"),
        ("{switcher: {command: [x], provides: /a/b}}", "must be one slash and a name"),
        ("{switcher: {command: [x], provides: /..}}", "must be one slash and a name"),
        ("{one: {command: [x], provides: /x}, two: {command: [x], provides: /x}}", "that 'one' provides"),
        ("{switcher: {command: [x, --token, '${TOKEN}']}}", "can be read by every user"),
        ("{switcher: {command: [x], env: {BANKEN_URL: x}}}", "our own names"),
        ("{switcher: {command: [x], fps: 3}}", "unknown key 'fps' in daemon 'switcher'"),
        (f"{{{', '.join(f'd{n}: {{command: [x]}}' for n in range(33))}}}", "at most 32"),
    ],
)
def test_wrong_daemon_is_a_problem_of_its_line(text: str, problem: str) -> None:
    """Nothing is started then, and no secret is shown."""
    found = complaints(f"daemons: {text}", TOKEN="a-secret-value")
    assert any(problem in each for each in found), found
    assert all(each.startswith("banken.yaml:2: ") for each in found)
    assert "a-secret-value" not in "".join(found)
