"""Players that know HLS, and not WebRTC, watch a camera of a running daemon."""

from pathlib import Path

from supervisor.domain import events as e
from tests.kit.daemon import open_daemon
from tests.kit.processes import wait_until
from tests.kit.readers import decode

PATTERN = "test:320x180@15"
SECONDS = 6.0
IDLE_S = 40.0
"""More than the time after which a player that asks no more has left."""


async def test_ffmpeg_plays_what_a_camera_sends_now(tmp_path: Path) -> None:
    """A camera at rest is opened for it. The lease of the player ends after its last request, and has its bytes."""
    async with open_daemon(tmp_path, {"gate": {"source": PATTERN, "mode": "on_demand"}}) as daemon:
        read = await decode("ffmpeg", f"{daemon.url}hls/gate/live.m3u8", SECONDS)
        assert not read.problem
        assert read.frames >= SECONDS * 15 * 0.8
        ended = [e.LeaseEnded]
        await wait_until(
            lambda: any(type(row.event) in ended for row in daemon.journal()), IDLE_S, what="the end of the lease"
        )
        (lease,) = [row.event for row in daemon.journal() if isinstance(row.event, e.LeaseEnded)]
        assert (lease.reason.code, (lease.bytes or 0) > 10_000) == ("gone", True)
