"""Profile and level as people write them."""

import os

import pytest

from actors.media.profiles import profile_and_level


@pytest.mark.parametrize(
    ("codec", "sps", "found"),
    [
        ("h264", "6764001f", ("High", "3.1")),
        ("h264", "67640029", ("High", "4.1")),
        ("h264", "67640c29", ("Constrained High", "4.1")),
        ("h264", "674d0028", ("Main", "4.0")),
        ("h264", "6742001e", ("Baseline", "3.0")),
        ("h264", "6742c01e", ("Constrained Baseline", "3.0")),
        ("h264", "6742100b", ("Baseline", "1b")),
        ("h264", "67630028", ("profile 99", "4.0")),
        ("h265", "420101016000000300b0000003000003005d", ("Main", "3.1")),
        ("h265", "4201010160000003000003000003000003007b", ("Main", "4.1")),
        ("h265", "42010122200000030090000003000003009900", ("Main 10, High tier", "5.1")),
        ("h264", "6764", ("", "")),
        ("h265", "4201", ("", "")),
        ("mjpeg", "6764001f", ("", "")),
    ],
)
def test_profile_and_level_are_read(codec: str, sps: str, found: tuple[str, str]) -> None:
    """Of real parameter sets, also with emulation prevention bytes; nothing for one that ends early."""
    assert profile_and_level(codec, bytes.fromhex(sps)) == found


def test_any_bytes_give_two_texts() -> None:
    """No input raises an error."""
    for size in range(40):
        for codec in ("h264", "h265"):
            assert len(profile_and_level(codec, os.urandom(size))) == 2
