"""Whose children a daemon ends: its own, also at the worst of moments, and those of no other daemon."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from supervisor.domain import events as e
from supervisor.domain.state import VIDEO
from tests.kit.daemon import launch_daemon, open_daemon, write_config
from tests.kit.kills import GONE_S, MARK, open_silence
from tests.kit.processes import marked, wait_bounded, wait_until
from tests.kit.viewer import open_viewer

pytestmark = pytest.mark.paired

SLOW = """#!/bin/sh
sleep 0.3
PATH=${PATH#*:} exec setpriv "$@"
"""
"""Delays the first step of a child process, as a busy machine sometimes does."""


async def test_a_child_that_was_only_just_forked_does_not_outlive_the_daemon(tmp_path: Path) -> None:
    """A slow `setpriv` holds that moment open; no marked process is left."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "setpriv").write_text(SLOW)
    (programs / "setpriv").chmod(0o755)
    mark = f"{MARK}={tmp_path}"
    async with open_silence() as port:
        write_config(tmp_path, {"mute": {"ffmpeg": ["-f", "mpegts", "-i", f"tcp://127.0.0.1:{port}", "-c", "copy"]}})
        environment = {MARK: str(tmp_path), "PATH": f"{programs}:{os.environ['PATH']}"}
        async with launch_daemon(tmp_path, environment) as daemon:
            await wait_until(lambda: len(marked(mark)) > 1, 30, what="the first child")
            await daemon.end(signal.SIGKILL)
        try:
            await wait_bounded(lambda: not marked(mark), GONE_S, what="the end of the child")
        finally:
            for process in marked(mark):
                os.kill(process.pid, signal.SIGKILL)


async def test_video_transcoder_of_a_killed_daemon_does_not_outlive_it(tmp_path: Path) -> None:
    """Killed while a viewer gets transcoded video; the next start names the child as abandoned."""
    mark = f"{MARK}={tmp_path}"
    write_config(tmp_path, {"gate": "test:320x180@15"}, "transcode: always")
    async with launch_daemon(tmp_path, {MARK: str(tmp_path)}) as daemon, open_viewer() as viewer:
        await daemon.wait_ready()
        await daemon.wait_camera("gate", "live")
        await viewer.accept((await daemon.offer("gate", viewer.offer)).text)
        await viewer.wait_frames(1)
        listed = (await daemon.get("/api/processes"))["processes"]
        (video,) = (each for each in listed if each["purpose"] == VIDEO)
        assert video["pid"] in [process.pid for process in marked(mark)]
        await daemon.end(signal.SIGKILL)
        try:
            await wait_bounded(lambda: not marked(mark), GONE_S, what="the end of the children")
        finally:
            for process in marked(mark):
                os.kill(process.pid, signal.SIGKILL)
    rows = daemon.journal()
    async with open_daemon(tmp_path, {}) as again:
        left = [row.event for row in again.journal()[len(rows) :]]
    assert video["id"] in [event.child for event in left if isinstance(event, e.ChildAbandoned)]


async def test_daemon_over_the_copy_of_a_journal_leaves_the_children_of_the_first(tmp_path: Path) -> None:
    """The node is the same in both journals; the sweep that follows the start of the second ends nothing."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    camera = {
        "front": {"ffmpeg": ["-re", "-f", "lavfi", "-i", "testsrc=size=160x90:rate=5", "-c:v", "libx264", "-g", "5"]}
    }
    async with open_daemon(first, camera) as daemon:
        await daemon.wait_camera("front", "live")
        assert await daemon.end() == 0
    shutil.copytree(first / "journal", second / "journal")
    async with open_daemon(first, camera) as one:
        await one.wait_camera("front", "live")
        (child,) = one.children()
        async with open_daemon(second, camera) as other:
            await other.wait_camera("front", "live")
            assert [process.pid for process in one.children()] == [child.pid]
        rows = other.journal()
    assert {row.node for row in rows} == {row.node for row in one.journal()}
    assert "ChildFound" not in {row.type for row in rows}
