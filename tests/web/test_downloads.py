"""Downloads: which requests belong together."""

from web.downloads import MOST, TOGETHER_S, Downloads


def test_requests_within_ten_minutes_are_one_download() -> None:
    """Each of them keeps it alive; a pause ends it."""
    downloads = Downloads()
    assert not downloads.goes_on("a", 0)
    downloads.note("a", 0)
    assert downloads.goes_on("a", TOGETHER_S)
    assert downloads.goes_on("a", 2 * TOGETHER_S)
    assert not downloads.goes_on("a", 3 * TOGETHER_S + 1)
    assert not downloads.goes_on("b", 1)


def test_forgotten_download_is_journaled_again() -> None:
    """The table is bounded."""
    downloads = Downloads()
    for number in range(MOST + 1):
        downloads.note(number, 0)
    assert not downloads.goes_on(0, 1)
    assert downloads.goes_on(1, 1)
