"""Durations and sizes have one form each, and counted things are spoken of in the right number."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from supervisor.domain.words import plural, seconds, size

ROOT = Path(__file__).parents[3]
COUNTED = re.compile(
    r" (?:(?!of)[a-z]+ )?(?:anchors|batches|cameras|children|connections|days|devices|errors|events|leases|lines|"
    r"losses|marks|pages|parts|pictures|pins|problems|processes|records|requests|rooms|rounds|segments|states|steps|"
    r"viewers|warnings)\b"
)
COUNT = re.compile(r"\bcounts?\b|\blen\(")
"""A number by its name: a noun in a variable behind it has to go through `plural`, too."""
MANY = (
    "cameras are always open",
    "child processes; its one source",
    "events are in this stretch",
    "events exceed the limit of a bundle",
    "pictures wait to be",
    "rooms are open",
)
"""Said only of more than a limit, which is never one."""


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 cameras"), (1, "1 camera"), (2, "2 cameras"), (1.0, "1 camera"), (0.5, "0.5 cameras")],
)
def test_number_decides_the_word(count: float, text: str) -> None:
    """One of them, and only exactly one, is in the singular."""
    assert plural(count, "camera") == text


def test_word_may_have_an_irregular_plural() -> None:
    """Nouns without an s, and verbs."""
    assert [plural(n, "child is", "children are") for n in (1, 2)] == ["1 child is", "2 children are"]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (5 * 2**20, "5 MiB"),
        (1.5 * 2**30, "1.5 GiB"), (2**40, "1 TiB"), (2**50, "1024 TiB"),
    ],
)  # fmt: skip
def test_size_has_at_most_one_decimal_and_a_binary_unit(count: float, text: str) -> None:
    """The unit is the largest of which there is one or more, up to TiB."""
    assert size(count) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.25, "0.2 s"), (12.4, "12 s"), (119, "119 s"), (240, "4 min"), (7800, "2 h 10 min")]
)
def test_duration_has_the_units_that_people_need(value: float, text: str) -> None:
    """Tenths below ten seconds, whole seconds below two minutes, whole minutes below two hours."""
    assert seconds(value) == text


def test_no_message_counts_in_the_plural_only() -> None:
    """A number that is put in front of a counted noun goes through `plural`, but for limits that are constants."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for package in ("supervisor", "actors", "web")
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, text in counts(path.read_text())
    ]
    assert found == []


def test_scan_finds_a_count_in_the_plural_only() -> None:
    """The shapes that were wrong once, and none of those that are right."""
    wrong = 'f"{len(config.cameras)} cameras at {url}"; f"in {n} sealed segments"; log("%d events")'
    right = 'f"{MOST} cameras"; f"{camera} starts"; f"{plural(n, \'camera\')} here"'
    assert [text for _, text in counts(wrong)] == [" cameras at ", " sealed segments", "%d events"]
    assert [*counts(right)] == []
    assert [text for _, text in counts('f"{counts[level]} {words}"; f"{n} errors"; f"{len(found)} {kind}s"')] == [
        " {words}", " errors", " {kind}",
    ]  # fmt: skip
    assert [*counts('f"{name} {state}"; f"{count} {plural(count, noun)}"')] == []


def counts(source: str) -> Iterator[tuple[int, str]]:
    """(line, text after the number) of each f-string that counts something in the plural only."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and re.search(f"%d{COUNTED.pattern}", str(node.value)):
            yield node.lineno, str(node.value)
        if not isinstance(node, ast.JoinedStr):
            continue
        parts = node.values
        for value, space, noun in zip(parts, parts[1:], parts[2:], strict=False):
            number, text = map(_expression, (value, noun))
            if (
                COUNT.search(number)
                and text
                and ast.unparse(space) == "' '"
                and "plural(" not in number + text
                and text != "unit"
            ):
                yield node.lineno, f" {{{text}}}"
        for value, after in pairwise(parts):
            if not isinstance(value, ast.FormattedValue) or not isinstance(after, ast.Constant):
                continue
            text, constant = str(after.value), re.fullmatch(r"[A-Z_]+", ast.unparse(value.value))
            if COUNTED.match(text) and not constant and not text.strip().startswith(MANY):
                yield node.lineno, text


def _expression(part: ast.expr) -> str:
    """Between the braces; empty for text."""
    return ast.unparse(part.value) if isinstance(part, ast.FormattedValue) else ""
