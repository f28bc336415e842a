"""The text of complaints about a configuration, without anything that may be a secret.

Rules of this file:
- A wrong value is shown only if it cannot be a password: a number with its unit, a word of a closed set, a URL up to
  its host.
- All text passes `redact`, and loses every login in front of an @.
"""

import difflib
import re
from collections.abc import Iterable, Sequence

import yaml

from ..base.redact import HIDDEN, redact

SHOWN = 1024
"""Characters of a wrong value that are shown."""
NAMED = 10
"""Names that a complaint lists."""

_LIKE_A_NUMBER = re.compile(r"[+-]?\d{1,8}(?:\.\d{1,8})?(?:\s?[A-Za-z]{0,3}|\s[A-Za-z]{1,16})")
"""A number and a possible unit. A long word is shown only after a space, which a password rarely contains."""
_PATH = re.compile(r"((?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,31}:/{1,3}(?!/)[^/?#\s]*)[/?#]\S+", re.IGNORECASE)
_WORD = re.compile(r"[^\s'\"]+")
_QUOTATION = re.compile(r"\s*'(?:<[a-z ]+>|\\?.|\\x[0-9a-f]{2}|\\u[0-9a-f]{4})'(?![^\s,;])|(\s*['\"]).*", re.DOTALL)
_DIGITS = re.compile(r"[+-]?\d[\d_.,]{8,}")
_NOT_FINITE = re.compile(r"[+-]?\.?(?:nan|inf|infinity)", re.IGNORECASE)
_EXAMPLE = re.compile(rf"user:password|test:(?:\d+x\d+|WIDTHxHEIGHT)|.*{re.escape(HIDDEN)}")
"""Text before an @ that need not be hidden."""


class ConfigError(Exception):
    """A configuration that cannot be used. Each complaint is one line: `PLACE: problem`.

    The place is `FILE:LINE`, the environment variable or the option.
    """

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints


def listed(names: Sequence[str], count: int | None = None) -> str:
    """The first `NAMED` of `count` names: a mistake in every line must not lead to a list of all lines."""
    more = (len(names) if count is None else count) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "") or "there are no others"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The word in `known` that somebody who wrote `name` may have meant."""
    return next(iter(difflib.get_close_matches(name, [*known], 1)), None)


def without_secrets(problem: str, secrets: Sequence[str]) -> str:
    """A complaint without possible passwords, also in names and keys, and without logins of any form."""
    return _WORD.sub(_without_login, redact(problem, secrets))


def _without_login(word: re.Match[str]) -> str:
    """`user:password@host` without the part before the @, with any prefix."""
    login, _, host = word[0].rpartition("@")
    return f"{HIDDEN}@{host}" if login and not _EXAMPLE.fullmatch(login) else word[0]


def yaml_reason(error: yaml.MarkedYAMLError) -> str:
    """The whole reason of the parser without quotations of the file, with the line where the wrong part begins."""
    context, problem = unquoted(error.context or ""), unquoted(error.problem or "")
    if context and error.context_mark and error.problem_mark and error.context_mark.line != error.problem_mark.line:
        context += f" (line {error.context_mark.line + 1})"
    return ", ".join(filter(None, (context, problem)))


def unquoted(problem: str) -> str:
    """The parser's message up to its quotation of the file. Single characters and the parser's terms stay."""
    return _QUOTATION.sub(lambda match: "" if match[1] else match[0], problem)


def kind_of(node: yaml.Node) -> str:
    """The shape of a wrong value, in words."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if len(node.value) > SHOWN:
        return f"a text of {len(node.value)} characters"
    return "a text" if node.value else "nothing"


def number_of(node: yaml.Node) -> str:
    """As `kind_of`, but a value that looks like a number is shown: it cannot be a password.

    The value of a variable or an option is never shown.
    """
    if not isinstance(node, yaml.ScalarNode):
        return kind_of(node)
    if _LIKE_A_NUMBER.fullmatch(node.value):
        return repr(HIDDEN if node.start_mark.name else node.value)
    if _DIGITS.fullmatch(node.value):
        return f"a number of {sum(map(str.isdigit, node.value))} digits"
    return "NaN or infinity" if _NOT_FINITE.fullmatch(node.value) else kind_of(node)


def value_of(text: str, secrets: Sequence[str] = ()) -> str:
    """A wrong value for a complaint, without secrets. A URL is reduced to its scheme and host."""
    return repr(_PATH.sub(rf"\1/{HIDDEN}", redact(text, secrets)))
