"""The size of a JPEG, as the hub reads it."""

import pytest

from actors.media.bitstream import BitstreamError
from actors.media.jpeg import JPEG, MOST_STEPS, picture_size
from tests.kit.media import jpegs


@pytest.mark.parametrize("size", [(64, 64), (640, 360), (1920, 1080)])
def test_size_is_that_of_the_frame_header(size: tuple[int, int]) -> None:
    """Other segments may precede it."""
    (jpeg,) = jpegs(*size, 1)
    assert picture_size(jpeg) == size
    assert JPEG.coded_size(jpeg) == size
    comment = b"\xff\xfe\x00\x12" + b"\xff\xc0\x00\x11\x08\x00\x01\x00\x01" + bytes(7)
    assert picture_size(jpeg[:2] + b"\xff" + comment + jpeg[2:]) == size


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xda\x00\x08",
        b"GIF89a" + bytes(20),
        b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x00\x00\x40",
        b"\xff\xd8" + b"\xff\xfe\x00\x02" * (MOST_STEPS + 1) + b"\xff\xc0\x00\x11\x08\x00\x40\x00\x40",
        b"\xff\xd8\xff\xfe\x00\x00" * 100_000,
        b"\xff\xd8" + b"\xff" * MOST_STEPS + b"\xff\xc0\x00\x11\x08\x00\x40\x00\x40",
    ],
)
def test_bytes_without_a_size_are_refused(bad: bytes) -> None:
    """Also a header without an end, or with a height that comes later."""
    with pytest.raises(BitstreamError):
        picture_size(bad)


def test_every_prefix_is_refused_or_has_the_size() -> None:
    """No cut of a JPEG raises another error."""
    (jpeg,) = jpegs(64, 48, 1)
    for end in range(len(jpeg)):
        try:
            assert picture_size(jpeg[:end]) == (64, 48)
        except BitstreamError:
            continue
