"""The two streams of a camera: each peer gets the one that the domain chooses, and is moved when the choice changes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import attrs
import trio
import trio.testing
from trio.testing import MockClock

from actors.media.hub import Hub
from actors.media.jpeg import JPEG
from actors.media.rendition import Rendition
from actors.webrtc.fanout_peer import FanoutPeer
from actors.webrtc.streams import Streams
from supervisor.domain import commands as c
from supervisor.domain.values import Limits, Reason, Transcode
from tests.actors.webrtc.test_fanout import Sink
from tests.kit.core import Core, open_core
from tests.kit.domain import GATE, settings
from tests.kit.media import FPS, access_units, jpegs

TICK = 90_000 // FPS
DELAY = 54_000
"""Of the transcoder, in ticks."""
FAILED = Reason("killed", "ffmpeg was ended by SIGKILL")


@attrs.define
class Rig:
    core: Core
    hub: Hub
    rendition: Rendition
    streams: Streams
    sent: int = 0
    made: int = 0

    def add(self, *codecs: str) -> tuple[Sink, FanoutPeer]:
        sink = Sink(codecs=codecs or ("h264",))
        return sink, self.streams.add(sink)  # type: ignore[arg-type]  # a fake sender

    async def send(self, count: int = 1, *, b_frames: bool = False) -> None:
        """Send H.264 of the camera; with `b_frames`, decoded in another order than presented."""
        for _ in range(count):
            order = (0, 3, 1, 2)[self.sent % 4] + self.sent // 4 * 4 if b_frames else self.sent
            self.hub.publish(access_units()[self.sent % 20], order * TICK, dts=self.sent * TICK)
            self.sent += 1
            await trio.sleep(1 / FPS)

    async def make(self, count: int = 1) -> None:
        """Fill the rendition, as its transcoder does: `DELAY` behind the camera's hub."""
        for _ in range(count):
            self.rendition.hub.publish(access_units()[self.made % 20], self.hub.pts_now() - DELAY)
            self.made += 1
            await trio.sleep(1 / FPS)

    def configure(self, transcode: Transcode) -> None:
        self.core.kernel.emit(c.Configure("test", (settings(GATE, transcode=transcode),), Limits()))
        self.streams.refresh()


@asynccontextmanager
async def open_rig(transcode: Transcode = Transcode.AUTO, *, moves: bool = True) -> AsyncIterator[Rig]:
    """With `moves` off, the task that moves peers has not run yet."""
    wanted = c.Configure("test", (settings(GATE, transcode=transcode),), Limits())
    async with open_core(configuration=wanted) as core, trio.open_nursery() as nursery:
        hub = Hub(core.kernel.clock)
        hub.begin()
        rendition = Rendition(hub, core.kernel.clock)
        rendition.hub.begin()
        rig = Rig(core, hub, rendition, Streams(GATE, hub, rendition, core.kernel))
        for task in (rig.streams.own.run, rig.streams.made.run, *([rig.streams.run] if moves else [])):
            nursery.start_soon(task)
        await trio.testing.wait_all_tasks_blocked()
        yield rig
        nursery.cancel_scope.cancel()


async def test_peer_is_moved_when_b_frames_are_found(autojump_clock: MockClock) -> None:
    """Its time stamps go on, it gets the rendition only, and its move is reported with the reason."""
    async with open_rig() as rig:
        sink, peer = rig.add()
        changes: list[Reason | None] = []
        peer.changed = lambda: changes.append(peer.transcoded)
        await rig.send(4)
        before = len(sink.pictures)
        assert before > 0
        assert rig.rendition.needs.count == 0
        await rig.send(16, b_frames=True)
        assert rig.rendition.needs.count == 1
        assert [why.code for why in changes if why] == ["b-frames"]
        held = len(sink.pictures)
        await rig.send(4, b_frames=True)
        assert len(sink.pictures) == held
        await rig.make(6)
        assert len(sink.pictures) >= held + 5
        assert sink.pictures[held][0], "a key frame comes first"
        times = [pts for _, pts in sink.pictures[held - 1 :]]
        assert times == sorted(times)
        rig.streams.remove(peer)
        assert rig.rendition.needs.count == 0
        assert sink.closed


async def test_peer_that_is_moved_does_not_go_back_in_time(autojump_clock: MockClock) -> None:
    """The rendition is later than the camera's own video, so its first pictures are older than what was shown."""
    async with open_rig() as rig:
        await rig.send(10)
        sink, _ = rig.add()
        await rig.send(6)
        shown = sink.pictures[-1][1]
        rig.configure(Transcode.ALWAYS)
        held = len(sink.pictures)
        assert rig.hub.pts_now() - DELAY < shown
        await rig.make(15)
        after = [pts for _, pts in sink.pictures[held:]]
        assert len(after) >= 10
        assert all(one < two for one, two in pairwise([shown, *after]))


async def test_peer_gets_the_video_of_the_camera_while_the_transcoder_fails(autojump_clock: MockClock) -> None:
    """Jerky video is better than none; it still counts as a need, and is moved when there is a transcoder again."""
    async with open_rig() as rig:
        await rig.send(20, b_frames=True)
        sink, peer = rig.add()
        assert peer.transcoded is not None
        rig.rendition.fail(FAILED)
        assert peer.transcoded is None
        assert rig.rendition.needs.count == 1
        await rig.send(8, b_frames=True)
        assert sink.pictures
        rig.rendition.fail(None)
        assert peer.transcoded is not None
        assert rig.rendition.needs.count == 1


async def test_peer_of_an_mjpeg_camera_waits_for_its_transcoder(autojump_clock: MockClock) -> None:
    """It came before the first picture, so the codec was not known. It is not ended, whatever happens to the child."""
    async with open_rig() as rig:
        sink, peer = rig.add()
        rig.hub.publish([jpegs()[0]], 0, JPEG)
        await trio.sleep(1)
        rig.hub.publish([jpegs()[1]], TICK, JPEG)
        await trio.sleep(1)
        assert not peer.has_ended
        assert rig.rendition.needs.count == 1
        rig.rendition.fail(FAILED)
        assert not peer.has_ended
        rig.rendition.fail(None)
        await rig.make(3)
        assert len(sink.pictures) >= 2


async def test_peer_is_not_ended_for_a_codec_that_its_rendition_replaces(autojump_clock: MockClock) -> None:
    """The fan-out may see the first picture of an MJPEG camera before the peer is moved."""
    async with open_rig(moves=False) as rig:
        _, peer = rig.add()
        for index, jpeg in enumerate(jpegs()):
            rig.hub.publish([jpeg], index * TICK, JPEG)
            await trio.sleep(1)
        assert not peer.has_ended
        rig.streams.refresh()
        assert peer.transcoded is not None


async def test_settings_move_peers_at_once(autojump_clock: MockClock) -> None:
    """`always` gives each peer the rendition, and `never` none; one that can show nothing else is ended."""
    async with open_rig() as rig:
        await rig.send(4)
        _, plain = rig.add()
        _, picky = rig.add("h265")
        rig.configure(Transcode.ALWAYS)
        assert plain.transcoded is not None
        assert plain.transcoded.code == "always"
        assert picky.transcoded is None, "it takes no H.264"
        rig.configure(Transcode.NEVER)
        assert plain.transcoded is None
        assert rig.rendition.needs.count == 0
        rig.hub.publish([jpegs()[0]], 10 * TICK, JPEG)
        rig.hub.publish([jpegs()[1]], 11 * TICK, JPEG)
        assert (await plain.wait_end()).code == "unsupported-codec"
