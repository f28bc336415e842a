"""The table of commands: it lists each one as that one describes itself, and imports only the one that is run."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from supervisor.__main__ import COMMANDS, ROOMS, main
from supervisor.cli.table import LazyCommand
from tests.kit.daemon import ROOT

EVERY = [(table, name) for table in (COMMANDS, ROOMS) for name in table]


@pytest.mark.parametrize(("table", "name"), EVERY, ids=[name for _, name in EVERY])
def test_list_of_commands_has_the_first_sentence_of_each_help(table: dict[str, LazyCommand], name: str) -> None:
    """The list is not made from the commands, so that it need not import them: the two agree."""
    command = table[name].load()
    assert command.name == name
    assert table[name].help == command.get_short_help_str(limit=1000)


def test_unknown_command_gets_a_suggestion() -> None:
    """A typing error is answered with the command that was meant."""
    done = CliRunner().invoke(main, ["evnts"])
    assert done.exit_code == 2
    assert "No such command 'evnts'. Did you mean 'events'?" in done.stderr


@pytest.mark.parametrize("words", ["--help", "--version", "rooms --help"])
def test_help_and_version_import_no_command(words: str) -> None:
    """They cost click, and nothing that a command needs; so does the list of a group's commands."""
    asked = f"import sys; sys.argv = {['banken', *words.split()]!r}; import atexit\n"
    asked += "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    asked += "from supervisor.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = {module for module in done.stderr.split() if module.partition(".")[0] in ("supervisor", "actors", "web")}
    assert ours == {
        "supervisor",
        "supervisor.__main__",
        "supervisor.base",
        "supervisor.base.interrupts",
        "supervisor.cli",
        "supervisor.cli.table",
        "supervisor.runtime",
        "supervisor.runtime.collector",
    }
    assert not {"attr", "trio", "yaml", "apsw", "msgspec"} & set(done.stderr.split())
