"""Check the language of all texts of the project: `.venv/bin/python ops/prose.py [PATH …]`.

Rules of this file:
1. The words come from the column *pattern* of `ops/docs/glossary.md`; this file contains none.
2. A text is a document, a docstring, a comment, a message, or a label of the page. Code in backticks is not read.
   Names of Python files, functions and classes are read as words: `test_what_ends` as *What ends*.
3. An exception in `ops/prose.toml` names its file, the words, and the reason; one that is not needed is an error.

Exit code 0: nothing found; 1: a line for each finding (`file:line: rule: sentence`); 2: the glossary or the list of
exceptions cannot be read.
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
GLOSSARY = Path("ops/docs/glossary.md")
EXCEPTIONS = Path("ops/prose.toml")
MOST_WORDS = 30
OPENINGS = ("What", "Who", "Whatever", "Whoever")
SPOKEN = {"aria-label", "title", "placeholder", "alt"}
"""Attributes of HTML that a person reads or hears."""


class Text(NamedTuple):
    """One stretch of prose; `line` is where it begins."""

    line: int
    words: str


class Finding(NamedTuple):
    file: str
    line: int
    rule: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.sentence}"


class Rule(NamedTuple):
    """A word that is not used, and the one that is, or a list to choose from."""

    pattern: re.Pattern[str]
    instead: str


class Unreadable(Exception):
    """The glossary, or the list of exceptions."""


# ── the words ───────────────────────────────────────────────────────────────────────────────────────────────────────


def read_rules(glossary: str) -> list[Rule]:
    """The patterns of the table: of a row *term | … | pattern*, each regular expression in backticks."""
    rules, column = [], None
    for line in glossary.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if "Pattern" in cells:
            column = cells.index("Pattern")
        elif column is not None and len(cells) > column:
            for pattern in re.findall(r"`([^`]+)`", cells[column].replace(r"\|", "|")):
                try:
                    rules.append(Rule(re.compile(pattern), cells[0]))
                except re.error as error:
                    raise Unreadable(f"{GLOSSARY}: {pattern!r} is not a regular expression: {error}") from None
    if not rules:
        raise Unreadable(f"{GLOSSARY}: there is no table with a column `Pattern`")
    return rules


def complaints(words: str, rules: list[Rule]) -> Iterator[tuple[str, str]]:
    """Each rule that a text breaks, and the sentence that breaks it."""
    for sentence in sentences(words):
        count = len(re.findall(r"[\w'’`–-]*[A-Za-z][\w'’`–-]*", sentence))
        if count > MOST_WORDS:
            yield f"{count} words: write at most {MOST_WORDS}", sentence
        first = re.match(r"[\W_]*(\w+)", sentence)
        if first and first[1] in OPENINGS and not sentence.rstrip("\"')*” ").endswith("?"):
            yield f"begins with {first[1]}: begin with the subject", sentence
        for rule in rules:
            if found := rule.pattern.search(sentence):
                yield f"{found[0]!r}: write {' or '.join(map(repr, rule.instead.split(', ')))}", sentence


def sentences(words: str) -> list[str]:
    """Its sentences and items, each on one line; code in backticks, and a list of such, counts as one word."""
    plain = re.sub(r"```.*?```|``.*?``|`[^`]*`", "`x`", words, flags=re.DOTALL)
    plain = re.sub(r"`x`(?:,\s+`x`)+", "`x`", plain)
    plain = re.sub(r"\]\([^)]*\)", "]", plain)
    plain = re.sub(r"(?i)\b(e\.g|i\.e|cf|etc|vs)\.", r"\1", plain)
    parts = re.split(
        r"(?<=[.!?])[\"'*)”]*\s+(?=[\W_]*[A-Z0-9]|`x`)|\n\s*\n|\n\s*(?:[-*]|\d+\.)\s+|\n\s*(?=\w+: |@\w)|;\s|:\n", plain
    )
    return [line for part in parts if (line := " ".join(part.split()))]


# ── where prose stands ──────────────────────────────────────────────────────────────────────────────────────────────


def texts_of(path: Path, source: str) -> Iterator[Text]:
    """Every text of a file, by its kind; none for a kind that holds no prose."""
    if path.suffix == ".md":
        yield from of_markdown(source)
    elif path.suffix == ".py" or source.startswith("#!/usr/bin/env python3"):
        yield Text(1, as_words(path.stem))
        yield from of_python(source, messages=path.parts[0] != "tests")
    elif path.suffix in (".js", ".mjs"):
        yield from of_javascript(source)
    elif path.suffix == ".html":
        yield from of_html(source)


def of_markdown(source: str) -> Iterator[Text]:
    """Paragraphs, items, and cells of tables; neither fences nor comments."""
    source = re.sub(r"(?ms)^(```|~~~).*?^\1[^\n]*$|<!--.*?-->", lambda found: "\n" * found[0].count("\n"), source)
    begin, lines = 1, list[str]()
    for number, line in enumerate([*source.split("\n"), ""], 1):
        if line.startswith("|"):
            yield from (Text(number, cell) for cell in re.split(r"(?<!\\)\|", line) if cell.strip(" -:"))
        elif not line.strip() or re.match(r"\s*(#|[-*] |\d+\. )", line):
            if lines:
                yield Text(begin, "\n".join(lines))
            begin, lines = number, [line.lstrip("# ")] if line.strip() else []
        else:
            begin = begin if lines else number
            lines.append(line)


def of_python(source: str, messages: bool) -> Iterator[Text]:
    """Names, docstrings and comments, and messages: every other string of two words or more."""
    tree = ast.parse(source)
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield Text(node.lineno, as_words(node.name))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) in documents or (messages and id(node) not in parts and is_prose(node.value)):
                yield Text(node.lineno, node.value)
        elif isinstance(node, ast.JoinedStr) and messages:
            said = "".join(str(part.value) if isinstance(part, ast.Constant) else "`x`" for part in node.values)
            if is_prose(said):
                yield Text(node.lineno, said)
    begin, lines = 0, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not re.match(r"#!|#\s*(noqa|type:|fmt:|pragma|──)", token.string):
            begin = begin if lines else token.start[0]
            lines.append(token.string.lstrip("# "))
        elif token.type not in (tokenize.NL, tokenize.COMMENT) and lines:
            yield Text(begin, "\n".join(lines))
            lines = []


def as_words(name: str) -> str:
    """A name as words, with the name behind them: `What ends (test_what_ends)`. Only an opening has a capital."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.removeprefix("test_")).replace("_", " ").lower().split()
    first = [part.capitalize() if part.capitalize() in OPENINGS else part for part in parts[:1]]
    return f"{' '.join([*first, *parts[1:]])} ({name})"


