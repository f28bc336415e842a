"""Targets that need no loop: offers, fragments, FLV, H.264, configurations."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from pathlib import Path

from actors.media.audio import samples_of
from actors.media.bitstream import BitstreamError, join_annexb, split_annexb
from actors.media.flv import Announced, AudioSample, FlvDemuxer, Sample, Sets, UnsupportedCodec
from actors.media.h264 import PPS, SPS, nal_type
from actors.media.hub import Hub
from actors.sources import KINDS
from actors.webrtc.answer import Local, Ssrcs, write_answer
from actors.webrtc.offer import parse_fragment, parse_offer
from supervisor.base.clock import SystemClock
from supervisor.config.load import parse

from ..media import access_units, audio_tag, flv, flv_of_h265, flv_with_audio
from ..mutations import Split, lines, mutate
from .judge import Take, Wrong

KIT = Path(__file__).parents[1]


def plain(take: Callable[[bytes], None], *refusals: type[Exception]) -> Callable[[], AbstractAsyncContextManager[Take]]:
    async def judged(data: bytes) -> bool:
        try:
            take(data)
        except refusals:
            return False
        return True

    @asynccontextmanager
    async def opened() -> AsyncIterator[Take]:
        yield judged

    return opened


def take_offer(data: bytes) -> None:
    """Check that an accepted offer is answered section by section, in complete lines."""
    offer = parse_offer(as_text(data))
    lines = write_answer(offer, Local("ours", "ours" * 6, "sha-256 AB", ()), Ssrcs(1, 2, 3)).split("\r\n")
    if sum(line.startswith("m=") for line in lines) != len(offer.sections):
        raise Wrong("the answer lacks a section, or has one too many")
    if not all(line.isprintable() and line[1:2] == "=" for line in lines[:-1]):
        raise Wrong("the answer has a line that is none")


def take_fragment(data: bytes) -> None:
    for candidate in parse_fragment(as_text(data), "abcd"):
        parse_fragment(f"a=candidate:{candidate.line()}")


def take_flv(data: bytes) -> None:
    """The same whether it comes whole or in pieces; every unit has a type."""
    whole, pieces = FlvDemuxer(), FlvDemuxer()
    try:
        wanted = list(whole.feed(data))
    except (BitstreamError, UnsupportedCodec) as refused:
        for at in range(0, len(data), 1000):
            try:
                list(pieces.feed(data[at : at + 1000]))
            except type(refused):
                raise refused from None
        raise Wrong("in pieces it was accepted, whole it was refused") from refused
    got = [sample for at in range(0, len(data), 1000) for sample in pieces.feed(data[at : at + 1000])]
    if got != wanted:
        raise Wrong("in pieces it was understood otherwise than whole")
    hub = Hub(SystemClock())
    for item in wanted:
        match item:
            case Sets():
                hub.set_parameter_sets(item.units, item.codec)
            case Sample():
                hub.publish(item.units, item.pts_ms * 90, item.codec, item.dts_ms * 90)
            case Announced():
                hub.set_audio(item.audio, item.mute)
            case AudioSample():
                assert hub.audio is not None
                samples_of(hub.audio, item.data)
                hub.publish_audio(item.data, item.pts_ms * 90)


def take_h264(data: bytes) -> None:
    """One stream, a picture for each unit; what the hub refuses has not changed it."""
    hub = Hub(SystemClock())
    units = list(split_annexb(data))
    sets = [unit for unit in units if nal_type(unit) in (SPS, PPS)]
    if {nal_type(unit) for unit in sets} == {SPS, PPS}:
        hub.set_parameter_sets(sets)
    for index, unit in enumerate(units):
        before = hub.statistics().frames, hub.picture
        try:
            hub.publish([unit], index * 3000)
        except BitstreamError:
            if (hub.statistics().frames, hub.picture) != before:
                raise Wrong("a unit that was refused has changed the hub") from None
            raise


def take_config(data: bytes) -> None:
    parse(as_text(data), "banken.yaml", {"HOME": "/root", "PASSWORD": "pa55"}, CHECKS)


def make_config(rng: random.Random) -> bytes:
    """Of a size that people write: PyYAML takes a second for every 100 KiB."""
    return mutate(rng, CONFIGS)[:8192]


def as_text(data: bytes) -> str:
    return data.decode(errors="replace")


CHECKS = {name: kind.check for name, kind in KINDS.items()}


@cache
def offers() -> tuple[bytes, ...]:
    browsers = [(KIT / name).read_bytes() for name in ("chromium.sdp", "chromium-maxbundle.sdp")]
    simple = "\r\n".join(SIMPLE).encode()
    candidates = b"".join(line + b"\r\n" for line in CANDIDATES)
    return (*browsers, simple, simple + candidates)


SIMPLE = (
    *("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "m=video 9 UDP/TLS/RTP/SAVPF 96"),
    *("c=IN IP4 0.0.0.0", "a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuv", "a=setup:actpass", "a=mid:0"),
    *("a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=recvonly", "a=rtcp-mux", "a=rtpmap:96 H264/90000"),
    *("a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", "a=rtcp-fb:96 nack", ""),
)
CANDIDATES = (
    b"a=candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host",
    b"a=candidate:2 1 UDP 2113937151 fe80::1 50001 typ host generation 0",
    b"a=candidate:3 1 udp 1677729535 198.51.100.4 40000 typ srflx raddr 10.0.0.1 rport 9",
    b"a=candidate:4 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active",
    b"a=candidate:5 1 udp 1 7f7a.local 9 typ host",
)
FRAGMENTS = tuple(
    b"\r\n".join((b"a=ice-ufrag:abcd", b"a=ice-pwd:0123456789abcdef012345", b"m=video 9 RTP/AVP 0", b"a=mid:0", *some))
    for some in (CANDIDATES, CANDIDATES[:1], (b"a=end-of-candidates", b""))
)
CONFIGS = (
    b"""# cameras
