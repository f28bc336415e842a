"""Limits that end a test that hangs. They measure nothing: on a machine with other work, everything may take longer.

`ops/check` runs its steps side by side and sets `BANKEN_PATIENCE`, which multiplies every limit. A time that banken
guarantees is not such a limit: its tests have the marker `alone`, and run while nothing else does, or `paired`, and run
beside one other test.
"""

import os
from contextlib import AbstractContextManager

import trio

PATIENCE = float(os.environ.get("BANKEN_PATIENCE", "1"))


def give_up_after(seconds: float) -> AbstractContextManager[trio.CancelScope]:
    """`trio.fail_after`, with patience."""
    return trio.fail_after(seconds * PATIENCE)