def is_prose(text: str) -> bool:
    """Whether a string is words for a person: no path, query, header, format or statement of SQL."""
    if not re.search(r"[a-z]{2,}[,:;]? [a-z`]", text):
        return False
    return not re.match(r"\s*(SELECT|INSERT|CREATE|DELETE|UPDATE|PRAGMA|DROP|WITH|ATTACH|ALTER|BEGIN)\b", text)


_JAVASCRIPT = re.compile(
    r"""(?P<comment>//[^\n]*(?:\n[ \t]*//[^\n]*)*|/\*.*?\*/)|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"""
    r"""|`(?:\\.|[^`\\])*`)|(?P<regex>(?<=[(,=:[!&|?{};\n])\s*/(?:\\.|\[(?:\\.|[^\]\n])*\]|[^/\\\n*\[])+/)""",
    re.DOTALL,
)


def of_javascript(source: str) -> Iterator[Text]:
    """Comments, and strings of two words or more."""
    for found in _JAVASCRIPT.finditer(source):
        line = source.count("\n", 0, found.start()) + 1
        if found["comment"]:
            yield Text(line, re.sub(r"(?m)^\s*(//|/?\*+/?)+ ?|\*/", "", found["comment"]))
        elif found["string"] and is_prose(found["string"]):
            yield Text(line, re.sub(r"\$?\{[^}]*\}", "`x`", found["string"][1:-1].replace("`", "")))


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[Text] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("script", "style")
        self.texts += [Text(self.getpos()[0], value) for name, value in attrs if name in SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._silent:
            self.texts.append(Text(self.getpos()[0], data))


def of_html(source: str) -> Iterator[Text]:
    page = _Page()
    page.feed(source)
    yield from page.texts


# ── the whole project ───────────────────────────────────────────────────────────────────────────────────────────────


def read_project(files: Iterable[Path], rules: list[Rule]) -> list[Finding]:
    """All that breaks a rule in these files, which are relative to the project."""
    found = []
    for path in files:
        source = (ROOT / path).read_bytes().decode(errors="replace")
        for text in texts_of(path, source):
            found += [Finding(str(path), text.line, rule, sentence) for rule, sentence in complaints(text.words, rules)]
    return found


def without_exceptions(found: list[Finding], exceptions: list[dict[str, str]]) -> list[Finding]:
    """Findings that no exception explains, and exceptions that explain nothing."""
    used = set[int]()
    left = []
    for finding in found:
        for number, known in enumerate(exceptions):
            if known["file"] == finding.file and known["words"] in finding.sentence:
                used.add(number)
                break
        else:
            left.append(finding)
    idle = [known for number, known in enumerate(exceptions) if number not in used]
    return left + [
        Finding(str(EXCEPTIONS), 1, "not needed: delete this exception", f"{known['file']}: {known['words']}")
        for known in idle
    ]


def read_exceptions(source: str) -> list[dict[str, str]]:
    exceptions: list[dict[str, str]] = tomllib.loads(source).get("exception", [])
    for known in exceptions:
        if set(known) != {"file", "words", "reason"}:
            raise Unreadable(f"{EXCEPTIONS}: an exception has `file`, `words` and `reason`, not {sorted(known)}")
    return exceptions


def tracked() -> list[Path]:
    """The files of the project, as git knows them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", metavar="PATH", help="only files below these, relative to the project")
    parser.add_argument("--count", action="store_true", help="a number for each file and each rule, and no sentences")
    options = parser.parse_args()
    try:
        rules = read_rules((ROOT / GLOSSARY).read_text())
        exceptions = read_exceptions((ROOT / EXCEPTIONS).read_text()) if (ROOT / EXCEPTIONS).exists() else []
    except (OSError, tomllib.TOMLDecodeError, Unreadable) as error:
        print(f"ops/prose.py: {error}", file=sys.stderr)
        return 2
    files = [path for path in tracked() if not options.paths or any(path.is_relative_to(p) for p in options.paths)]
    known = [
        one
        for one in exceptions
        if not options.paths or any(Path(one["file"]).is_relative_to(p) for p in options.paths)
    ]
    found = without_exceptions(read_project(files, rules), known)
    if options.count:
        for key in ("file", "rule"):
            for name, count in Counter(getattr(finding, key) for finding in found).most_common():
                print(f"{count:5} {name}")
    else:
        print(*found, sep="\n", end="\n" if found else "")
    print(f"{len(found)} found in {len(files)} files", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
