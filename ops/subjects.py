"""Check the subjects of commits: `.venv/bin/python ops/subjects.py [FILE]`.

A subject is `area: imperative`, at most 72 characters long, without a full stop. With FILE (as git's hook commit-msg
gives it), that message is checked. Without FILE, all commits after `SINCE` are checked, for their length only: commits
that a forge makes have no area.

Exit code 0: nothing found; 1: a line for each finding.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SINCE = "2026-11-30T00:00:00Z"
"""Older commits are as they are. A date and no hash: a hash changes with a rebase."""
MOST = 72
MERGES = re.compile(r"(Merge|Revert) ")


def complaint(subject: str) -> str | None:
    """Return the first rule that a subject breaks; None if it follows all rules."""
    if MERGES.match(subject):
        return None
    if (why := too_long(subject)) is not None:
        return why
    if not re.match(r"[a-z0-9_/.-]+(, [a-z0-9_/.-]+)*: \S", subject):
        return "no area in front, as in `rtsp: keep the SSRC named by SETUP`"
    if subject.endswith("."):
        return "a full stop at its end"
    return None


def too_long(subject: str) -> str | None:
    """Return by how much a subject is too long; None if it is not."""
    return f"{len(subject)} characters, at most {MOST}" if len(subject) > MOST else None


def subjects() -> list[tuple[str, str]]:
    """Short hash and subject of each commit after `SINCE`."""
    lines = git("log", f"--since={SINCE}", "--format=%h %s").stdout.splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def main(arguments: list[str]) -> int:
    if arguments:
        message = [line for line in Path(arguments[0]).read_text().splitlines() if not line.startswith("#")]
        found, rule = [("this commit", message[0] if message else "")], complaint
    else:
        found, rule = subjects(), too_long
    wrong = [(commit, subject, why) for commit, subject in found if (why := rule(subject)) is not None]
    for commit, subject, why in wrong:
        print(f"{commit}: {why}: {subject}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
