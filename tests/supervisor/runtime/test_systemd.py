"""The messages of the daemon to systemd."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from supervisor.runtime.systemd import notify, run_watchdog
from tests.kit.daemon import launch_daemon, write_config


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield ear


def heard(ear: socket.socket) -> list[str]:
    said = []
    while True:
        try:
            said.append(ear.recv(100).decode())
        except BlockingIOError:
            return said


async def test_a_daemon_says_when_it_is_ready_and_when_it_stops(manager: socket.socket, tmp_path: Path) -> None:
    """A real daemon sends WATCHDOG, READY and STOPPING, each once."""
    write_config(tmp_path, {})
    async with launch_daemon(tmp_path, {"WATCHDOG_USEC": "30000000"}) as daemon:
        await daemon.wait_ready()
        assert heard(manager) == ["WATCHDOG=1", "READY=1"]
        assert await daemon.end() == 0
    assert heard(manager) == ["STOPPING=1"]


async def test_the_loop_says_three_times_that_it_turns(
    manager: socket.socket, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a watchdog of 30 s there are three messages in 29 s, so that one may be late."""
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    with trio.move_on_after(29):
        await run_watchdog()
    assert heard(manager) == ["WATCHDOG=1"] * 3


async def test_without_a_watchdog_nothing_is_notified(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without WATCHDOG_USEC `run_watchdog` returns at once."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    await run_watchdog()
    assert heard(manager) == []


@pytest.mark.parametrize("address", ["", "/nobody/listens/here", "@nobody-listens-here"])
def test_missing_socket_of_systemd_is_not_an_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty address and sockets without a listener raise no error."""
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")
