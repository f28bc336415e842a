"""The table of what a video transcoder's child gets next."""

from itertools import product

import pytest

from actors.media.intake import OVER, TRANSITIONS, Arrival, Intake


@pytest.mark.parametrize(("intake", "arrival"), [*product(Intake, Arrival)])
def test_intake_of_each_pair(intake: Intake, arrival: Arrival) -> None:
    """Final ones stay; a key frame always continues, and nothing else does where a key frame is awaited."""
    then = TRANSITIONS[intake][arrival]
    if intake in OVER:
        assert then is intake
    elif arrival in (Arrival.OTHER_FORMAT, Arrival.SILENCE):
        assert then is (Intake.CHANGED if arrival is Arrival.OTHER_FORMAT else Intake.AWAY)
    elif arrival is Arrival.KEY_FRAME:
        assert then is Intake.NEXT
    else:
        awaits = arrival is Arrival.LEFT_OUT or intake is Intake.KEY_FRAME
        assert then is (Intake.KEY_FRAME if awaits else Intake.NEXT)
