"""The units, key frames and size of MPEG-4 part 2, as the hub reads them."""

import pytest

from actors.media.bitstream import BitstreamError
from actors.media.mpeg4 import CONFIGURATION, I_VOP, MPEG4, OTHER_VOP, picture_size, split_picture, unit_kind
from tests.kit.media import mpeg4_pictures


def test_key_frame_is_split_into_configuration_and_picture() -> None:
    """The others have a picture alone; joined again, all are the same bytes."""
    pictures = mpeg4_pictures(count=5)
    kinds = [[unit_kind(unit) for unit in split_picture(picture)] for picture in pictures]
    assert kinds == [[CONFIGURATION, I_VOP], *[[OTHER_VOP]] * 4]
    assert [MPEG4.join(split_picture(picture)) for picture in pictures] == list(pictures)


@pytest.mark.parametrize("size", [(64, 64), (176, 144), (704, 576), (1280, 720)])
def test_size_is_that_of_the_layer(size: tuple[int, int]) -> None:
    """In pixels; other units have none."""
    configuration, picture = split_picture(mpeg4_pictures(*size, 1)[0])
    assert picture_size(configuration) == size
    MPEG4.check_set(configuration)
    with pytest.raises(BitstreamError):
        picture_size(picture)


def test_group_header_belongs_to_the_picture_behind_it() -> None:
    """It would be lost in front of the configuration that the hub repeats."""
    configuration, picture = split_picture(mpeg4_pictures()[0])
    group = b"\x00\x00\x01\xb3\x00\x10\x07"
    assert split_picture(configuration + group + picture) == (configuration, group + picture)
    assert split_picture(group + picture) == (group + picture,)
    assert unit_kind(group + picture) == I_VOP


def test_configuration_alone_is_one_unit() -> None:
    """As the description of an RTSP camera has it."""
    configuration, _ = split_picture(mpeg4_pictures()[0])
    assert split_picture(configuration) == (configuration,)
    assert split_picture(b"") == ()


def test_every_cut_configuration_is_refused_or_has_the_size() -> None:
    """No cut of it raises another error."""
    configuration, _ = split_picture(mpeg4_pictures()[0])
    for end in range(len(configuration)):
        try:
            assert picture_size(configuration[:end]) == (64, 64)
        except BitstreamError:
            continue
