"""Which camera's stream a viewer is given."""

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId
from supervisor.domain.substreams import takes, tried
from supervisor.domain.values import Limits, Picture
from tests.kit.domain import ASKED, GATE, YARD, Story, running, settings

ROOF = CameraId("roof")


def story(**substreams: CameraId) -> Story:
    known = tuple(settings(name, substream=substreams.get(name)) for name in (GATE, YARD, ROOF))
    return running().given(c.Configure("test", known, Limits()))


def test_substreams_are_tried_one_after_the_other() -> None:
    """A chain of two substreams follows the camera; a camera without one is tried alone."""
    assert tried(story(gate=YARD, yard=ROOF).state, GATE) == (GATE, YARD, ROOF)
    assert tried(story(gate=YARD).state, ROOF) == (ROOF,)


def test_substream_that_leads_nowhere_or_back_ends() -> None:
    """The configuration allows neither; whoever asks must not hang all the same."""
    assert tried(story(gate=YARD, yard=GATE).state, GATE) == (GATE, YARD)
    assert tried(story(gate=CameraId("gone")).state, GATE) == (GATE,)
    assert tried(story().state, CameraId("gone")) == ()


def test_a_camera_suits_until_it_is_known_to_send_something_else() -> None:
    """Also while it rests: what it sent last is the best that is known."""
    known = story()
    assert takes(known.state, GATE, ("h264",))
    known.given(c.ConnectCamera(GATE), c.ReportLive(GATE, Picture("h265", 640, 360)))
    assert not takes(known.state, GATE, ("h264",))
    assert takes(known.state, GATE, ("h264", "h265"))
    known.given(c.RestCamera(GATE, ASKED))
    assert not takes(known.state, GATE, ("h264",))
