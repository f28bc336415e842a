"""Subjects of commits keep their rules."""

import subprocess
import sys
from pathlib import Path

import pytest

import subjects


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        ("rtsp: keep the SSRC named by SETUP", None),
        ("tests/e2e: wait for the drag", None),
        ("journal, cli: name the segment", None),
        ("Merge branch 'docs'", None),
        (f"rtsp: {'x' * 66}", None),
        (f"rtsp: {'x' * 67}", "73 characters, at most 72"),
        ("Keep the SSRC", "no area in front, as in `rtsp: keep the SSRC named by SETUP`"),
        ("rtsp:keep", "no area in front, as in `rtsp: keep the SSRC named by SETUP`"),
        ("rtsp: keep it.", "a full stop at its end"),
        ("", "no area in front, as in `rtsp: keep the SSRC named by SETUP`"),
    ],
)
def test_subject_is_refused_for_the_rule_it_breaks(subject: str, why: str | None) -> None:
    """An area, an imperative, 72 characters, no full stop."""
    assert subjects.complaint(subject) == why


@pytest.mark.parametrize(("subject", "code"), [("rtsp: keep the SSRC", 0), ("Keep it.", 1)])
def test_hook_checks_the_message_it_is_given(tmp_path: Path, subject: str, code: int) -> None:
    """Comments that git adds to the message are no part of it."""
    message = tmp_path / "COMMIT_EDITMSG"
    message.write_text(f"# a comment\n{subject}\n\nThe body may say anything.\n")
    done = subprocess.run([sys.executable, subjects.__file__, message], capture_output=True, text=True)
    assert (done.returncode, subject in done.stdout) == (code, code == 1)
