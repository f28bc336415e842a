"""Frames as JPEG: none exceeds the size that the daemon accepts."""

import random

import av
import pytest

from actors.media.decoder import codec
from actors.media.decoder.wire import MOST_ANSWER
from tests.kit.media import jpegs, mpeg4_pictures


def noise(width: int, height: int) -> av.VideoFrame:
    """Return the frame with the largest JPEG."""
    frame, chance = av.VideoFrame(width, height, "yuvj420p"), random.Random(7)
    for plane in frame.planes:
        plane.update(chance.randbytes(plane.buffer_size))
    return frame


@pytest.mark.slow
def test_jpeg_of_the_largest_picture_of_noise_has_an_allowed_size() -> None:
    """A frame of 4096 x 4096 pixels is encoded with lower quality."""
    picture = noise(4096, 4096)
    assert len(codec._encode(picture, codec.QUALITIES[0])) > MOST_ANSWER
    assert MOST_ANSWER / 4 < len(codec.encode(picture)) <= MOST_ANSWER


def test_picture_whose_jpeg_is_too_large_at_any_quality_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names its size."""
    monkeypatch.setattr(codec, "MOST_ANSWER", 1000)
    with pytest.raises(codec.DecodeError, match=r"its JPEG has 0\.\d MB; up to 0\.0 MB"):
        codec.encode(noise(512, 512))


@pytest.mark.parametrize("name", ["mjpeg", "mpeg4"])
def test_pictures_of_old_cameras_are_decoded(name: str) -> None:
    """For thumbnails, motion and, of MPEG-4, snapshots."""
    (picture,) = jpegs(128, 96, 1) if name == "mjpeg" else mpeg4_pictures(128, 96, 1)
    frame = codec.decode(name, picture)
    assert (frame.width, frame.height) == (128, 96)
    looked, _ = codec.look(name, picture, b"")
    assert looked.share == 0
    with pytest.raises(codec.DecodeError):
        codec.decode(name, b"\xff\xd8\xff\x00")
