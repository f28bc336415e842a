"""Printed text is safe for terminals: in every command, with `--json`, and in the log."""

import json
import sys
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner

from supervisor.__main__ import main
from supervisor.base.printable import brief, json_text, printable, printable_lines, printable_styled
from supervisor.domain import commands as c
from supervisor.domain.values import Fault, Reason
from supervisor.journal.retention import PINS
from tests.kit.domain import GATE, live
from tests.kit.journals import write_journal

UNSAFE = [
    chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp")
]
HOSTILE = "\x1b[31m\x9b2J\x7f\u202egpj.exe\u2066\u2028\u200b\r\n\x07\U000e0041\u061c"


def unsafe_in(text: str, allowed: str = "") -> set[str]:
    return {character for character in text if character in UNSAFE and character not in allowed}


def test_every_control_and_invisible_character_is_replaced() -> None:
    """Each character of the categories Cc, Cf, Cs, Zl and Zp, and the invisible letters; nothing that is a letter."""
    assert set(printable("".join(UNSAFE))) == {"\N{REPLACEMENT CHARACTER}"}
    assert set(printable("\u3164\u115f\u034f")) == {"\N{REPLACEMENT CHARACTER}"}
    for text in ("camera 番犬\u3000ok", "Straße — é́ — ещё", "👍\ufe0f ░█▄", "a b"):
        assert printable(text) == text


def test_line_feeds_stay_only_where_they_are_meant() -> None:
    """And colours only in text that was styled here."""
    assert printable("a\nb") == "a\N{REPLACEMENT CHARACTER}b"
    assert printable_lines("a\nb\rc") == "a\nb\N{REPLACEMENT CHARACTER}c"
    assert printable_styled("\x1b[31ma\x1b[0m\x1b[2J") == "\x1b[31ma\x1b[0m\N{REPLACEMENT CHARACTER}[2J"


@pytest.mark.parametrize("code", ["8", "30;40", "30", "47", "5", "38;5;16", ""])
def test_style_that_hides_text_is_not_passed_on(code: str) -> None:
    """Concealed letters, a background, a colour of 256: only what the commands use passes."""
    assert printable_styled(f"\x1b[{code}mgone") == f"\N{REPLACEMENT CHARACTER}[{code}mgone"


def test_colour_ends_with_its_line() -> None:
    """A colour that was cut off, and other escape sequences, do not leak."""
    styled = "a\x1b[31mb\n\x1b[2mc\x1b[0md\ne"
    assert printable_styled(styled) == "a\x1b[31mb\x1b[0m\n\x1b[2mc\x1b[0md\ne"


def test_json_escapes_unsafe_characters_and_stays_the_same_json() -> None:
    """A parser reads what was meant; a terminal sees only what can be printed."""
    value = {"name": "".join(each for each in UNSAFE if not 0xD800 <= ord(each) <= 0xDFFF), "ok": "番犬"}
    text = json_text(value)
    assert not unsafe_in(text)
    assert json.loads(text) == value
    assert "番犬" in text


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A journal in which everything that somebody else may name holds controls."""
    reason = Reason("bad", f"reason {HOSTILE}", Fault.TEMPORARY)
    story = live().after(1).given(c.ReportLoss(GATE, reason, 0.3), c.RaiseAlert(f"alert{HOSTILE}", HOSTILE))
    return write_journal(tmp_path / "journal", story.recorded)


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["events", "J"], ["why", "gate", "J"], ["why", "1", "J"], ["trace", "#1", "J"], ["timeline", "J"],
        ["stats", "J"], ["state", "J"], ["diff", "J"], ["verify", "J"], ["pins", "J"], ["bisect", "len(alerts)>0", "J"],
        ["why", HOSTILE, "J"], ["trace", HOSTILE, "J"], ["events", "J", "--camera", HOSTILE],
        ["events", "J", "--type", HOSTILE], ["stats", "J", "--camera", HOSTILE], ["bisect", HOSTILE, "J"],
    ],
    ids=lambda arguments: "-".join(word[:6] for word in arguments if word.isprintable()),
)  # fmt: skip
def test_no_command_prints_controls_of_others(hostile: Path, arguments: list[str], as_json: bool) -> None:
    """Neither on stdout nor on stderr, whether it succeeds or refuses."""
    named = [str(hostile) if word == "J" else word for word in arguments] + ["--json"] * as_json
    done = CliRunner().invoke(main, named)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert not unsafe_in(done.output, "\n"), done.output


def test_name_of_a_file_or_pin_brings_no_colour_to_a_terminal(hostile: Path, tmp_path: Path) -> None:
    """Nor conceals what follows it: who made a bundle is not known, and the terminal says so."""
    name = "x\x1b[31m\x1b[8m"
    bundle, folder, journal = tmp_path / f"{name}.zip", tmp_path / name, tmp_path / f"j{name}"
    (hostile / PINS).write_text(json.dumps({name: {"first": 1, "last": 2, "note": "", "made_ns": 0}}))
    hostile.rename(journal)
    said = []
    for arguments in (
        ["incident", "export", journal, "--from", "#1", "--to", "#3", "-o", bundle],
        ["incident", "verify", bundle],
        ["incident", "import", bundle, "-o", folder],
        ["incident", "verify", journal],
        ["incident", "verify", tmp_path / f"no{name}"],
        ["pins", journal],
        ["unpin", name, journal],
        ["check", tmp_path / f"no{name}.yaml"],
    ):
        done = CliRunner().invoke(main, [str(word) for word in arguments], color=True)
        assert done.exception is None or isinstance(done.exception, SystemExit)
        said.append(done.output)
        assert not unsafe_in(done.output, "\n"), done.output
    assert "by whom: unknown" in said[1]
    assert all("[8m" in each for each in said), said


def test_brief_text_has_a_bounded_length_and_one_line() -> None:
    """Foreign text takes a bounded number of characters of a log, all of them printable."""
    assert brief("ab") == "ab"
    assert brief(OSError("x\x1b\n")) == "x\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
    assert brief("a" * 201) == "a" * 199 + "…"
    assert len(brief(b"\0" * 10**6, 40)) == 40
