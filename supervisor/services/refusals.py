"""Refusals of clients that ask too often, reported to the journal once a minute at the most."""

import trio

from ..ports.decisions import ACTOR
from ..runtime.kernel import Kernel

LOOK_EVERY_S = 1.0
REPORT_EVERY_S = 60.0


async def run_refusals(kernel: Kernel) -> None:
    """Report the first refusal within `LOOK_EVERY_S`, and what follows once in `REPORT_EVERY_S`.

    Cancellation: at any time. Cleanup: nothing is held; what was not reported yet is forgotten.
    """
    while True:
        await trio.sleep(LOOK_EVERY_S)
        report = kernel.allowance.take_refused(kernel.clock.mono_ns() / 1e9)
        if report is not None:
            kernel.emit(report, origin=ACTOR)
            await trio.sleep(REPORT_EVERY_S - LOOK_EVERY_S)
