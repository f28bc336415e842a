"""Journals what is counted for the audit: pictures that were sent, and access that was refused."""

from contextlib import suppress

import trio

from ..domain.errors import Rejected
from ..ports.decisions import Origin
from ..runtime.kernel import Kernel

LOOK_EVERY_S = 1.0


async def run_traces(kernel: Kernel) -> None:
    """Report what is due, once in `LOOK_EVERY_S`, until it is cancelled.

    Cancellation: at any time. Cleanup: everything that was counted is reported.
    """
    try:
        while True:
            await trio.sleep(LOOK_EVERY_S)
            report_traces(kernel)
    finally:
        report_traces(kernel, everything=True)


def report_traces(kernel: Kernel, *, everything: bool = False) -> None:
    for principal, command in kernel.traces.take(kernel.clock.mono_ns() / 1e9, everything=everything):
        with suppress(Rejected):
            kernel.emit(command, origin=Origin(principal))
