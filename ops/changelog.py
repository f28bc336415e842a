"""Check the fragments of the changelog, or collect them: `.venv/bin/python ops/changelog.py [VERSION]`.

Rules of this file:
1. A fragment is a file `ops/changes/NAME.KIND.md`; KIND is added, changed or fixed. It contains list items only.
2. Without VERSION the fragments are checked. With VERSION they are moved into its section of `CHANGELOG.md`, in the
   order of their names, and deleted. A section that is already there keeps its text; items follow those of their kind.

Exit code 0: nothing found; 1: a line for each finding, and nothing was written.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
KINDS = {"added": "Added", "changed": "Changed", "fixed": "Fixed"}
COLUMNS = 130
"""A line of a fragment may be this long."""


class Fragment(NamedTuple):
    """One file; `items` are lines of Markdown."""

    path: Path
    kind: str
    items: list[str]


class Malformed(Exception):
    """A fragment that breaks a rule; the message names the file and the line."""


def read_fragment(path: Path) -> Fragment:
    """Raises `Malformed` for a name without a kind, and for a line that is not part of an item."""
    name = re.fullmatch(r"[a-z0-9-]+\.(\w+)\.md", path.name)
    if name is None or name[1] not in KINDS:
        raise Malformed(f"{path.name}: the name must be NAME.{{{','.join(KINDS)}}}.md, in lower case")
    lines = path.read_text().rstrip("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if not re.match(r"- \S" if number == 1 else r"- \S|  \S", line):
            raise Malformed(
                f"{path.name}:{number}: each line begins an item with `- `, or continues one after two spaces"
            )
        if len(line) > COLUMNS:
            raise Malformed(f"{path.name}:{number}: {len(line)} characters, at most {COLUMNS}")
    return Fragment(path, name[1], lines)


def read_all(folder: Path) -> tuple[list[Fragment], list[str]]:
    """The fragments in the order of their names, and a complaint for each file that is not one."""
    fragments, complaints = [], []
    for path in sorted(folder.glob("*")):
        try:
            fragments.append(read_fragment(path))
        except Malformed as error:
            complaints.append(str(error))
    return fragments, complaints


def collect(changelog: str, version: str, fragments: list[Fragment]) -> str:
    """The changelog with the items in the section of `version`, which is made if it is missing."""
    head, *sections = re.split(r"(?m)^(?=## )", changelog)
    at = next(
        (n for n, section in enumerate(sections) if re.match(rf"## {re.escape(version)}(?![\w.])", section)), None
    )
    if at is None:
        sections.insert(0, f"## {version} (unreleased)\n\n")
        at = 0
    parts = re.split(r"(?m)^(?=### )", sections[at])
    for kind, title in reversed(KINDS.items()):
        if items := [item for fragment in fragments if fragment.kind == kind for item in fragment.items]:
            parts = add_items(parts, title, items)
    sections[at] = "".join(parts)
    return "".join([head, *sections])


def add_items(parts: list[str], title: str, items: list[str]) -> list[str]:
    """The parts of a section, with the items at the end of the part `title`; a new part stands before later kinds."""
    text = "\n".join(items)
    for number, part in enumerate(parts):
        if part.startswith(f"### {title}\n"):
            return [*parts[:number], f"{part.rstrip()}\n{text}\n\n", *parts[number + 1 :]]
    earlier = [f"### {known}\n" for known in list(KINDS.values())[: list(KINDS.values()).index(title)]]
    place = max([1, *(n + 1 for n, part in enumerate(parts) if part.startswith(tuple(earlier) or "\0"))])
    return [*parts[:place], f"### {title}\n\n{text}\n\n", *parts[place:]]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", nargs="?", metavar="VERSION", help="collect the fragments into this section")
    version = parser.parse_args(arguments).version
    fragments, complaints = read_all(ROOT / "ops" / "changes")
    print(*(f"ops/changes/{complaint}" for complaint in complaints), sep="\n", end="\n" if complaints else "")
    if complaints:
        return 1
    if version is not None:
        changelog = ROOT / "CHANGELOG.md"
        changelog.write_text(collect(changelog.read_text(), version, fragments).rstrip("\n") + "\n")
        for fragment in fragments:
            fragment.path.unlink()
    print(f"{len(fragments)} {'collected' if version else 'readable'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
