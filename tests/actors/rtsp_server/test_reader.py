"""The phases of a reader: every signal in every phase."""

import itertools

import pytest

from actors.rtsp_server.reader import TRANSITIONS, ReaderPhase, ReaderSignal


@pytest.mark.parametrize(("phase", "signal"), list(itertools.product(ReaderPhase, ReaderSignal)))
def test_transition(phase: ReaderPhase, signal: ReaderSignal) -> None:
    """The table is complete; the end is final; only a key frame leads from waiting to live."""
    following = TRANSITIONS[phase][signal]
    if ReaderPhase.ENDED is phase or signal is ReaderSignal.END:
        assert following is ReaderPhase.ENDED
    if phase is ReaderPhase.WAITING and following is ReaderPhase.LIVE:
        assert signal is ReaderSignal.KEY_FRAME
    if signal is ReaderSignal.CAUGHT_UP and phase is ReaderPhase.BEHIND:
        assert following is ReaderPhase.LIVE
