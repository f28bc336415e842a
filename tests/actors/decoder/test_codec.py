"""Pictures as JPEG: none is larger than the daemon takes."""

import random

import av
import pytest

from actors.decoder import codec
from actors.decoder.wire import MOST_ANSWER


def noise(width: int, height: int) -> av.VideoFrame:
    """The picture whose JPEG is largest."""
    frame, chance = av.VideoFrame(width, height, "yuvj420p"), random.Random(7)
    for plane in frame.planes:
        plane.update(chance.randbytes(plane.buffer_size))
    return frame


def test_jpeg_of_the_largest_picture_of_noise_has_an_allowed_size() -> None:
    """Of 4096 x 4096 pixels; it is made with less quality."""
    picture = noise(4096, 4096)
    assert len(codec._encode(picture, codec.QUALITIES[0])) > MOST_ANSWER
    assert MOST_ANSWER / 4 < len(codec.encode(picture)) <= MOST_ANSWER


def test_picture_whose_jpeg_is_too_large_at_any_quality_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its size as the reason."""
    monkeypatch.setattr(codec, "MOST_ANSWER", 1000)
    with pytest.raises(codec.Undecodable, match=r"its JPEG has 0\.\d MB; up to 0\.0 MB"):
        codec.encode(noise(512, 512))
