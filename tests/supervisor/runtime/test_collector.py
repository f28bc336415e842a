"""The collector of cyclic garbage and the switch interval of threads, as a running daemon sets them."""

import gc
import sys

from supervisor.runtime import collector
from supervisor.runtime.collector import FULL_AFTER, SWITCH_INTERVAL_S


def test_after_a_start_full_collections_are_rare_and_threads_give_way_soon() -> None:
    """Neither a full collection every few seconds nor a thread that computes makes the loop late."""
    thresholds, turn, collects = gc.get_threshold(), sys.getswitchinterval(), gc.isenabled()
    try:
        collector.settle()
        assert gc.isenabled()
        assert gc.get_threshold() == (*thresholds[:2], FULL_AFTER)
        assert sys.getswitchinterval() <= 2 * SWITCH_INTERVAL_S < 0.005
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(turn)
        if not collects:
            gc.disable()
