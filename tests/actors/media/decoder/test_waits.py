"""The wait of a camera whose key frame ended the decoder."""

import pytest

from actors.media.decoder.queue import Undecodable
from actors.media.decoder.waits import Waits
from supervisor.domain.ids import CameraId

GATE, YARD = CameraId("gate"), CameraId("yard")


def test_wait_of_a_camera_grows_with_each_failure_and_ends_with_a_picture() -> None:
    """The wait begins at a second and is bounded; another camera does not wait."""
    waits, lengths = Waits(), []
    for _ in range(20):
        waits.blame(GATE, 100.0, 0.5, None)
        with pytest.raises(Undecodable) as refused:
            waits.check(GATE, 100.0)
        lengths.append(refused.value.retry_s)
        waits.check(YARD, 100.0)
        waits.check(GATE, 100.0 + lengths[-1])
    assert lengths[1] > lengths[0] >= 1
    assert lengths == sorted(lengths)
    assert lengths[-1] == lengths[-2] <= 600
    assert waits.clear_failures(GATE)[0]
    waits.check(GATE, 100.0)
