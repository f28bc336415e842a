"""H.265, as far as banken parses it; no input breaks it."""

import random

import pytest

from actors.media.bitstream import BitstreamError
from actors.media.h265 import H265, PPS, SPS, VPS, nal_type, parse_hvcc, picture_size
from actors.media.hub import Hub
from supervisor.base.clock import SystemClock
from supervisor.domain.values import Picture
from tests.kit.media import h265_units


@pytest.mark.parametrize("size", [(64, 64), (640, 360), (1280, 720), (1366, 768)])
def test_the_size_of_a_picture_is_read_from_its_sps(size: tuple[int, int]) -> None:
    """This includes sizes that are not a multiple of 8, so that cropping counts."""
    sps = next(unit for unit in h265_units(*size, count=1)[0] if nal_type(unit) == SPS)
    assert picture_size(sps) == size


def test_the_hub_carries_it() -> None:
    """A key frame begins with all three kinds of parameter sets, even if the camera sent them only once."""
    pictures = h265_units(64, 64)
    hub = Hub(SystemClock())
    hub.begin()
    hub.set_parameter_sets(pictures[0], H265)
    assert hub.picture is None
    bare = [unit for unit in pictures[0] if nal_type(unit) not in (VPS, SPS, PPS)]
    hub.publish(bare, 0, H265)
    assert hub.picture == Picture("h265", 64, 64)
    assert hub.still is not None
    assert [nal_type(unit) for unit in pictures[0] if nal_type(unit) in H265.set_types] == [VPS, SPS, PPS]
    assert hub.newest_key() is not None


def test_a_configuration_record_gives_its_parameter_sets() -> None:
    """VPS, SPS and PPS with lengths of 4 bytes; a record cut at any byte is an error."""
    sets = [unit for unit in h265_units(64, 64)[0] if nal_type(unit) in (VPS, SPS, PPS)]
    arrays = b"".join(bytes([nal_type(unit)]) + b"\x00\x01" + len(unit).to_bytes(2) + unit for unit in sets)
    record = b"\x01" + bytes(20) + b"\xff" + bytes([len(sets)]) + arrays
    assert parse_hvcc(record) == (4, tuple(sets))
    for end in range(len(record)):
        with pytest.raises(BitstreamError):
            parse_hvcc(record[:end])


def test_garbage_ends_in_an_error_that_is_ours() -> None:
    """5000 times noise, and an SPS with one flipped bit: no exception but `BitstreamError`."""
    rng = random.Random(1)
    sps = next(unit for unit in h265_units(64, 64)[0] if nal_type(unit) == SPS)
    for _ in range(5000):
        noise = rng.randbytes(rng.randrange(60))
        damaged = bytearray(sps)
        damaged[rng.randrange(2, len(sps))] ^= 1 << rng.randrange(8)
        for parse, data in ((parse_hvcc, b"\x01" + noise), (picture_size, bytes(damaged)), (picture_size, noise)):
            try:
                parse(data)
            except BitstreamError:
                continue
