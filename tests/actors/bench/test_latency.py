"""What the benchmark's viewers say about time, against a whole daemon with a camera that stamps its pictures."""

from actors.bench.plan import Plan
from actors.bench.processes import receive
from actors.bench.servers import open_banken
from actors.bench.stream import sample_file


async def test_viewers_see_a_whole_key_frame_and_how_old_each_picture_is() -> None:
    async with open_banken(sample_file(), 1, True) as server:
        joined = await receive(Plan(server.urls, server.pid, joins=2))
        watched = await receive(Plan(server.urls, server.pid, viewers=1, seconds=3.0, stamps=True))
    assert (joined.refusal, len(joined.joins_ms)) == ("", 2)
    assert abs(len(watched.delays_ms) - watched.viewers[0].pictures) <= 1
    assert all(0 < delay_ms < 5000 for delay_ms in watched.delays_ms)
    assert 1 <= len(watched.key_last_ms) <= len(watched.key_first_ms) <= 3
    assert watched.key_first_ms[0] <= watched.key_last_ms[-1]
