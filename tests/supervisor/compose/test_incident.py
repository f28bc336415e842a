"""`banken incident` as a person types it: what was asked, one line for what is wrong, and the exit code."""

import re
import signal
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from supervisor.__main__ import main
from supervisor.cli.terminal import Digest
from supervisor.compose import incident
from supervisor.domain import commands as c
from tests.kit.domain import live
from tests.kit.journals import lively, write_journal

HERE = ("--from", "2027-01-15T08:00:02+00:00", "--to", "2027-01-15T08:00:09+00:00")


def banken(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["incident", *map(str, arguments)])


def refuses(said: str, *arguments: str | Path, code: int = 2) -> None:
    """This exit code and one line on stderr; nothing on stdout, no traceback."""
    done = banken(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert said in done.stderr.splitlines()[-1]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "journal", lively(), batch=10)


@pytest.fixture
def made(journal: Path, tmp_path: Path) -> Path:
    assert banken("export", journal, *HERE, "--note", "see\x1b[31m this", "-o", tmp_path / "it.zip").exit_code == 0
    return tmp_path / "it.zip"


def test_there_and_back(journal: Path, made: Path, tmp_path: Path) -> None:
    """The digest is the same at both ends, and what is unpacked is named with the commands to go on with."""
    again = banken("export", journal, *HERE, "--force", "-o", made)
    told = again.stdout.splitlines()[-1]
    assert told.startswith("digest: ")
    verified = banken("verify", made, "--digest", told.removeprefix("digest: "))
    assert verified.exit_code == 0
    assert "unaltered" in verified.stdout
    assert told in verified.stdout
    imported = banken("import", made, "-o", tmp_path / "there")
    assert imported.exit_code == 0
    assert f"banken replay {tmp_path / 'there' / 'journal'}" in imported.stdout
    assert (tmp_path / "there" / "report.html").is_file()
    listed = CliRunner().invoke(main, ["events", str(tmp_path / "there" / "journal"), "-n", "1"])
    assert listed.exit_code == 0


def test_escape_sequence_in_a_bundle_does_not_reach_the_terminal(made: Path) -> None:
    """An escape sequence in a note is printed as a replacement character."""
    done = banken("verify", made)
    assert "see\N{REPLACEMENT CHARACTER}[31m this" in done.stdout
    assert "\x1b" not in done.stdout


def test_damage_is_exit_1_and_named(made: Path) -> None:
    """One flipped bit in the report: `verify` and `import` name the file, and nothing is unpacked."""
    data = bytearray(made.read_bytes())
    data[data.index(b"report.html") + 900] ^= 4
    made.write_bytes(data)
    refuses("it.zip: report.html: ", "verify", made, code=1)
    refuses("it.zip: report.html: ", "import", made, "-o", made.with_name("there"), code=1)
    assert not made.with_name("there").exists()


def test_another_digest_is_exit_1(made: Path) -> None:
    """A bundle that is whole but has another digest than `--digest` is not the one that was sent."""
    refuses("not the one that was given", "verify", made, "--digest", "0123 4567-89ab cdef", code=1)


def test_an_export_that_is_refused(journal: Path, made: Path, tmp_path: Path) -> None:
    """Each refusal is one line, leaves a bundle that exists untouched, and leaves no file behind."""
    before = made.read_bytes()
    refuses("is after the end", "export", journal, HERE[0], HERE[3], HERE[2], HERE[1], "-o", tmp_path / "x")
    refuses("it.zip exists already; --force replaces it", "export", journal, *HERE, "-o", made)
    refuses("is a folder; name the file", "export", journal, *HERE, "-o", tmp_path)
    refuses(
        "there is no data for that time", "export", journal, "--from", "1999-01-01", "--to", "1999-02-01", "-o", "x"
    )
    refuses("knows no camera 'x\\x1b'", "export", journal, *HERE, "--camera", "x\x1b", "-o", tmp_path / "x")
    refuses("there is no journal here", "export", tmp_path, *HERE, "-o", tmp_path / "x")
    refuses("there is no folder", "export", journal, *HERE, "-o", tmp_path / "nowhere" / "x.zip")
    refuses("--note takes 2000", "export", journal, *HERE, "--note", "x" * 2001, "-o", tmp_path / "x")
    refuses("is not a time", "export", journal, "--from", "soon", "--to", "0s", "-o", tmp_path / "x")
    assert made.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.zip", "journal"]


def test_an_import_that_is_refused(made: Path, tmp_path: Path) -> None:
    """Each has one line: an existing folder, a missing file, a file that is no bundle, a wrong digest."""
    refuses("exists already; -o names another", "import", made, "-o", tmp_path)
    refuses("No such file", "import", tmp_path / "nothing.zip", "-o", tmp_path / "there")
    refuses("this is not a bundle of banken", "verify", tmp_path / "journal" / "lock")
    refuses("Is a directory", "verify", tmp_path)
    refuses("there is no folder", "import", made, "-o", tmp_path / "nowhere" / "there")
    refuses("hex digits", "verify", made, "--digest", "0123")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("command", "work"), [("export", "export"), ("import", "unpack"), ("verify", "verify")])
def test_signal_ends_a_command_in_good_order(
    journal: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, command: str, work: str
) -> None:
    """The exit code has the signal; a second one does not interrupt the cleanup, and no draft is left."""
    real, cleaned = getattr(incident, work), []

    def interrupted(*arguments: object) -> object:
        def progress(*_: int) -> None:
            signal.raise_signal(number)

        try:
            return real(*arguments[:-1], progress)
        finally:
            signal.raise_signal(signal.SIGTERM)
            cleaned.append(work)

    monkeypatch.setattr(incident, work, interrupted)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = {*tmp_path.iterdir()}, signal.getsignal(number)
    output: list[str | Path] = [] if command == "verify" else ["-o", tmp_path / "new"]
    done = banken(command, *([journal, *HERE] if command == "export" else [made]), *output)
    assert (done.exit_code, cleaned) == (128 + number, [work])
    assert ({*tmp_path.iterdir()}, signal.getsignal(number)) == before


def test_a_digest_is_taken_as_it_was_read_out() -> None:
    """Groups with spaces, hyphens or colons, and capitals, are the same digest."""
    wanted = "0123456789abcdef"
    for text in ("0123 4567 89ab cdef", "0123-4567-89AB-CDEF", "01:23:45:67:89:ab:cd:ef"):
        assert Digest().convert(text, None, None) == wanted


def test_export_between_numbers_of_events_is_about_those_where_the_clock_was_set_back(tmp_path: Path) -> None:
    """By their times it would be about others; the manifest has the numbers, so the import is about the same."""
    story = live().after(100).given(c.RaiseAlert("a/b", "before")).after(-3600).given(c.ClearAlert("a/b"))
    last = story.after(10).given(c.RaiseAlert("a/c", "after")).recorded[-1].seq
    journal = write_journal(tmp_path / "journal", story.recorded)
    for first in (last - 2, last - 1):
        made, there = tmp_path / f"{first}.zip", tmp_path / str(first)
        assert banken("export", journal, "--since", f"#{first}", "--until", f"#{last}", "-o", made).exit_code == 0
        assert banken("import", made, "-o", there).exit_code == 0
        assert "not what its journal gives" not in banken("verify", made).stdout
        assert f"<dd>{first} to {last} in the journal; " in (there / "report.html").read_text()
    figures = (tmp_path / str(last - 1) / "report.html").read_text().partition("<h2>Availability")[2]
    assert re.findall("<td class=number>(.*?)</td>", figures)[:2] == ["100.00 %", "10 s"]
