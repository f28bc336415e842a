"""`banken profile`: a table, the format of flame graphs, and refusals."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from supervisor.__main__ import main
from supervisor.cli import profile
from tests.supervisor.cli.test_remote import answering

BODY = {
    "seconds": 10.0, "cpu": 0.25, "cost": 0.002, "samples": 200, "idle": 150, "others": 0,
    "functions": [
        {"file": "trio/_core/_run.py", "name": "unrolled_run", "line": 7},
        {"file": "actors/media/hub.py", "name": "Hub.publish", "line": 90},
        {"file": "<string>", "name": "odd;name\x1b", "line": 1},
    ],
    "stacks": [
        {"functions": [0, 1], "samples": 30}, {"functions": [0], "samples": 15},
        {"functions": [0, 1, 1, 2], "samples": 5},
    ],
}  # fmt: skip


def run(*arguments: str, status: int = 200, body: object = BODY) -> Result:
    with answering(status, body) as url:
        return CliRunner().invoke(main, ["profile", "--url", url, *arguments])


def test_table_has_the_time_of_each_function_and_with_its_calls() -> None:
    """In percent of all samples; a function that is twice in a stack counts once."""
    done = run()
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "200 samples in 10.0 s, 75.0% of them idle; the loop used 25.0% of a core, 0.2% of it to take samples",
        "   self   total  function",
        "  15.0%   17.5%  Hub.publish (actors/media/hub.py:90)",
        "   7.5%   25.0%  unrolled_run (trio/_core/_run.py:7)",
        "   2.5%    2.5%  odd;name\N{REPLACEMENT CHARACTER} (<string>:1)",
    ]  # fmt: skip


def test_collapsed_stacks_are_alone_on_stdout() -> None:
    """One a line, the outermost function first, its samples at the end; a `;` in a name ends no function."""
    done = run("--collapsed")
    assert [line.rpartition(" ")[2] for line in done.stdout.splitlines()] == ["30", "15", "5"]
    assert done.stdout.splitlines()[0] == "unrolled_run (trio/_core/_run.py:7);Hub.publish (actors/media/hub.py:90) 30"
    assert done.stdout.count(";") == 4
    assert "75.0% of them idle" in done.stderr


def test_json_is_the_answer_of_the_daemon() -> None:
    """On one line."""
    assert json.loads(run("--json").stdout) == BODY


def test_table_ends_after_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of rare stacks are named."""
    monkeypatch.setattr(profile, "ROWS", 1)
    body: dict[str, Any] = {**BODY, "others": 3}
    lines = run(body=body).stdout.splitlines()
    assert lines[1] == "samples of further stacks, which are not shown: 3"
    assert len(lines) == 4


@pytest.mark.parametrize("seconds", ["0", "61", "ten"])
def test_wrong_time_is_refused_before_the_daemon_is_asked(seconds: str) -> None:
    """Exit 2."""
    assert CliRunner().invoke(main, ["profile", "--seconds", seconds, "--url", "http://127.0.0.1:1/"]).exit_code == 2


def test_refusal_of_the_daemon_is_printed() -> None:
    """Exit 1. An answer of something else is no profile."""
    done = run(status=409, body={"detail": "another profile runs, for 7 s more; there is one at a time"})
    assert (done.exit_code, done.stderr) == (1, "banken: another profile runs, for 7 s more; there is one at a time\n")
    assert run(status=200, body={"login": "here"}).exit_code == 1
