"""Share links from the command line."""

import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from tests.kit.daemon import ROOT

from .test_access import open_fake

LINK = "https://cams.example/s#SECRET"
SCOPE = {"everything": False, "cameras": ["gate"], "groups": []}
TIMES = {"since": "2027-01-31T03:10:00+00:00", "until": "2027-01-31T05:10:00+00:00"}
MADE = {"share": "0123456789abcdef", "secret": "SECRET", "link": LINK, "qr": "<svg/>", "until": TIMES["until"]}
SHARE = {"share": "0123456789abcdef", "label": "the plumber", "scope": SCOPE, "viewers": 3, "present": 1, **TIMES}
LISTED = {"shares": [SHARE | {"by": "local", "own": True}]}
MORE = ["--group", "yard", "--viewers", "3", "--label", "the plumber"]


@pytest.mark.parametrize(
    ("span", "seconds", "more"),
    [("30m", 1800, []), ("2h", 7200, MORE), ("7d", 604_800, ["--page", "https://c.example/"])],
)
def test_link_is_alone_on_stdout(span: str, seconds: float, more: list[str]) -> None:
    """The request has the options, and by default the address of the daemon."""
    with open_fake({"POST /api/shares": (201, MADE)}) as fake:
        done = fake.run("share", "add", "gate", "--for", span, *more, "--utc")
        assert (done.exit_code, done.stdout) == (0, f"{LINK}\n")
        assert "share 0123456789abcdef made: gate" in done.stderr
        ((_, sent),) = fake.asked
        wish: dict[str, Any] = {"groups": [], "viewers": 1, "label": "", "page": fake.url}
        if more is MORE:
            wish |= {"groups": ["yard"], "viewers": 3, "label": "the plumber"}
        elif more:
            wish["page"] = more[1]
        assert sent == {"cameras": ["gate"], "for_s": seconds, **wish}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["gate"], "--for"),
        (["--for", "2h"], "name the cameras"),
        (["gate", "--for", "2 hours"], "is not a time"),
        (["gate", "--for", "-1h"], "is not a time"),
        (["gate", "--for", "0m"], "0m is not from 1m to 90d"),
        (["gate", "--for", "91d"], "91d is not from 1m to 90d"),
        (["gate", "--for", "2h", "--label", "x" * 101], "at most 100 characters"),
        (["gate", "--for", "2h", "--viewers", "0"], "--viewers"),
        (["gate", "--for", "2h", "--viewers", "51"], "--viewers"),
    ],
)
def test_wrong_option_sends_nothing(options: list[str], said: str) -> None:
    """Exit 2, and the reason."""
    with open_fake({}) as fake:
        done = fake.run("share", "add", *options)
        assert (done.exit_code, said in done.stderr, fake.asked) == (2, True, [])


def test_link_on_a_terminal_is_a_qr_code_too() -> None:
    """For a telephone in front of the screen."""
    terminal, inner = pty.openpty()
    with open_fake({"POST /api/shares": (201, MADE)}) as fake, open(terminal, "rb", 0) as shown:
        command = [sys.executable, "-m", "supervisor", "share", "add", "gate", "--for", "2h", "--url", fake.url]
        with subprocess.Popen(command, cwd=ROOT, stdout=inner, stderr=subprocess.DEVNULL, stdin=inner) as process:
            os.close(inner)
            seen = b""
            try:
                while more := shown.read(4096):
                    seen += more
            except OSError:
                pass  # the end of a terminal
            assert process.wait(60) == 0
    text = seen.decode()
    assert text.startswith(LINK)
    assert text.count("█") > 100


def test_links_are_listed_and_revoked() -> None:
    """As a table, or as the answer of the API; revoking asks first."""
    answers = {"GET /api/shares": (200, LISTED), "DELETE /api/shares/0123456789abcdef": (204, None)}
    with open_fake(answers) as fake:
        done = fake.run("share", "list", "--utc")
        assert done.exit_code == 0
        for word in ("0123456789abcdef", "the plumber", "gate", "05:10", "1 of 3", "local"):
            assert word in done.stdout
        assert '"present":1' in fake.run("share", "list", "--json").stdout
        refused = fake.run("share", "remove", "0123456789abcdef", text="")
        assert (refused.exit_code, "--yes" in refused.stderr) == (2, True)
        done = fake.run("share", "remove", "0123456789abcdef", "--yes")
        assert (done.exit_code, done.stdout) == (0, "share 0123456789abcdef revoked\n")
