"""H.264, as far as banken parses it; no input breaks it."""

import random

import pytest

from actors.media import h264
from actors.media.bitstream import MAX_SPS, BitstreamError, join_annexb, split_annexb, split_prefixed
from actors.media.h264 import (
    IDR,
    PPS,
    SPS,
    nal_type,
    parse_avcc,
    picture_size,
)
from tests.kit.media import access_units


def test_start_codes_of_three_and_four_bytes() -> None:
    """Zero bytes at the end belong to no unit; input without a start code has no units."""
    stream = b"\x00\x00\x00\x01\x67ab\x00\x00\x01\x68c\x00\x00\x00\x01\x65de\x00\x00"
    assert list(split_annexb(stream)) == [b"\x67ab", b"\x68c", b"\x65de"]
    assert list(split_annexb(b"no start code")) == []
    assert list(split_annexb(b"")) == []


def test_joining_and_splitting_are_inverse() -> None:
    """The units of a real key frame come back unchanged: SPS, PPS and IDR."""
    units = list(access_units()[0])
    assert list(split_annexb(join_annexb(units))) == units
    assert {SPS, PPS, IDR} <= {nal_type(unit) for unit in units}


@pytest.mark.parametrize("size", [(64, 64), (640, 360), (1280, 720), (1920, 1080), (176, 144), (1366, 768)])
def test_the_size_of_a_picture_is_read_from_its_sps(size: tuple[int, int]) -> None:
    """This includes sizes that are not a multiple of 16, so that cropping counts."""
    sps = next(unit for unit in access_units(*size, count=1)[0] if nal_type(unit) == SPS)
    assert picture_size(sps) == size


def test_a_length_that_leads_out_of_the_sample_is_refused() -> None:
    """A length of 9 with 2 bytes left: the error names both."""
    with pytest.raises(BitstreamError, match="9 bytes in a sample with 2 left"):
        list(split_prefixed(b"\x00\x00\x00\x09ab", 4))


def test_garbage_ends_in_an_error_that_is_ours() -> None:
    """Twenty thousand hostile inputs yield a result or a `BitstreamError`, nothing else."""
    rng = random.Random(1)
    sps = next(unit for unit in access_units()[0] if nal_type(unit) == SPS)
    for _ in range(5000):
        noise = rng.randbytes(rng.randrange(40))
        damaged = bytearray(sps)
        damaged[rng.randrange(1, len(sps))] ^= 1 << rng.randrange(8)
        for parse in (
            lambda n=noise: list(split_annexb(n)),
            lambda n=noise: list(split_prefixed(n, 1 + len(n) % 4)),
            lambda n=noise: parse_avcc(b"\x01" + n),
            lambda d=bytes(damaged): picture_size(d),
            lambda n=noise: picture_size(b"\x67\x64\x00\x1f" + n),
        ):
            try:
                parse()
            except BitstreamError:
                continue


def test_size_of_a_parameter_set_is_read_once() -> None:
    """Bytes after those that are parsed cost nothing."""
    sps = next(unit for unit in access_units()[0] if nal_type(unit) == SPS)
    filled = sps + b"\xff" * (MAX_SPS - len(sps))
    size = picture_size(filled)
    read = h264._read_sps.cache_info().misses
    assert all(picture_size(filled + bytes([number])) == size for number in range(100))
    assert h264._read_sps.cache_info().misses == read
