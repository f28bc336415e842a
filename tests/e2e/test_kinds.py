"""Every kind of odd camera in `tests/kit/kinds`, played to a real daemon and watched by a viewer."""

from collections.abc import Mapping

import pytest
import trio

from tests.kit.cases.run import Result, play
from tests.kit.kinds import all_kinds

LEAST = 90
"""Kinds from public reports and from the variations of them."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Result]:
    """All are played at once, by one daemon; that takes about a minute."""
    cases = {name: kind.case for name, kind in all_kinds().items()}
    return {result.name: result for result in trio.run(play, tmp_path_factory.mktemp("kinds"), cases)}


def test_there_are_many_kinds() -> None:
    """A list that was emptied by mistake would pass everything else."""
    assert len(all_kinds()) >= LEAST


@pytest.mark.parametrize("name", all_kinds())
def test_camera_of_this_kind_is_shown(name: str, results: Mapping[str, Result]) -> None:
    """All its pictures come whole and in order, and no others; or the one thing that the case names."""
    assert results[name].difference == ""
