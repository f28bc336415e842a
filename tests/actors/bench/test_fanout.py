"""The benchmark's viewers against a whole daemon: what they count is what a camera sends."""

from actors.bench.plan import Plan
from actors.bench.processes import receive
from actors.bench.servers import open_banken
from actors.bench.stream import FPS, sample_file


async def test_viewers_decrypt_every_packet() -> None:
    """A path is found, keys are agreed, each packet is verified, and none is missing."""
    async with open_banken(sample_file(), 1) as server:
        result = await receive(Plan(server.urls, server.pid, viewers=2, seconds=1.0))
    assert (result.refusal, len(result.viewers), result.lost) == ("", 2, 0)
    assert all(viewer.broken == 0 and viewer.pictures >= FPS / 2 for viewer in result.viewers)
    assert result.packets > 2 * FPS
    assert result.pss_mb > 10
