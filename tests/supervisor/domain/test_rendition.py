"""The stream that a consumer gets: each pair of settings and format, substreams, and the limit of transcoders."""

from itertools import product

import pytest
from msgspec.structs import replace

from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, ChildId, RunId
from supervisor.domain.lifecycle import CameraPhase, ChildPhase
from supervisor.domain.rendition import CHOICES, Consumer, Fit, ServedStream, busy, camera_for, choose
from supervisor.domain.state import AUDIO, VIDEO, Camera, Child, State
from supervisor.domain.values import Limits, Picture, Transcode
from tests.kit.domain import GATE, YARD, settings

PROCESSORS = 4
CODECS = ("h264", "h265", "mjpeg", "mpeg4")
OFFERS = (("h264",), ("h265",), ("h264", "h265"))


def camera(name: CameraId, codec: str | None, *, substream: CameraId | None = None, b_frames: bool = False,
           transcode: Transcode = Transcode.AUTO) -> Camera:  # fmt: skip
    """Return a camera that is live, or was never (`codec` None)."""
    picture = Picture(codec, 640, 360, b_frames=b_frames) if codec else None
    known = settings(name, substream=substream, transcode=transcode)
    return Camera(known, CameraPhase.LIVE, 0, picture=picture)


def state(*cameras: Camera, most: int = 0, transcoded: tuple[CameraId, ...] = ()) -> State:
    found = State(limits=Limits(transcoders=most))
    for known in cameras:
        found = replace(found, cameras=found.cameras.insert(known.settings.camera, known))
    for name in transcoded:
        child = Child(ChildId(f"video-{name}"), name, VIDEO, (), RunId("run"), ChildPhase.RUNNING, 0, 0)
        found = replace(found, children=found.children.insert(child.child, child))
    return found


def test_table_has_a_stream_for_every_pair() -> None:
    """Of consumers and settings, and for each fit."""
    assert set(CHOICES) == set(product(Consumer, Transcode))
    assert all(set(row) == set(Fit) for row in CHOICES.values())


@pytest.mark.parametrize("consumer", Consumer)
@pytest.mark.parametrize("transcode", Transcode)
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("b_frames", [True, False])
@pytest.mark.parametrize("possible", [True, False])
def test_stream_of_every_combination(
    consumer: Consumer, transcode: Transcode, codec: str, offer: tuple[str, ...], b_frames: bool, possible: bool
) -> None:
    """By rules in words, not by the table: none without H.264, never a codec that was not offered, and a reason."""
    choice = choose(consumer, transcode, Picture(codec, 1, 1, b_frames=b_frames), offer, possible=possible)
    may_be_made = transcode is not Transcode.NEVER and possible and "h264" in offer
    if codec not in offer:
        expected = ServedStream.RENDITION if may_be_made else ServedStream.NONE
    elif consumer is Consumer.PLAYER or not may_be_made:
        expected = ServedStream.OWN
    else:
        expected = ServedStream.RENDITION if b_frames or transcode is Transcode.ALWAYS else ServedStream.OWN
    assert choice.stream is expected
    assert (choice.why is not None) == (expected is ServedStream.RENDITION)


def test_reason_names_what_the_camera_sends() -> None:
    """For the page, the API and the journal."""
    peer, auto = Consumer.PEER, Transcode.AUTO
    reasons = [
        choose(peer, auto, Picture("mjpeg", 1, 1), ["h264"]).why,
        choose(peer, auto, Picture("h264", 1, 1, b_frames=True), ["h264"]).why,
        choose(peer, Transcode.ALWAYS, None, ["h264"]).why,
        choose(Consumer.PLAYER, auto, Picture("mpeg4", 1, 1), ["h264"]).why,
    ]
    assert [(why.code, why.text) for why in reasons if why] == [
        ("codec", "the camera sends MJPEG, which this viewer did not offer"),
        ("b-frames", "the camera sends B-frames, which browsers show jerkily"),
        ("always", "transcode: always"),
        ("codec", "the camera sends MPEG-4, which RTSP does not carry here"),
    ]


def test_format_that_is_not_known_yet_counts_as_suitable() -> None:
    """The peer is moved when it is known."""
    assert choose(Consumer.PEER, Transcode.AUTO, None, ["h264"]).stream is ServedStream.OWN


def test_substream_that_suits_comes_before_a_rendition() -> None:
    """Also for an MJPEG camera; a substream that does not suit is no help, and the camera itself is transcoded."""
    both = state(camera(GATE, "h265", substream=YARD), camera(YARD, "h264"))
    assert camera_for(both, GATE, ["h264"], PROCESSORS) == YARD
    assert camera_for(both, GATE, ["h264", "h265"], PROCESSORS) == GATE
    assert (
        camera_for(state(camera(GATE, "mjpeg", substream=YARD), camera(YARD, "h265")), GATE, ["h264"], PROCESSORS)
        == GATE
    )


def test_substream_is_left_out_where_every_peer_gets_the_rendition() -> None:
    """With `transcode: always` of the camera that was asked for."""
    both = state(camera(GATE, "h265", substream=YARD, transcode=Transcode.ALWAYS), camera(YARD, "h264"))
    assert camera_for(both, GATE, ["h264"], PROCESSORS) == GATE


@pytest.mark.parametrize(("transcode", "found"), [(Transcode.AUTO, GATE), (Transcode.NEVER, None)])
def test_camera_whose_codec_no_viewer_takes(transcode: Transcode, found: CameraId | None) -> None:
    """It is shown by a rendition, or not at all."""
    assert camera_for(state(camera(GATE, "mjpeg", transcode=transcode)), GATE, ["h264", "h265"], PROCESSORS) == found


def test_viewer_is_refused_while_too_many_transcoders_run() -> None:
    """With the number and the setting. One that can be shown without a transcoder is not refused."""
    cameras = camera(GATE, "mjpeg"), camera(YARD, "mjpeg")
    with pytest.raises(Rejected) as rejected:
        camera_for(state(*cameras, most=1, transcoded=(YARD,)), GATE, ["h264"], PROCESSORS)
    assert rejected.value.refusal is Refusal.UNAVAILABLE
    assert "at_once" in rejected.value.reason
    assert camera_for(state(*cameras, most=1, transcoded=(YARD,)), YARD, ["h264"], PROCESSORS) == YARD
    assert camera_for(state(*cameras, most=2, transcoded=(YARD,)), GATE, ["h264"], PROCESSORS) == GATE
    jerky = camera(GATE, "h264", b_frames=True, transcode=Transcode.ALWAYS)
    assert camera_for(state(jerky, most=1, transcoded=(YARD,)), GATE, ["h264"], PROCESSORS) == GATE


def test_only_transcoders_of_video_count() -> None:
    """Those of audio cost little. Without a setting, there may be as many as processors."""
    heard = state(camera(GATE, "h264"), most=1)
    child = Child(ChildId("audio-1"), YARD, AUDIO, (), RunId("run"), ChildPhase.RUNNING, 0, 0)
    heard = replace(heard, children=heard.children.insert(child.child, child))
    assert busy(heard, GATE, PROCESSORS) is None
    assert busy(state(camera(GATE, "h264"), transcoded=(YARD,)), GATE, PROCESSORS) is None
    assert busy(state(camera(GATE, "h264"), transcoded=(YARD,)), GATE, 1) is not None
