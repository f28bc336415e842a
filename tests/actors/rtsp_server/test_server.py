"""The RTSP server as readers see it, in virtual time: honest ones, slow ones, and ones that misbehave."""

import errno
import socket
import struct
from itertools import pairwise
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.media.audio import OPUS, make_aac
from actors.media.h265 import H265
from actors.media.jpeg import JPEG
from actors.media.media import CLOCK_RATE, AudioFormat
from actors.media.rendition import Rendition
from actors.rtsp_server import connection, packets, server
from actors.rtsp_server.connection import FIRST_S, NEGOTIATE_S, PICTURE_S, PLAY_S, REQUEST_S
from actors.rtsp_server.reader import RtspReader
from actors.rtsp_server.readers import MAX_BEHIND_S, STUCK_S
from actors.rtsp_server.requests import SESSION_S
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.ids import LeaseId
from supervisor.domain.values import Fault, Limits, Reason, Transcode
from tests.kit.domain import GATE, settings
from tests.kit.media import FPS, access_units, h265_units, jpegs, make_broken_packetizer
from tests.kit.patience import PATIENCE, give_up_after
from tests.kit.rtsp_site import MANY, Answered, Client, Site, open_site

KICKED = Reason("kicked", "an operator ended this lease", Fault.NONE)


@pytest.fixture(autouse=True)
def _patient(autojump_clock: MockClock) -> None:
    """The sockets are real: before the clock jumps, the kernel of the system has some time to deliver."""
    autojump_clock.autojump_threshold = 0.03 * PATIENCE


async def read_to_end(client: Client) -> bytes:
    try:
        with trio.fail_after(1000):  # of virtual time
            while True:
                await client.more()
    except (EOFError, trio.BrokenResourceError):
        return bytes(client.data)


async def closed(site: Site) -> list[str]:
    """Return the codes of the reasons of all peers that have ended."""
    await wait_all_tasks_blocked()
    return [row.event.reason.code for row in await site.core.stored() if isinstance(row.event, e.PeerClosed)]


def made_of(site: Site) -> Rendition:
    assert site.readers.rendition is not None
    assert site.readers.rendition.made is not None
    return site.readers.rendition.made


