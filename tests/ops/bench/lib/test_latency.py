"""The latencies that the benchmark's viewers report, against a whole daemon with a camera that stamps access units."""

import pytest

from ops.bench.lib.plan import Plan
from ops.bench.lib.processes import receive
from ops.bench.lib.servers import open_banken
from ops.bench.lib.stream import sample_file


async def test_viewers_see_a_whole_key_frame_and_how_old_each_picture_is() -> None:
    """Each access unit has an age at its first slice and at its last packet, and so has each key frame."""
    async with open_banken(sample_file(), 1, True) as server:
        joined = await receive(Plan(server.urls, server.pid, joins=2))
        watched = await receive(Plan(server.urls, server.pid, viewers=1, seconds=3.0, stamps=True))
    assert (joined.refusal, len(joined.joins_ms)) == ("", 2)
    pictures = watched.viewers[0].pictures
    assert [len(ages) for ages in (watched.first_ms, watched.last_ms)] == pytest.approx([pictures] * 2, abs=1)
    assert all(0 < age_ms < 5000 for age_ms in watched.first_ms + watched.last_ms)
    assert 1 <= len(watched.key_last_ms) <= len(watched.key_first_ms) <= 3
    assert watched.key_first_ms[0] <= watched.key_last_ms[-1]
