"""The control socket's file: who may open it, and what is replaced."""

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor.config.state_folder import MAX_SOCKET_PATH
from supervisor.runtime import control_socket
from supervisor.runtime.control_socket import ControlInUse, ControlSocket
from tests.kit.http import is_listened_at


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlSocket]:
    """An open one in a folder that it has made."""
    made = ControlSocket(tmp_path / "state")
    made.open()
    yield made
    made.close()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def killed(path: Path) -> None:
    """Leave a socket at `path` as a killed daemon does."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()


def test_folder_socket_and_lock_are_for_the_owner_only(tmp_path: Path) -> None:
    """With any umask. A folder that is there already keeps its mode."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    before = os.umask(0)
    try:
        for folder, mode in ((tmp_path / "new" / "state", 0o700), (tmp_path / "open", 0o755)):
            made = ControlSocket(folder)
            made.open()
            assert (mode_of(folder), mode_of(folder / "control"), mode_of(folder / "control.lock")) == (
                mode, 0o600, 0o600
            )  # fmt: skip
            assert made.reading().text == f"listens at {folder}/control"
            made.close()
            assert sorted(path.name for path in folder.iterdir()) == ["control.lock"]
    finally:
        os.umask(before)


@pytest.mark.parametrize("removed", ["nothing", "control.lock", "control"])
def test_second_daemon_on_the_folder_is_refused(control: ControlSocket, removed: str) -> None:
    """Also without the lock file, as a socket that answers is not replaced; and without the socket, by the lock. The
    error names pid, folder and setting."""
    folder = control.path.parent
    (folder / removed).unlink(missing_ok=True)
    second = ControlSocket(folder)
    with pytest.raises(ControlInUse) as caught:
        second.open()
    assert str(caught.value) == (
        f"{folder}: the state folder is in use by another daemon (the last daemon was pid {os.getpid()}); "
        "stop that daemon, or give this one another folder by state.path"
    )
    second.close()
    first = control.listener()
    assert first is not None and is_listened_at(control.path)
    first.close()


def test_second_daemon_is_refused_while_the_first_accepts_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It waits for nobody: a queue of connections that is full is a sign of a daemon, too."""
    monkeypatch.setattr(control_socket, "BACKLOG", 0)
    first = ControlSocket(tmp_path)
    first.open()
    (tmp_path / "control.lock").unlink()
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(str(first.path))
        with pytest.raises(ControlInUse, match="the last daemon was pid unknown"):
            ControlSocket(tmp_path).open()
    first.close()


def test_socket_of_a_killed_daemon_is_replaced(tmp_path: Path) -> None:
    """Its lock ended with it, and nobody answers."""
    killed(tmp_path / "control")
    (tmp_path / "control.lock").write_text("1\n")
    again = ControlSocket(tmp_path)
    again.open()
    assert is_listened_at(tmp_path / "control")
    assert (tmp_path / "control.lock").read_text() == f"{os.getpid()}\n"
    again.close()


def make_file(path: Path) -> None:
    path.write_text("mine")


def make_link(path: Path) -> None:
    (path.parent / "aim").write_text("mine")
    path.symlink_to("aim")


def make_link_to_socket(path: Path) -> None:
    killed(path.parent / "aim")
    path.symlink_to("aim")


@pytest.mark.parametrize("make", [make_file, make_link, make_link_to_socket, Path.mkdir, os.mkfifo])
def test_other_object_at_the_path_stays_and_is_reported(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """It may be somebody's data. The daemon runs on; when the object has gone, the socket is made."""
    path = tmp_path / "control"
    make(path)
    before = sorted((each.name, each.lstat()) for each in tmp_path.iterdir())
    control = ControlSocket(tmp_path)
    control.open()
    assert control.listener() is None
    assert [row for row in before if row not in [(each.name, each.lstat()) for each in tmp_path.iterdir()]] == []
    reading = control.reading()
    assert reading.level == 1.0
    assert reading.text == (
        f"there is no control socket {path}: something else has its name; remove that; "
        "state.path can name another folder"
    )
    path.rename(tmp_path / "elsewhere")
    assert control.listener() is not None and is_listened_at(path)
    assert control.reading().level == 0.0
    control.close()


@pytest.mark.parametrize(("number", "text"), [(errno.EACCES, "Permission denied"), (errno.ENOSPC, "No space left")])
@pytest.mark.parametrize("call", ["open", "fchmod", "mkdir"])
def test_folder_that_cannot_be_used_is_reported_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: str, number: int, text: str
) -> None:
    """At each of its steps. No descriptor is left by the failures."""

    def fail(*arguments: object, **_: object) -> None:
        raise OSError(number, os.strerror(number))

    control = ControlSocket(tmp_path / "state")
    opened = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as broken:
        broken.setattr(os, call, fail)
        control.open()
        for _ in range(3):
            assert control.listener() is None
        assert text in control.reading().text and control.reading().level == 1.0
    control._unlock()
    assert len(os.listdir("/proc/self/fd")) == opened
    assert control.listener() is not None
    control.close()


def test_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """The file behind it is neither locked nor written."""
    (tmp_path / "aim").write_text("mine")
    (tmp_path / "control.lock").symlink_to("aim")
    control = ControlSocket(tmp_path)
    control.open()
    assert "control.lock" in control.reading().text and control.listener() is None
    assert (tmp_path / "aim").read_text() == "mine"
    control.close()


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.rename(path.parent / "moved")])
def test_socket_whose_file_has_gone_is_made_again(control: ControlSocket, harm: Callable[[Path], None]) -> None:
    """The old one is left to the caller, who accepts its connections."""
    first = control.listener()
    assert first is not None and control.listener() is first
    harm(control.path)
    second = control.listener()
    assert second is not None and second is not first
    assert is_listened_at(control.path) and mode_of(control.path) == 0o600
    first.close()


def test_socket_that_another_process_put_in_place_is_kept_while_it_answers(control: ControlSocket) -> None:
    """The daemon does not end: the socket is reported, and replaced when it has ended. The old listener is given up."""
    first = control.listener()
    control.path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(control.path))
        other.listen()
        assert control.listener() is None
        assert "in use by another daemon" in control.reading().text
    assert control.listener() is not None
    assert control.reading().level == 0.0
    assert first is not None
    first.close()


def test_end_removes_only_the_own_socket(tmp_path: Path) -> None:
    """A file that replaced it stays; so does the socket of the daemon that was refused before this one."""
    control = ControlSocket(tmp_path)
    control.open()
    (tmp_path / "control").unlink()
    make_file(tmp_path / "control")
    control.close()
    assert (tmp_path / "control").read_text() == "mine"
    ControlSocket(tmp_path).close()
    assert (tmp_path / "control").read_text() == "mine"


def test_socket_is_not_made_again_after_the_end(tmp_path: Path) -> None:
    """A thread may still look for its file when the daemon stops."""
    control = ControlSocket(tmp_path)
    control.open()
    control.close()
    assert control.listener() is None
    assert not control.path.exists()


def test_longest_path_that_a_configuration_may_have_can_be_listened_at(tmp_path: Path) -> None:
    """100 bytes."""
    folder = tmp_path / ("x" * (MAX_SOCKET_PATH - len(f"{tmp_path}//control")))
    control = ControlSocket(folder)
    control.open()
    assert len(str(control.path)) == MAX_SOCKET_PATH
    assert control.reading().level == 0.0
    control.close()
