"""The header `Range`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.ranges import Unsatisfiable, byte_range


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, None), ("bytes=0-", (0, 100)), ("bytes=0-0", (0, 1)), ("bytes=99-", (99, 100)), ("bytes=-1", (99, 100)),
        ("bytes=-1000", (0, 100)), ("Bytes = 5-9", (5, 10)), ("bytes=5-1000", (5, 100)), ("bytes=9-5", None),
        ("bytes=0-1,3-4", None), ("bytes=", None), ("bytes=-", None), ("items=0-5", None), ("bytes=+1-5", None),
        ("bytes=1_0-", None), ("bytes=\u0661-", None), (f"bytes={'9' * 20}-", None),
    ],
)  # fmt: skip
def test_range_is_read(header: str | None, found: tuple[int, int] | None) -> None:
    """Of 100 bytes; None is the whole."""
    assert byte_range(header, 100) == found


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0", f"bytes={'9' * 19}-"])
def test_range_without_a_byte_is_refused(header: str) -> None:
    """416."""
    with pytest.raises(Unsatisfiable) as refused:
        byte_range(header, 100)
    assert refused.value.size == 100


@given(st.text(alphabet="bytes=-0123456789, x\t"), st.integers(0, 1000))
def test_range_is_never_beyond_the_bytes(header: str, size: int) -> None:
    """However strange the header is."""
    for text in (header, f"bytes={header}"):
        try:
            found = byte_range(text, size)
        except Unsatisfiable:
            continue
        assert found is None or 0 <= found[0] < found[1] <= size
