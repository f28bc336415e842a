"""Key frames that are decoded, by the size that their parameter sets announce to a decoder."""

from functools import cache
from typing import Protocol

import pytest

from actors.media.decoder.limits import MOST_SIDE, refusal
from actors.media.decoder.wire import MOST_REQUEST
from actors.media.h264 import H264, SPS
from actors.media.h265 import H265
from actors.media.h265 import SPS as SPS265
from actors.media.media import VideoCodec
from tests.kit.media import access_units, h265_units

type_of = H264.nal_type


def ue(value: int) -> str:
    """Return an exp-Golomb code, as bits."""
    code = bin(value + 1)[2:]
    return "0" * (len(code) - 1) + code


@cache
def sps_of_h264(width: int, height: int, crop: tuple[int, int, int, int] | None = None) -> bytes:
    """Return a sequence parameter set of the baseline profile; `crop` in units of two pixels."""
    bits = ue(0) + ue(0) + ue(2) + ue(1) + "0" + ue(width // 16 - 1) + ue(height // 16 - 1) + "1" + "1"
    bits += "1" + "".join(map(ue, crop)) if crop else "0"
    bits += "01"
    bits += "0" * (-len(bits) % 8)
    return b"\x67\x42\x00\x33" + int(bits, 2).to_bytes(len(bits) // 8)


@cache
def sps_of_h265(width: int, height: int, crop: tuple[int, int, int, int] | None = None) -> bytes:
    """Return a sequence parameter set of the main profile with one layer; `crop` in units of two pixels."""
    bits = "0000" + "000" + "1" + "0" * 96 + ue(0) + ue(1) + ue(width) + ue(height)
    bits += "1" + "".join(map(ue, crop)) if crop else "0"
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    raw = int(bits, 2).to_bytes(len(bits) // 8)
    escaped = bytearray()
    for byte in raw:
        if escaped[-2:] == b"\0\0" and byte <= 3:
            escaped.append(3)
        escaped.append(byte)
    return bytes([SPS265 << 1, 1]) + escaped


SIZES = [
    (1920, 1088, None, True),
    (4096, 4096, None, True),
    (8192, 2048, None, True),
    (4112, 4096, None, False),
    (8192, 8192, None, False),
    (8208, 16, None, False),
    (16, 8208, None, False),
    (8192, 8192, (0, 4000, 0, 4000), False),
    (16384, 16384, (0, 8160, 0, 8160), False),
]


class MakeSps(Protocol):
    def __call__(self, width: int, height: int, crop: tuple[int, int, int, int] | None = None, /) -> bytes: ...


CODECS: list[tuple[VideoCodec, MakeSps]] = [(H264, sps_of_h264), (H265, sps_of_h265)]


@pytest.mark.parametrize(("width", "height", "crop", "taken"), SIZES)
@pytest.mark.parametrize(("codec", "sps"), CODECS, ids=["h264", "h265"])
def test_coded_size_decides_whatever_cropping_shows(
    codec: VideoCodec, sps: MakeSps, width: int, height: int, crop: tuple[int, int, int, int] | None, taken: bool
) -> None:
    """A frame of 8192x8192 that shows 192x192 pixels costs the decoder all of them."""
    unit = sps(width, height, crop)
    assert codec.coded_size(unit) == (width, height)
    refused = refusal(codec, (unit, b"\x65picture"))
    assert (refused is None) == taken
    assert taken or f"coded as {width}x{height}" in (refused or "")


@pytest.mark.parametrize(("codec", "sps"), CODECS, ids=["h264", "h265"])
def test_every_parameter_set_of_the_key_frame_counts(codec: VideoCodec, sps: MakeSps) -> None:
    """A large one after a small one, or after the first slice, counts."""
    small, large = sps(640, 352), sps(8192, 8192)
    assert refusal(codec, (small, large, b"\x65picture"))
    assert refusal(codec, (small, b"\x65picture", large, b"\x65picture"))
    assert refusal(codec, (small, b"\x65picture")) is None


@pytest.mark.parametrize(("codec", "sps"), CODECS, ids=["h264", "h265"])
def test_unreadable_or_missing_parameter_set_is_refused(codec: VideoCodec, sps: MakeSps) -> None:
    """The reason names which one."""
    assert "cannot be read" in (refusal(codec, (sps(640, 352)[:6], b"\x65picture")) or "")
    assert "cannot be read" in (refusal(codec, (sps(32768, 352), b"\x65picture")) or "")
    assert "no sequence parameter set" in (refusal(codec, (b"\x65picture",)) or "")


def test_key_frame_of_too_many_bytes_is_refused() -> None:
    """The bytes of all its units count, start codes included."""
    sps = sps_of_h264(640, 352)
    assert refusal(H264, (sps, bytes([0x65]) * (MOST_REQUEST - len(sps) - 8))) is None
    assert "up to 16 MiB are decoded" in (refusal(H264, (sps, bytes([0x65]) * (MOST_REQUEST - len(sps) - 7))) or "")


def test_real_streams_have_the_size_that_their_encoder_was_given() -> None:
    """The size is in whole macroblocks for H.264, in whole coding blocks for H.265."""
    sps = next(unit for unit in access_units(640, 360)[0] if H264.nal_type(unit) == SPS)
    assert (H264.coded_size(sps), H264.picture_size(sps)) == ((640, 368), (640, 360))
    sps = next(unit for unit in h265_units(68, 68)[0] if H265.nal_type(unit) == SPS265)
    assert H265.picture_size(sps) == (68, 68)
    assert H265.coded_size(sps) >= (68, 68)
    assert MOST_SIDE % 16 == 0
