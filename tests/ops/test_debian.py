"""Go modules of the pion viewer: fetched before tests that may not be skipped."""

from pathlib import Path

import pytest

import debian


def put_go(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Let `go` be a program that runs `body`, and the only program besides those of the system."""
    program = folder / "go"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_go_modules_are_fetched_only_if_all_tests_are_required(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`go mod download` runs where `go.mod` is, and may not change it."""
    put_go(tmp_path, monkeypatch, f'echo "$PWD $* $GOFLAGS $GOTOOLCHAIN" >> {tmp_path}/calls')
    monkeypatch.delenv("BANKEN_REQUIRE_ALL", raising=False)
    debian.ensure_go_modules()
    assert not (tmp_path / "calls").exists()
    monkeypatch.setenv("BANKEN_REQUIRE_ALL", "1")
    debian.ensure_go_modules()
    assert (tmp_path / "calls").read_text() == f"{debian.PION} mod download -mod=readonly local\n"
    assert (debian.PION / "go.mod").is_file()


def test_go_modules_that_cannot_be_fetched_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal has the last line of Go, which names the module."""
    put_go(tmp_path, monkeypatch, "echo first >&2; echo 'pion/webrtc/v4: no such host' >&2; exit 1")
    monkeypatch.setenv("BANKEN_REQUIRE_ALL", "1")
    with pytest.raises(SystemExit, match=r"pion/go\.mod are missing, .*: pion/webrtc/v4: no such host"):
        debian.ensure_go_modules()


def test_missing_go_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Go and without apt-get, the refusal has the command that installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("BANKEN_REQUIRE_ALL", "1")
    with pytest.raises(SystemExit, match=r"Go is missing, .*apt-get install .*golang-go"):
        debian.ensure_go_modules()