web: {listen: "[::1]:9000", allow_origins: ["https://wall.example"]}
journal: {path: /var/lib/banken/journal}
limits: {peers: 10, peers_per_camera: 5, peers_per_client: 2, disconnected_after: 25s}
webrtc: {ice_servers: ["stun:stun.example:3478"]}
cameras:
  front: rtsp://viewer:${PASSWORD}@192.0.2.10/stream1
  hall: {source: "rtsp://192.0.2.11/stream2"}
  clip: file:///srv/clip.mp4
  bars: test:640x360@25
  bench: {ffmpeg: ["-f", "v4l2", "-i", "/dev/video0"]}
""",
    b"""%YAML 1.1
---
cameras:
  front: &front
    source: "rtsp://viewer:\\u0070\\U00000061ss@[::1]:554/a%20b"
  back: *front
  <<: {side: 'test:'}
limits:
  disconnected_after: 0.5m
  peers: 1_000
...
""",
)


def tags(data: bytes) -> list[bytes]:
    """An FLV stream's header and tags."""
    parts, at = [data[:13]], 13
    while at < len(data):
        end = at + 15 + int.from_bytes(data[at + 1 : at + 4])
        parts.append(data[at:end])
        at = end
    return parts


def nals(data: bytes) -> list[bytes]:
    return [b"\x00\x00\x00\x01" + unit for unit in split_annexb(data)]


def from_corpus(
    corpus: Callable[[], Sequence[bytes]], split: Split = lines, most: int = 5
) -> Callable[[random.Random], bytes]:
    return lambda rng: mutate(rng, corpus(), split, most)


@cache
def streams() -> tuple[bytes, ...]:
    g711 = (audio_tag(0, b"\x82" + bytes(80)), audio_tag(10, b"\x72" + bytes(80)), audio_tag(20, b"\x2f" + bytes(80)))
    opus = (audio_tag(0, b"\x90OpusOpusHead" + bytes(11)), audio_tag(20, b"\x91Opus\xfc" + bytes(40)))
    written = (flv(count=5), flv(96, 64, count=3), flv_with_audio(1), flv_of_h265(), (*flv(count=2), *g711, *opus))
    return tuple(b"".join(tags_) for tags_ in written)


@cache
def pictures() -> tuple[bytes, ...]:
    large = access_units(1366, 768, count=1)
    sets = [unit for units in (access_units()[0], large[0]) for unit in units if nal_type(unit) in (SPS, PPS)]
    streams_ = [[unit for units in some for unit in units] for some in (access_units()[:4], large)]
    return tuple(join_annexb(units) for units in (*streams_, sets[:2], sets[2:], sets, [*sets, *access_units()[1]]))
