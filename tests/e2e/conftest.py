"""One Chromium process for the tests of this folder; each test has a separate browser context."""

from collections.abc import Iterator

import pytest

from tests.kit.chromium import share_chromium


@pytest.fixture(scope="package")
def one_process() -> Iterator[None]:
    """Started with the first test that needs a browser, and ended after the last test of this folder."""
    with share_chromium():
        yield


@pytest.fixture
def chromium_here(chromium_here: None, one_process: None) -> None:
    """For tests that need a real browser."""
