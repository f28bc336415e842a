"""The checker of plain words finds every kind of text, and only texts."""

import subprocess
from pathlib import Path

import pytest

import prose

GLOSSARY = r"""
| Term | Meaning | Standard | Replaces | Pattern |
|---|---|---|---|---|
| restart | | OTP | `anew` | `(?i)\banew\b` |
| audio | | | `sound` | `\bsounds?\b` `\bloud\|noisy\b` |
| camera | A video input. | | | |
"""
RULES = prose.read_rules(GLOSSARY)


def broken(words: str) -> list[str]:
    return [rule for rule, _ in prose.complaints(words, RULES)]


def test_rules_are_the_patterns_of_the_table() -> None:
    """A row may have several patterns, or none; an escaped bar belongs to its pattern."""
    assert [(rule.pattern.pattern, rule.instead) for rule in RULES] == [
        (r"(?i)\banew\b", "restart"), (r"\bsounds?\b", "audio"), (r"\bloud|noisy\b", "audio"),
    ]  # fmt: skip


@pytest.mark.parametrize("glossary", ["", "| Term | Pattern |\n|---|---|\n| a | `(` |\n"])
def test_glossary_without_readable_patterns_is_an_error(glossary: str) -> None:
    """A table that lost its patterns would allow every word."""
    with pytest.raises(prose.Unreadable):
        prose.read_rules(glossary)


@pytest.mark.parametrize(
    ("words", "rules"),
    [
        ("The child is started anew.", ["'anew': write 'restart'"]),
        ("A child restarts.\nIts sound is lost.", ["'sound': write 'audio'"]),
        ("What it reads is kept.", ["begins with What: begin with the subject"]),
        ("It stops. Whoever waits gets an error.", ["begins with Whoever: begin with the subject"]),
        ("What is it?", []),
        ("**Who is there?**", []),
        ("It calls `anew()`.", []),
        ("```\nanew\n```", []),
        (" ".join(["word"] * 30) + ".", []),
        (" ".join(["word"] * 31) + ".", ["31 words: write at most 30"]),
        (f"{' '.join(['word'] * 20)}. {' '.join(['Word'] * 20)}.", []),
        (f"{' '.join(['word'] * 20)}. `code` {' '.join(['word'] * 20)}.", []),
        (f"- {' '.join(['word'] * 20)}\n- {' '.join(['word'] * 20)}", []),
        (f"@param {' '.join(['word'] * 20)}\n@returns {' '.join(['word'] * 20)}", []),
        (f"Args:\n    one: {' '.join(['word'] * 20)}\n    two: {' '.join(['word'] * 20)}", []),
    ],
)
def test_sentence_is_rejected_for_each_rule_it_breaks(words: str, rules: list[str]) -> None:
    """Words, length, and openings; a question may begin with *What*."""
    assert broken(words) == rules


@pytest.mark.parametrize(
    ("name", "source", "found"),
    [
        ("a.md", "# One\n\nTwo\nthree.\n\n```\nfour\n```\n", ["One", "Two\nthree."]),
        ("a.md", "| five | six |\n|---|---|\n", ["five", "six"]),
        ("a.py", '"""One."""\nNAME = 1\n"""Two."""\n# three\n# four\n', ["a (a)", "One.", "Two.", "three\nfour"]),
        ("a.py", 'print(f"it is {name} here", "X-Header", "SELECT one from two")\n', ["a (a)", "it is `x` here"]),
        ("tests/a.py", 'say("some words here")\n', ["a (a)"]),
        ("tests/test_a.py", "class NoSound:\n    async def test_who_waits(): ...\n",
         ["a (test_a)", "no sound (NoSound)", "Who waits (test_who_waits)"]),
        ("a.js", '// One\n// two\nconst a = t("three is {b}") + "name"; // four', ["One\ntwo", "three is `x`", "four"]),
        ("a.js", 'const url = "https://a/b"; // five', ["five"]),
        ("a.js", "const a = b.replace(/'/g, \"\"); t('some words');", ["some words"]),
        ("a.html", '<p title="One two">Three</p><script>four</script>', ["One two", "Three"]),
        ("a.css", "/* One two */", []),
    ],
)  # fmt: skip
def test_texts_of_each_kind_of_file_are_found(name: str, source: str, found: list[str]) -> None:
    """Documents, names, docstrings, comments, messages and labels; neither code nor tables' rules."""
    texts = [text.words.strip() for text in prose.texts_of(Path(name), source)]
    assert sorted(texts) == sorted(found)


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        ("def test_child_is_started_anew(): ...", ["'anew': write 'restart'"]),
        ("class SoundTrack: ...", ["'sound': write 'audio'"]),
        ("class LostSound: ...", ["'sound': write 'audio'"]),
        ("def test_what_ends(): ...", ["begins with What: begin with the subject"]),
        ("def test_child_restarts(): ...", []),
    ],
)
def test_name_is_rejected_for_a_replaced_word_or_its_opening(source: str, rules: list[str]) -> None:
    """The name of a function or class is read as the beginning of a sentence."""
    texts = prose.texts_of(Path("tests/test_a.py"), source)
    assert [rule for text in texts for rule in broken(text.words)] == rules


def test_text_names_the_line_where_it_begins() -> None:
    """Also behind a fence, whose lines count."""
    assert [text.line for text in prose.of_markdown("one\n\n```\na\nb\n```\n\ntwo\nthree\n")] == [1, 8]


def test_exception_explains_its_sentence_and_an_idle_one_is_found() -> None:
    """Each needs its reason; one whose sentence has gone is to be removed."""
    found = [prose.Finding("a.md", 1, "rule", "Started anew."), prose.Finding("b.md", 1, "rule", "Started anew.")]
    known = [
        {"file": "a.md", "words": "anew", "reason": "a quotation"},
        {"file": "c.md", "words": "x", "reason": "old"},
    ]
    assert [finding.file for finding in prose.without_exceptions(found, known)] == ["b.md", "ops/prose.toml"]
    with pytest.raises(prose.Unreadable):
        prose.read_exceptions('[[exception]]\nfile = "a.md"\nwords = "anew"\n')


@pytest.mark.parametrize(("sentence", "code"), [("It starts again.", 0), ("It is started anew.", 1), ("What ends.", 1)])
def test_step_of_the_check_fails_for_a_bad_sentence_in_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sentence: str, code: int
) -> None:
    """`ops/check prose` runs the program over all files that git knows, and those that it does not ignore."""
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["prose.py"])
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / prose.GLOSSARY).parent.mkdir(parents=True)
    (tmp_path / prose.GLOSSARY).write_text(GLOSSARY)
    (tmp_path / "module.py").write_text(f'"""{sentence}"""\n')
    assert prose.main() == code
    assert ("module.py:1: " in capsys.readouterr().out) is bool(code)
