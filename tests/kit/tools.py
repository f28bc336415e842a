"""Actors' dependencies for tests: nothing outside of the test is reached unless a test says so."""

import os
from functools import partial
from typing import Any

import trio

from actors.process.process import RealProcess
from actors.process.process_table import RealProcessTable
from actors.tools import Tools
from supervisor.runtime.kernel import Kernel
from supervisor.runtime.reconcile import wait_after_crash, wait_after_crash_of
from supervisor.runtime.vault import Vault
from supervisor.services.detections import Detections
from supervisor.services.leases import Leases

JITTER = 0.5
OWNER = f"test-{os.getpid()}"
"""A sweep ends all processes of its owner. Another test run on this machine is another one."""


def make_tools(kernel: Kernel, keep: trio.Nursery, **others: Any) -> Tools:
    """The dependencies over a kernel; `others` replace those of the same name."""
    jitter = others.get("jitter", lambda: JITTER)
    usual = {
        "sources": Vault(),
        "leases": Leases(kernel),
        "detections": Detections(kernel),
        "wait_after_crash": partial(wait_after_crash_of, kernel),
        "wait_after_camera_crash": partial(wait_after_crash, kernel, jitter),
        "open_process": RealProcess,
        "processes": RealProcessTable(),
        "owner": OWNER,
        "ffmpeg": "ffmpeg",
        "tcp_probe": _never,
        "jitter": jitter,
    }
    return Tools(kernel=kernel, keep=keep, **{**usual, **others})


async def _never(host: str, port: int) -> bool:
    raise AssertionError("this test probes no address")