async def test_reader_gets_the_cached_gop_and_then_each_access_unit(autojump_clock: MockClock) -> None:
    """RTP-Info names the first packet; sequence numbers have no gap; time stamps are those of the camera."""
    async with open_site() as site, trio.open_nursery() as nursery:
        await site.play(0, 27)
        client = await Client.connect(site)
        answer = await client.play(site)
        nursery.start_soon(site.play, 27, 37)
        info = dict(part.split("=", 1) for part in answer.headers["rtp-info"].split(";"))
        assert info["url"] == f"{site.url}/trackID=0"
        stamps: list[int] = []
        sequences: list[int] = []
        while len(stamps) < 15:
            channel, packet = await client.frame()
            if channel == 0:
                sequences.append(int.from_bytes(packet[2:4]))
                if packet[1] & 0x80:
                    stamps.append(int.from_bytes(packet[4:8]))
        assert (sequences[0], stamps[0]) == (int(info["seq"]), int(info["rtptime"]))
        assert [(b - a) & 0xFFFF for a, b in pairwise(sequences)] == [1] * (len(sequences) - 1)
        assert [(b - a) & 0xFFFFFFFF for a, b in pairwise(stamps)] == [90_000 // FPS] * 14
        opened = [row.event for row in await site.core.stored() if isinstance(row.event, e.PeerOpened)]
        assert [event.protocol for event in opened] == ["rtsp"]


async def test_two_readers_get_the_same_packets(autojump_clock: MockClock) -> None:
    """One packetization for all: SSRC, sequence numbers and time stamps are equal."""
    async with open_site() as site, trio.open_nursery() as nursery:
        await site.play(0, 5)
        clients = [await Client.connect(site) for _ in range(2)]
        for client in clients:
            await client.play(site)
        nursery.start_soon(site.play, 5, 10)
        found = []
        for client in clients:
            packets: list[bytes] = []
            while len(packets) < 8:
                channel, packet = await client.frame()
                packets += [packet] if channel == 0 else []
            found.append(packets)
        assert found[0] == found[1]


async def test_audio_comes_with_the_video_on_its_own_channels(autojump_clock: MockClock) -> None:
    """Cached frames from the key frame on, then live ones; each is one packet with the next sequence number."""
    async with open_site() as site:
        site.hear(OPUS)
        await site.play(0, 1)
        for index in range(5):
            site.hub.publish_audio(bytes([index]) * 20, index * 1800)
        client = await Client.connect(site)
        assert "m=audio" in (await client.ask("DESCRIBE", site.url)).body
        for track in (0, 1):
            transport = f"RTP/AVP/TCP;unicast;interleaved={2 * track}-{2 * track + 1}"
            assert (await client.ask("SETUP", f"{site.url}/trackID={track}", {"Transport": transport})).status == 200
        assert (await client.ask("PLAY", site.url)).headers["rtp-info"].count("seq=") == 2
        found: list[bytes] = []
        while len(found) < 5:
            channel, packet = await client.frame()
            found += [packet] if channel == 2 else []
        await trio.sleep(0.1)
        site.hub.publish_audio(b"\x05" * 20, 9000)
        while len(found) < 6:
            channel, packet = await client.frame()
            found += [packet] if channel == 2 else []
        assert [packet[12] for packet in found] == [0, 1, 2, 3, 4, 5]
        assert len({int.from_bytes(packet[2:4]) for packet in found}) == 6


@pytest.mark.parametrize(
    ("audio", "size", "heard"),
    [
        (AudioFormat("aac", 16_000, 1, make_aac(16_000, 1)), 8191, True),
        (AudioFormat("aac", 16_000, 1, make_aac(16_000, 1)), 8192, False),
        (AudioFormat("aac", 16_000, 1, make_aac(16_000, 1)), 65_530, False),
        (AudioFormat("mpa", 48_000, 2), 65_491, True),
        (AudioFormat("mpa", 48_000, 2), 65_530, False),
    ],
)
@pytest.mark.parametrize("is_cached", [False, True])
async def test_frame_of_audio_that_fits_into_no_packet_is_left_out(
    audio: AudioFormat, size: int, heard: bool, is_cached: bool, autojump_clock: MockClock
) -> None:
    """Readers get the frames around it, and stay; it is counted."""
    async with open_site() as site:
        site.hear(audio)
        await site.play(0, 1)
        client = await Client.connect(site)
        assert "m=audio" in (await client.ask("DESCRIBE", site.url)).body
        for track in (0, 1):
            transport = f"RTP/AVP/TCP;unicast;interleaved={2 * track}-{2 * track + 1}"
            assert (await client.ask("SETUP", f"{site.url}/trackID={track}", {"Transport": transport})).status == 200
        if not is_cached:
            assert (await client.ask("PLAY", site.url)).status == 200
            await trio.sleep(0.1)
        for index, each in enumerate((20, size, 30)):
            site.hub.publish_audio(bytes(each), index * 1800)
        if is_cached:
            assert (await client.ask("PLAY", site.url)).status == 200
        found: list[int] = []
        with give_up_after(30):
            while 30 not in found:
                channel, packet = await client.frame()
                found += [len(packet) - 12 - 4] if channel == 2 else []
        assert found == ([20, size, 30] if heard else [20, 30])
        (peer,) = site.core.kernel.state.peers
        counters = site.statistics(peer)
        assert counters is not None
        assert counters.skipped == (0 if heard else 1)
        assert await closed(site) == []


async def test_camera_that_changes_to_a_codec_that_is_transcoded_ends_its_readers(autojump_clock: MockClock) -> None:
    """Each has to ask again, and those that come later are served: nothing crashes."""
    async with open_site() as site:
        site.core.kernel.emit(c.Configure("test", (settings(GATE, transcode=Transcode.NEVER),), MANY))
        await site.play(0, 2)
        clients = [await Client.connect(site) for _ in range(2)]
        for client in clients:
            await client.play(site)
        await clients[1].pictures(1)
        for index, picture in enumerate(jpegs()[:3]):
            site.hub.publish((picture,), (2 + index) * CLOCK_RATE // FPS, codec=JPEG)
        await read_to_end(clients[1])
        assert await closed(site) == ["changed"] * 2
        answer = await (await Client.connect(site)).ask("DESCRIBE", site.url)
        assert answer.status == 415
        await site.play(40, 42)  # from a key frame on
        client = await Client.connect(site)
        await client.play(site)
        assert len(await client.pictures(2)) == 2


async def test_camera_that_changes_its_codec_in_mid_stream_ends_its_readers(autojump_clock: MockClock) -> None:
    """At the first key frame of the new codec; then they get the new description."""
    async with open_site() as site:
        await site.play(0, 2)
        client = await Client.connect(site)
        await client.play(site)
        await client.pictures(2)
        key, second, _ = h265_units(64, 64)
        site.hub.set_parameter_sets(key, H265)
        site.hub.publish(second, 2 * CLOCK_RATE // FPS, H265)
        assert await closed(site) == []
        site.hub.publish(key, 3 * CLOCK_RATE // FPS, H265)
        await read_to_end(client)
        assert await closed(site) == ["changed"]
        answer = await (await Client.connect(site)).ask("DESCRIBE", site.url)
        assert "H265/90000" in answer.body


@pytest.mark.parametrize("made", [0, 20, 100], ids=["at once", "in the first chunk", "after a chunk"])
async def test_bug_of_the_packetizer_ends_the_readers_that_were_to_get_its_packets(
    made: int, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crash is the reason of their end; the fan-out goes on, and serves readers that come later."""
    async with open_site() as site:
        await site.play(0, 2)
        clients = [await Client.connect(site) for _ in range(2)]
        for client in clients:
            await client.play(site)
            await client.pictures(2)
        with monkeypatch.context() as patched:
            patched.setattr(packets, "packetize", make_broken_packetizer(made))
            await site.play(2, 3, 200_000)
            for client in clients:
                await read_to_end(client)
        assert await closed(site) == ["crashed"] * 2
        await site.play(40, 42)  # from a key frame on
        client = await Client.connect(site)
        await client.play(site)
        assert len(await client.pictures(2)) == 2


async def test_bug_in_the_look_at_one_reader_ends_that_one(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the live task has to send to a reader is asked for each of them, in its own guard."""
    async with open_site() as site:
        await site.play(0, 2)
        clients = [await Client.connect(site) for _ in range(2)]
        for client in clients:
            await client.play(site)
            await client.pictures(2)
        asked: list[RtspReader] = []
        look = vars(RtspReader)["is_live"].fget

        def is_live(reader: RtspReader) -> bool:
            asked.append(reader)
            if len(asked) == 1:
                raise ZeroDivisionError
            return bool(look(reader))

        monkeypatch.setattr(RtspReader, "is_live", property(is_live))
        await site.play(2, 5)
        await read_to_end(clients[0])
        assert await closed(site) == ["crashed"]
        assert len(await clients[1].pictures(3)) == 3


async def test_slow_reader_delays_no_other_and_is_closed(autojump_clock: MockClock) -> None:
    """A reader that stops reading is closed as stuck; the other gets each access unit."""
    async with open_site() as site, trio.open_nursery() as nursery:
        await site.play(0, 1)
        slow = await Client.connect(site, room=4096)
        await slow.play(site)
        good = await Client.connect(site)
        await good.play(site)
        frames = round((STUCK_S + MAX_BEHIND_S + 3) * FPS)
        nursery.start_soon(site.play, 1, frames, 40_000)
        stamps = await good.pictures(frames)
        assert [(b - a) & 0xFFFFFFFF for a, b in pairwise(stamps)] == [90_000 // FPS] * (frames - 1)
        assert await closed(site) == ["stuck"]


async def test_reader_that_was_slow_continues_at_a_key_frame(autojump_clock: MockClock) -> None:
    """It misses whole access units, and its next one can be decoded."""
    autojump_clock.autojump_threshold = 0.05 * PATIENCE  # a slow receiver's window opens in the kernel's own time
    async with open_site() as site, trio.open_nursery() as nursery:
        await site.play(0, 1)
        slow = await Client.connect(site, room=4096)
        await slow.play(site)
        nursery.start_soon(site.play, 1, 100, 60_000)
        await trio.sleep(3.8)  # the older GOP is still cached then
        sequences: list[int] = []
        types: list[str] = []
        while len(types) < 60:
            channel, packet = await slow.frame()
            if channel == 0:
                if sequences and (sequences[-1] + 1) & 0xFFFF != int.from_bytes(packet[2:4]):
                    types.append("gap")
                sequences.append(int.from_bytes(packet[2:4]))
                types.append("key" if packet[12] & 0x1F == 24 else "other")  # parameter sets begin an aggregate
        assert "gap" in types
        assert {types[at + 1] for at, kind in enumerate(types) if kind == "gap"} == {"key"}
        peer = next(iter(site.core.kernel.state.peers.values()))
        assert peer.phase == "connected"
        assert site.hub.skipped > 0
        nursery.cancel_scope.cancel()


async def test_revoked_lease_closes_the_connection_at_once(autojump_clock: MockClock) -> None:
    """The reason is in the journal."""
    async with open_site() as site:
        await site.play(0, 1)
        client = await Client.connect(site)
        await client.play(site)
        (lease,) = site.core.kernel.state.leases
        site.core.kernel.emit(c.EndLease(LeaseId(lease), KICKED))
        (peer,) = site.core.kernel.state.peers
        site.stop(peer, KICKED)
        began = trio.current_time()
        await read_to_end(client)
        assert trio.current_time() - began < 1
        assert await closed(site) == ["kicked"]


async def test_reader_of_datagrams_lives_by_requests_and_reports(autojump_clock: MockClock) -> None:
    """It gets datagrams at the address of its connection, and is closed `SESSION_S` after the last sign of life."""
    with socket.socket(type=socket.SOCK_DGRAM) as rtp, socket.socket(type=socket.SOCK_DGRAM) as rtcp:
        for each in (rtp, rtcp):
            each.bind(("127.0.0.1", 0))
        ports = f"{rtp.getsockname()[1]}-{rtcp.getsockname()[1]}"
        async with open_site() as site:
            await site.play(0, 5)
            client = await Client.connect(site)
            answer = await client.ask(
                "SETUP", f"{site.url}/trackID=0", {"Transport": f"RTP/AVP;unicast;client_port={ports}"}
            )
            assert answer.status == 200
            server_port = int(answer.headers["transport"].rpartition("-")[2])
            assert (await client.ask("PLAY", site.url)).status == 200
            await trio.sleep(1)
            rtp.setblocking(False)
            assert rtp.recv(2000)[0] == 0x80
            await trio.sleep(SESSION_S - 10)
            assert (await client.ask("GET_PARAMETER", site.url)).status == 200
            await trio.sleep(SESSION_S - 10)
            rtcp.sendto(b"\x80\xc9\x00\x01\x00\x00\x00\x01", ("127.0.0.1", server_port))
            await trio.sleep(SESSION_S - 10)
            assert await closed(site) == []
            began = trio.current_time()
            await read_to_end(client)
            assert 5 < trio.current_time() - began <= 10
            assert await closed(site) == ["lost"]


async def test_ports_of_another_reader_are_refused_and_stay_its_own(autojump_clock: MockClock) -> None:
    """Nobody can send video to the ports of another program on the same host, or take its reports."""
    with socket.socket(type=socket.SOCK_DGRAM) as rtcp:
        rtcp.bind(("127.0.0.1", 0))
        port = rtcp.getsockname()[1]

        async def set_up(client: Client, ports: str) -> Answered:
            transport = f"RTP/AVP;unicast;client_port={ports}"
            return await client.ask("SETUP", f"{site.url}/trackID=0", {"Transport": transport})

        async with open_site() as site:
            await site.play(0, 5)
            first, second, third = [await Client.connect(site) for _ in range(3)]
            answer = await set_up(first, f"5000-{port}")
            server_port = int(answer.headers["transport"].rpartition("-")[2])
            await first.ask("PLAY", site.url)
            refused = [await set_up(second, ports) for ports in (f"6000-{port}", f"{port}-6001", "5000-5001")]
            assert {(each.status, "another reader" in each.body) for each in refused} == {(461, True)}
            assert (await set_up(second, "6000-6001")).status == 200
            assert (await set_up(second, "6002-6003")).status == 200
            assert (await set_up(third, "6000-6001")).status == 200
            await trio.aclose_forcefully(second.stream)
            await trio.sleep(SESSION_S - 10)
            rtcp.sendto(b"\x80\xc9\x00\x01\x00\x00\x00\x01", ("127.0.0.1", server_port))
            await trio.sleep(SESSION_S - 10)
            assert (await first.ask("OPTIONS", "*")).status == 200
            await trio.aclose_forcefully(first.stream)
            await trio.sleep(1)
            assert (await set_up(await Client.connect(site), f"5000-{port}")).status == 200


async def test_describe_waits_for_the_first_picture_and_answers_503_without_one(autojump_clock: MockClock) -> None:
    """An on-demand camera is opened by the lease, and DESCRIBE waits for its key frame for a bounded time."""
    async with open_site() as site, trio.open_nursery() as nursery:
        client = await Client.connect(site)
        began = trio.current_time()
        answer = await client.ask("DESCRIBE", site.url)
        assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        assert "gate has sent no picture within 8 s" in answer.body
        assert trio.current_time() - began == pytest.approx(PICTURE_S, abs=0.5)
        assert await closed(site) == ["no-picture"]
        await client.stream.send_all(client.encode("DESCRIBE", site.url))
        await trio.sleep(2)
        assert len(site.core.kernel.state.leases) == 1
        nursery.start_soon(site.play, 0, 2)
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("is_reset", [False, True])
async def test_reader_that_hangs_up_while_it_waits_for_a_picture_frees_its_lease(
    is_reset: bool, autojump_clock: MockClock
) -> None:
    """At once, and as one who left: the camera did nothing wrong."""
    async with open_site() as site:
        client = await Client.connect(site)
        await client.stream.send_all(client.encode("DESCRIBE", site.url))
        await trio.sleep(1)
        assert len(site.core.kernel.state.leases) == 1
        if is_reset:
            client.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await trio.aclose_forcefully(client.stream)
        await trio.sleep(1)
        assert not site.core.kernel.state.leases
        assert await closed(site) == ["left"]


async def test_request_that_comes_while_a_description_waits_is_answered_after_it(autojump_clock: MockClock) -> None:
    """It ends no wait, and is not lost."""
    async with open_site() as site:
        client = await Client.connect(site)
        await client.stream.send_all(client.encode("DESCRIBE", site.url))
        await trio.sleep(1)
        await client.stream.send_all(client.encode("OPTIONS", "*"))
        await trio.sleep(1)
        await site.play(0, 1)
        assert "m=video" in (await client.answer()).body
        assert "DESCRIBE" in (await client.answer()).headers["public"]


async def test_end_of_the_server_while_a_description_waits_is_no_fault_of_the_camera(autojump_clock: MockClock) -> None:
    """The journal does not say that the camera sent nothing in time."""
    async with open_site() as site:
        client = await Client.connect(site)
        await client.stream.send_all(client.encode("DESCRIBE", site.url))
        await trio.sleep(1)
        site.serving.cancel()
        await trio.sleep(1)
        assert await closed(site) == ["left"]


async def test_kicked_reader_ends_while_its_description_waits(autojump_clock: MockClock) -> None:
    """Its connection is closed at once, not when a picture comes."""
    async with open_site() as site:
        client = await Client.connect(site)
        await client.stream.send_all(client.encode("DESCRIBE", site.url))
        await trio.sleep(1)
        (lease,) = site.core.kernel.state.leases
        site.core.kernel.emit(c.EndLease(LeaseId(lease), KICKED))
        (peer,) = site.core.kernel.state.peers
        began = trio.current_time()
        site.stop(peer, KICKED)
        assert await read_to_end(client) == b""
        assert trio.current_time() - began < 1
        assert await closed(site) == ["kicked"]


@pytest.mark.parametrize("is_cut", [False, True])
async def test_reader_that_asks_and_never_plays_is_closed(is_cut: bool, autojump_clock: MockClock) -> None:
    """Other requests do not keep its lease: `PLAY_S` counts from the first description."""
    async with open_site() as site:
        await site.play(0, 1)
        client = await Client.connect(site)
        began = trio.current_time()
        assert (await client.ask("DESCRIBE", site.url)).status == 200
        with pytest.raises((EOFError, trio.BrokenResourceError)):  # noqa: PT012
            while trio.current_time() - began < 1000:
                await trio.sleep(9)
                request = client.encode("OPTIONS", "*")
                if is_cut:
                    await client.stream.send_all(request[:10])
                    await trio.sleep(9)
                    request = request[10:]
                await client.stream.send_all(request)
                await client.answer()
        assert trio.current_time() - began <= PLAY_S + 9
        assert not site.core.kernel.state.leases
        assert await closed(site) == ["not-played"]


async def test_reader_that_plays_late_stays(autojump_clock: MockClock) -> None:
    """After PLAY, no time counts from the description."""
    async with open_site() as site, trio.open_nursery() as nursery:
        await site.play(0, 1)
        client = await Client.connect(site)
        await client.play(site)
        await trio.sleep(2 * PLAY_S)
        nursery.start_soon(site.play, 40, 42)
        await client.pictures(2)
        assert await closed(site) == []


class BrokenListener(socket.socket):
    """Its `accept` fails so often with `number`, then works."""

    number, failures = errno.EPERM, 0

    def accept(self) -> tuple[socket.socket, Any]:
        if BrokenListener.failures > 0:
            BrokenListener.failures -= 1
            raise OSError(self.number, "no")
        return super().accept()


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENETDOWN, errno.EINVAL, errno.ECONNABORTED, errno.EMFILE])
async def test_accept_that_fails_again_and_again_stops_nothing_else(
    number: int, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Other tasks run in between, at any error; connections are served as soon as it works again."""
    monkeypatch.setattr(BrokenListener, "number", number)
    monkeypatch.setattr(BrokenListener, "failures", 20)
    async with open_site(kind=BrokenListener) as site:
        client = await Client.connect(site)
        turns = 0
        while BrokenListener.failures:
            await trio.sleep(0.01)
            turns += 1
        assert turns > 20
        assert (await client.ask("OPTIONS", "*")).status == 200


async def test_reader_of_jpegs_that_may_not_be_transcoded_gets_415(autojump_clock: MockClock) -> None:
    """At once, with the codec and the setting that helps; nobody needs the transcoder. The connection stays."""
    async with open_site() as site:
        site.core.kernel.emit(c.Configure("test", (settings(GATE, transcode=Transcode.NEVER),), MANY))
        site.hub.publish([jpegs()[0]], 0, JPEG)
        client = await Client.connect(site)
        began = trio.current_time()
        answer = await client.ask("DESCRIBE", site.url)
        assert answer.status == 415
        assert "gate sends MJPEG" in answer.body
        assert "`transcode: auto`" in answer.body
        assert trio.current_time() - began < PICTURE_S / 2
        assert made_of(site).needs.count == 0
        assert await closed(site) == ["unsupported-codec"]
        assert (await client.ask("OPTIONS", site.url)).status == 200


async def test_reader_of_transcoded_video_has_the_reason_in_the_journal(autojump_clock: MockClock) -> None:
    """After it is connected, and in the state, as a viewer by WebRTC has it; one of the camera's own video has none."""
    async with open_site() as site:
        site.hub.publish([jpegs()[0]], 0, JPEG)
        client = await Client.connect(site)
        await client.stream.send_all(client.encode("DESCRIBE", site.url))
        await trio.sleep(1)
        made_of(site).hub.begin()
        made_of(site).hub.publish(access_units()[0], site.hub.pts_now())
        assert (await client.answer()).status == 200
        transport = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
        assert (await client.ask("SETUP", f"{site.url}/trackID=0", transport)).status == 200
        assert (await client.ask("PLAY", site.url)).status == 200
        await wait_all_tasks_blocked()
        (peer,) = site.core.kernel.state.peers.values()
        assert peer.transcoded is not None
        assert peer.transcoded.text == "the camera sends MJPEG, which RTSP does not carry here"
        events = [type(row.event) for row in await site.core.stored()]
        assert events.index(e.PeerStreamChanged) == events.index(e.PeerConnected) + 1


@pytest.mark.parametrize("transcode", Transcode)
async def test_reader_of_b_frames_gets_them_as_they_are(transcode: Transcode, autojump_clock: MockClock) -> None:
    """Players put them in order, so no transcoder is needed, whatever viewers in browsers get."""
    async with open_site() as site:
        site.core.kernel.emit(c.Configure("test", (settings(GATE, transcode=transcode),), MANY))
        for index in range(20):
            shown = (0, 3, 1, 2)[index % 4] + index // 4 * 4
            site.hub.publish(access_units()[index], shown * CLOCK_RATE // FPS, dts=index * CLOCK_RATE // FPS)
        assert site.hub.has_b_frames
        client = await Client.connect(site)
        await client.play(site)
        assert len(await client.pictures(5)) == 5
        assert not any(isinstance(row.event, e.PeerStreamChanged) for row in await site.core.stored())
        assert made_of(site).needs.count == 0


@pytest.mark.parametrize(
    ("failure", "code", "words"),
    [
        (
            Reason("transcoders-busy", "the video of 1 camera is transcoded already; transcoder: at_once"),
            "transcoders-busy",
            "gate cannot be shown now: the video of 1 camera is transcoded already; transcoder: at_once",
        ),
        (Reason("killed", "ffmpeg was ended by SIGKILL"), "killed", "now: ffmpeg was ended by SIGKILL"),
        (None, "no-picture", "its transcoder has returned no video yet"),
    ],
)
async def test_reader_of_jpegs_without_a_transcoder_gets_503_with_its_failure(
    failure: Reason | None, code: str, words: str, autojump_clock: MockClock
) -> None:
    """In the body and in the journal, as viewers by WebRTC get it: the camera did send a picture."""
    async with open_site() as site:
        site.hub.publish([jpegs()[0]], 0, JPEG)
        made_of(site).fail(failure)
        client = await Client.connect(site)
        answer = await client.ask("DESCRIBE", site.url)
        assert (answer.status, answer.headers["retry-after"]) == (503, "5" if failure else "2")
        assert words in answer.body
        assert await closed(site) == [code]
        assert made_of(site).needs.count == 0


async def test_reader_beyond_the_transcoders_is_answered_at_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with the limit, and without a wait for a transcoder that may not start."""
    limit = Reason("transcoders-busy", "the video of 1 camera is transcoded already; transcoder: at_once")
    monkeypatch.setattr(connection, "busy", lambda *_: limit)
    async with open_site() as site:
        site.hub.publish([jpegs()[0]], 0, JPEG)
        client = await Client.connect(site)
        began = trio.current_time()
        answer = await client.ask("DESCRIBE", site.url)
        assert trio.current_time() - began < 1
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert answer.body == f"gate cannot be shown now: {limit.text}\n"
        assert await closed(site) == ["transcoders-busy"]
        assert made_of(site).needs.count == 0


@pytest.mark.parametrize(
    ("limits", "words"), [(Limits(peers=1), "limits.peers"), (Limits(peers_per_client=1), "peers_per_client")]
)
async def test_reader_beyond_a_limit_gets_503_with_the_limit(
    limits: Limits, words: str, autojump_clock: MockClock
) -> None:
    """The refusal is journaled as for any viewer, at most once a second."""
    async with open_site(limits) as site:
        await site.play(0, 1)
        first = await Client.connect(site)
        await first.play(site)
        for _ in range(5):
            answer = await (await Client.connect(site)).ask("DESCRIBE", site.url)
            assert answer.status == 503
            assert words in answer.body
            assert int(answer.headers["retry-after"]) > 0
        refused = [row for row in await site.core.stored() if isinstance(row.event, e.LeaseRefused)]
        assert len(refused) == 1


async def test_requests_split_at_each_byte_and_pipelined_have_the_same_answers(autojump_clock: MockClock) -> None:
    """Byte by byte, and all at once."""
    answers = []
    async with open_site() as site:
        await site.play(0, 1)
        for at_once in (False, True):
            client = await Client.connect(site)
            transport = {"Transport": "RTP/AVP/TCP;interleaved=0-1"}
            requests = client.encode("OPTIONS", "*") + client.encode("DESCRIBE", site.url)
            requests += client.encode("SETUP", f"{site.url}/trackID=0", transport) + client.encode("PLAY", site.url)
            for piece in [requests] if at_once else [requests[at : at + 1] for at in range(len(requests))]:
                await client.stream.send_all(piece)
            answers.append([(await client.answer()).status for _ in range(4)])
    assert answers == [[200] * 4] * 2


async def test_ten_thousand_setups_cost_a_bounded_time_and_no_session(autojump_clock: MockClock) -> None:
    """One session for a connection, whatever is asked; the requests of a flood are answered slowly."""
    async with open_site() as site, trio.open_nursery() as nursery:
        await site.play(0, 1)
        client = await Client.connect(site)
        flood = client.encode("SETUP", f"{site.url}/trackID=0", {"Transport": "RTP/AVP/TCP;interleaved=0-1"}) * 10_000

        async def send() -> None:
            await client.stream.send_all(flood)

        nursery.start_soon(send)
        began, sessions = trio.current_time(), set()
        for _ in range(250):  # within `PLAY_S`
            sessions.add((await client.answer()).headers["session"])
        assert trio.current_time() - began > 16  # of virtual time: ten a second after the first fifty
        assert len(sessions) == 1
        assert len(site.core.kernel.state.peers) == 1
        nursery.cancel_scope.cancel()


async def test_flood_of_a_client_that_has_gone_is_left(autojump_clock: MockClock) -> None:
    """Its requests are not answered one by one, for minutes, to nobody."""
    async with open_site() as site:
        await site.play(0, 1)
        client = await Client.connect(site)
        await client.stream.send_all(client.encode("DESCRIBE", site.url) + client.encode("OPTIONS", "*") * 400)
        assert (await client.answer()).status == 200
        await trio.aclose_forcefully(client.stream)
        await trio.sleep(5)
        assert await closed(site) == ["left"]


@pytest.mark.parametrize(
    ("sent", "within_s", "status"),
    [
        (b"", FIRST_S, None),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\nOPTIONS * RTSP/1.0\r\n", REQUEST_S, 200),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", NEGOTIATE_S, 200),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0.0, 400),
        (b"OPTIONS * RTSP/1.0\r\nX: " + b"x" * 100_000, 0.0, 400),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: 999999999\r\n\r\n", 0.0, 400),
        (b"\x00" * 100, 0.0, 400),
        (b"RTSP/1.0 200 OK\r\n\r\n" * 700, NEGOTIATE_S, None),
    ],
    ids=["silent", "half", "no PLAY", "HTTP", "long line", "long body", "zeros", "answers"],
)
async def test_connection_without_a_reader_is_closed_in_time(
    sent: bytes, within_s: float, status: int | None, autojump_clock: MockClock
) -> None:
    """Silent, half, impossible: each ends after its time, and some with a 400."""
    async with open_site() as site:
        client = await Client.connect(site)
        if sent:
            await client.stream.send_all(sent)
        began = trio.current_time()
        said = await read_to_end(client)
        assert trio.current_time() - began == pytest.approx(within_s, abs=0.5)
        assert (int(said.split()[1]) if said else None) == status


async def test_new_connection_replaces_an_idle_one(monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock) -> None:
    """Connections that ask for nothing lock nobody out; readers keep theirs."""
    monkeypatch.setattr(server, "MAX_PER_CLIENT", 3)
    async with open_site() as site:
        await site.play(0, 1)
        reader = await Client.connect(site)
        await reader.play(site)
        idle = [await Client.connect(site) for _ in range(5)]
        with trio.fail_after(5):
            answer = await (await Client.connect(site)).ask("OPTIONS", "*")
        assert answer.status == 200
        assert (await reader.ask("GET_PARAMETER", site.url)).status == 200
        assert len(idle) == 5


async def test_client_that_reads_no_reply_is_closed(autojump_clock: MockClock) -> None:
    """It asks and asks, and never reads; its requests wait in its own kernel."""
    async with open_site() as site:
        await site.play(0, 1)
        client = await Client.connect(site, room=2048)
        with trio.move_on_after(600):
            try:
                while True:
                    await client.stream.send_all(client.encode("DESCRIBE", site.url) * 50)
            except trio.BrokenResourceError:
                pass
        assert await closed(site) in (["stuck"], ["left"])


def test_limits_are_those_of_the_page() -> None:
    """`ops/docs/rtsp.md` states them."""
    assert (connection.PICTURE_S, MAX_BEHIND_S, STUCK_S, SESSION_S) == (8, 2, 10, 60)
