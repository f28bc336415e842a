"""The audio packets of a real ffmpeg, from its description to a measured tone in Opus."""

from functools import partial
from itertools import pairwise
from pathlib import Path

import attrs
import imageio_ffmpeg
import pytest
import trio
import trio.testing

from actors.media.audio import OPUS
from actors.media.hub import Hub
from actors.media.media import AudioFrame, SourceLoss
from actors.media.transcoder import run_transcoder
from actors.sources.rtsp import sdp
from actors.sources.rtsp.choice import choose_audio
from actors.sources.rtsp.reorder import Reorder
from actors.sources.rtsp.rtp import Track
from actors.sources.rtsp.timeline import TrackTimeline
from tests.actors.process.test_child import tools
from tests.kit.core import open_core
from tests.kit.domain import GATE
from tests.kit.media import decode, pitch
from tests.kit.patience import give_up_after
from tests.kit.tones import tone_input

FFMPEG = str(imageio_ffmpeg.get_ffmpeg_exe())
CODECS = {
    # name: rate, channels, ffmpeg's arguments, the codec that is read
    "G.722": (16_000, 1, ("-c:a", "g722"), "g722"),
    "G.726 16": (8000, 1, ("-c:a", "g726le", "-code_size", "2"), "g726"),
    "G.726 24": (8000, 1, ("-c:a", "g726le", "-code_size", "3"), "g726"),
    "G.726 32": (8000, 1, ("-c:a", "g726le", "-code_size", "4"), "g726"),
    "G.726 40": (8000, 1, ("-c:a", "g726le", "-code_size", "5"), "g726"),
    "AAL2-G.726": (8000, 1, ("-c:a", "g726", "-code_size", "4"), "aal2-g726"),
    "L16": (44_100, 2, ("-c:a", "pcm_s16be"), "l16"),
    "L16 of 16 kHz": (16_000, 1, ("-c:a", "pcm_s16be"), "l16"),
    "L24": (48_000, 2, ("-c:a", "pcm_s24be"), "l24"),
    "PCMU of 16 kHz": (16_000, 2, ("-c:a", "pcm_mulaw"), "pcmu"),
    "PCMA of 48 kHz": (48_000, 1, ("-c:a", "pcm_alaw"), "pcma"),
    "MP2": (48_000, 2, ("-c:a", "mp2", "-b:a", "192k"), "mpa"),
    "MP3": (44_100, 2, ("-c:a", "libmp3lame", "-b:a", "320k"), "mpa"),
    "MP3 of 16 kHz": (16_000, 1, ("-c:a", "libmp3lame", "-b:a", "32k"), "mpa"),
    "AAC": (16_000, 1, ("-c:a", "aac"), "aac"),
    "AAC in fragments": (48_000, 2, ("-c:a", "aac", "-b:a", "256k", "-pkt_size", "300"), "aac"),
    "LATM": (44_100, 2, ("-c:a", "aac", "-rtpflags", "latm"), "aac"),
    "LATM in fragments": (48_000, 2, ("-c:a", "aac", "-b:a", "256k", "-rtpflags", "latm", "-pkt_size", "300"), "aac"),
}


@attrs.define
class Heard:
    """The description and the datagrams of one ffmpeg."""

    description: str
    datagrams: list[bytes]


async def send(folder: Path, rate: int, channels: int, arguments: tuple[str, ...]) -> Heard:
    """Run ffmpeg, which sends two seconds of a tone to a UDP port here."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as socket:
        await socket.bind(("127.0.0.1", 0))
        to = f"rtp://127.0.0.1:{socket.getsockname()[1]}"
        command = [FFMPEG, "-v", "error", "-readrate", "4", *tone_input(rate, channels, 2.2), *arguments]
        command += ["-f", "rtp", "-sdp_file", str(folder / "sdp"), to]
        datagrams = list[bytes]()
        async with trio.open_nursery() as nursery:

            async def collect() -> None:
                while True:
                    datagrams.append(await socket.recv(65536))

            nursery.start_soon(collect)
            await trio.run_process(command, stdin=b"")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    return Heard((folder / "sdp").read_text(), datagrams)


@pytest.mark.parametrize("name", CODECS)
async def test_packets_of_ffmpeg_are_heard(name: str, tmp_path: Path) -> None:
    """Description, packets, frames and transcoder together give the tone of 440 Hz, without a gap."""
    rate, channels, arguments, codec = CODECS[name]
    loss = SourceLoss()
    with give_up_after(60):
        sent = await send(tmp_path, rate, channels, arguments)
        chosen, mute = choose_audio(sdp.parse(sent.description.encode()))
        assert chosen is not None, mute
        assert (chosen.audio.codec, chosen.oddities()) == (codec, frozenset())
        async with open_core() as core:
            hub, clock = Hub(core.kernel.clock), TrackTimeline(chosen.reader.clock_rate)
            hub.set_audio(chosen.audio)
            publish = partial(publish_frame, hub, clock)
            order = Reorder(Track(chosen.format.number, chosen.depacketizer(publish, loss), clock, loss), lambda: 0)
            async with trio.open_nursery() as nursery:
                with hub.listeners.listen():
                    nursery.start_soon(
                        run_transcoder, GATE, hub.audio_frames, hub.opus, hub.recorded_opus, hub.listeners,
                        attrs.evolve(tools(core), ffmpeg=FFMPEG),
                    )  # fmt: skip
                    await trio.testing.wait_all_tasks_blocked()
                    for index, datagram in enumerate(sent.datagrams):
                        order.receive(datagram, index / 100)
                        if index % 50 == 0:  # the ring buffer holds 256 frames
                            await trio.testing.wait_all_tasks_blocked(0.02)
                    while hub.opus.end < 80:
                        await hub.opus.wait_beyond(hub.opus.end)
                    out = hub.opus.read_nowait(0, 80)
                nursery.cancel_scope.cancel()
    assert {frame.format for frame in out} == {OPUS}
    assert {later.pts - earlier.pts for earlier, later in pairwise(out)} == {1800}
    assert pitch(decode("libopus", (frame.data for frame in out))[20:]) == pytest.approx(440, abs=2)
    assert (loss.malformed, loss.oddities) == (0, {})


def publish_frame(hub: Hub, clock: TrackTimeline, frame: bytes, timestamp: int) -> None:
    assert hub.audio is not None
    hub.audio_frames.append(AudioFrame(hub.audio, frame, clock.pts(timestamp)))
