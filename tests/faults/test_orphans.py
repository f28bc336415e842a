"""The daemon is killed at the worst of moments: its child has been forked, and has not yet asked to die with it."""

import os
import signal
from pathlib import Path

from tests.kit.daemon import launch_daemon, write_config
from tests.kit.kills import GONE_S, MARK, open_silence
from tests.kit.processes import marked, wait_until

SLOW = """#!/bin/sh
sleep 0.3
PATH=${PATH#*:} exec setpriv "$@"
"""
"""What a busy machine does to the first step of a child, for certain."""


async def test_a_child_that_was_only_just_forked_does_not_outlive_the_daemon(tmp_path: Path) -> None:
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
            await wait_until(lambda: not marked(mark), GONE_S, what="the end of the child")
        finally:
            for process in marked(mark):
                os.kill(process.pid, signal.SIGKILL)
