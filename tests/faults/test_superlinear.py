"""Parsing input from cameras, viewers, child processes and files takes time that is linear in its size.

One table lists the worst inputs for each parser, made of repeated bytes and nested structures. A size may be below or
above the limit at which the parser refuses; above it the time stops growing, which is acceptable too.
"""

import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from werkzeug.exceptions import BadRequest

from actors.media.bitstream import (
    Bits,
    BitstreamError,
    has_start_code,
    split_annexb,
    split_joined,
    strip_zeros,
    unescape,
)
from actors.media.flv import FlvDemuxer, UnsupportedCodec
from actors.media.h264 import H264, parse_avcc
from actors.media.h265 import H265, parse_hvcc
from actors.media.hub import Hub
from actors.media.media import SourceLoss
from actors.media.ogg import OggOpus
from actors.sources import KINDS
from actors.sources.go2rtc import Go2rtcError, _rtsp_port
from actors.sources.rtsp import auth, rtcp, sdp
from actors.sources.rtsp.address import candidates, parse_target, redirected, repair, resolve
from actors.sources.rtsp.audio import AacFrames
from actors.sources.rtsp.choice import choose_audio, choose_videos
from actors.sources.rtsp.messages import Parser, ProtocolError
from actors.sources.rtsp.reasons import Ended, Moved
from actors.sources.rtsp.reorder import Reorder
from actors.sources.rtsp.rtp import Track
from actors.sources.rtsp.session import RtspSession
from actors.sources.rtsp.timeline import TrackTimeline
from actors.sources.rtsp.video_h264 import H264Depacketizer
from actors.sources.rtsp.video_h265 import H265Depacketizer
from actors.webrtc.offer import parse_fragment, parse_offer
from supervisor.base.clock import SystemClock
from supervisor.base.redact import redact
from supervisor.cli.terminal import clean
from supervisor.config.load import parse
from supervisor.config.problem_text import ConfigError
from supervisor.domain.ids import NodeId, RunId
from supervisor.domain.signaling import MessageRejected, read_request
from supervisor.journal import checkpoint, codec
from supervisor.ports.errors import JournalError
from supervisor.ports.questions import parse as parse_time
from supervisor.ports.viewing import OfferError
from tests.kit.growth import MOST, growth
from tests.kit.hostile.parsers import KIT
from web import bodies
from web.past import time_of
from web.resources import detections

pytestmark = pytest.mark.paired

REFUSALS = (
    BadRequest, BitstreamError, ConfigError, Ended, Go2rtcError, JournalError, Moved, OfferError, ProtocolError,
    MessageRejected, UnsupportedCodec, ValueError, RecursionError,
)  # fmt: skip
Make = Callable[[int], Any]
"""An input of about so many bytes."""


def of(text: Any, before: Any = None, after: Any = None) -> Make:
    """`text` again and again, between two others."""
    empty = text[:0]
    return lambda size: (before or empty) + text * (size // len(text)) + (after or empty)


# ── how each is read ────────────────────────────────────────────────────────────────────────────────────────────


def read_rtsp(piece: int, *, playing: bool = False) -> Callable[[bytes], None]:
    """Feed the data in pieces of the given size in bytes."""

    def read(data: bytes) -> None:
        parser = Parser(lambda message: None)
        if playing:
            parser.channels = {0: lambda data, start, stop: None}
        for at in range(0, len(data), piece):
            parser.feed(data[at : at + piece])
            while parser.parse():
                pass

    return read


def read_answers(data: bytes) -> None:
    session = RtspSession(parse_target("rtsp://viewer:pa55@192.0.2.1/main"), Hub(SystemClock()), SourceLoss())
    session.begin(0.0)
    session.feed(data, 0.0)
    while session.step():
        pass


def read_description(data: bytes) -> None:
    description = sdp.parse(data)
    for media in description.media:
        with suppress(ValueError):
            resolve("rtsp://192.0.2.1/main", media.control)
    choose_audio(description)
    choose_videos(description)


def read_redirect(text: str) -> None:
    redirected(parse_target("rtsp://viewer:pa55@192.0.2.1/main"), text)


def read_packets(make: Callable[..., Any]) -> Callable[[bytes], None]:
    """Payloads of 12 bytes and more, each in its own packet; in order, and then backwards."""

    def read(data: bytes) -> None:
        loss = SourceLoss()
        track = Track(
            96,
            make(lambda units, timestamp: None, lambda units: None, loss, lambda _: None),
            TrackTimeline(90_000),
            loss,
        )
        order = Reorder(track, lambda: 0)
        for number in range(len(data) // 12):
            head = b"\x80\x60" + (number & 0xFFFF).to_bytes(2) + bytes(8)
            order.receive(head + data[number * 12 : number * 12 + 12], number / 1000)
        for number in range(len(data) // 12, 0, -1):
            order.receive(b"\x80\x60" + (2 * number & 0xFFFF).to_bytes(2) + bytes(20), 0.0)

    return read


def read_sources(in_order: bool) -> Callable[[bytes], None]:
    """Headers without a sensible order: sources, sequence numbers and payload types as they come."""

    def read(data: bytes) -> None:
        loss = SourceLoss()
        reader = H264Depacketizer(lambda units, timestamp: None, lambda units: None, loss, lambda _: None)
        track = Track(96, reader, TrackTimeline(90_000), loss, in_order)
        order = Reorder(track, lambda: 0)
        for index in range(len(data) // 12):
            packet = data[index * 12 : index * 12 + 12] + b"\x65\x88"
            track.timeline.now = index / 1000
            if in_order:
                track.receive(packet, 0, len(packet))
            else:
                order.receive(packet, index / 1000)

    return read


_MANY_SOURCES = b"".join(bytes((0x80, 0x60, 0, n // 3, 0, 0, n, 0, 0, 0, 0, n % 7)) for n in range(250))
"""Headers of seven sources whose packets alternate."""


def read_aac(data: bytes) -> None:
    AacFrames(lambda frame, timestamp: None, SourceLoss()).take(data, 0, len(data), 0, True)


def read_pipe(make: Callable[[], Any], piece: int) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        demuxer = make()
        for at in range(0, len(data), piece):
            for _ in demuxer.feed(data[at : at + piece]):
                pass

    return read


def read_units(data: bytes) -> None:
    for video in (H264, H265):
        hub = Hub(SystemClock())
        hub.publish(split_annexb(data), 0, video)
        video.picture_size(unescape(data))


def read_joined(data: bytes) -> None:
    if has_start_code(data):
        list(split_joined(data))
    strip_zeros(data)


def read_codes(data: bytes) -> None:
    bits = Bits(data)
    with suppress(BitstreamError):
        while True:
            bits.se()


def read_config(text: str) -> None:
    parse(text, "file", {"A": "value"}, {name: kind.check for name, kind in KINDS.items()})


def read_detection(data: bytes) -> None:
    bodies.understand(bodies.parse(data), detections.Seen)


def read_row(body: str) -> None:
    head = (1, 1, 1, NodeId("n"), RunId("r"), "s", 1, "RunStopping", 1, None, "c", "p", body)
    codec.decode((*head, zlib.crc32(codec.canonical(head))))


# ── the worst for each ──────────────────────────────────────────────────────────────────────────────────────────

FLV = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"
OK = b"RTSP/1.0 200 OK\r\n"
SDP = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
OFFER = (KIT / "chromium.sdp").read_text()
VIDEO_AT = OFFER.index("\n", OFFER.index("m=video")) + 1
SPS = bytes.fromhex("6742c01fda014016e840000003004000000c83c60ca8")


def in_offer(line: str) -> Make:
    return of(line, OFFER[:VIDEO_AT], OFFER[VIDEO_AT:])


def numbered(form: str, before: str = "", after: str = "") -> Make:
    """Each with its number, and the one behind."""
    return lambda size: before + "".join(form.format(n, n + 1) for n in range(size // len(form))) + after


def flv_tag(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3) + bytes(7) + body + (11 + len(body)).to_bytes(4)


def ogg_page(laces: bytes) -> bytes:
    return b"OggS\0\0" + bytes(20) + bytes([len(laces)]) + laces + bytes(sum(laces))


def avcc(size: int) -> bytes:
    return b"\x01\x42\xc0\x1f\xff" + b"\x1f" + b"\x00\x01\x67" * min(31, size // 3) + bytes(size)


challenge = lambda value: auth.choose([value])  # noqa: E731
base = lambda value: candidates(repair(value, "rtsp://h/main"), "rtsp://h/main", value, value)  # noqa: E731
CASES: dict[str, tuple[Callable[[Any], object], Make, int]] = {
    # the camera: challenges
    "auth: spaces": (challenge, of(" ", 'Digest realm="x" ', ";"), 1000),
    "auth: spaces around a sign": (challenge, of(" ", "Digest realm", "= ;"), 1000),
    "auth: commas and spaces": (challenge, of(", ", "Digest ", ";"), 1000),
    "auth: one long name": (challenge, of("a", "Digest ", "\0"), 1000),
    "auth: a quote that stays open": (challenge, of("\\\\", 'Digest a="'), 1000),
    "auth: quotes": (challenge, of('a="', "Digest "), 1000),
    "auth: pairs": (challenge, of("a=b,", "Digest "), 1000),
    "auth: schemes": (challenge, of("Digest a=b "), 1000),
    # the camera: addresses
    "base: schemes": (base, of("rtsp://"), 1000),
    "base: colons": (base, of(":"), 1000),
    "base: numbers": (base, of("1."), 1000),
    "base: names": (base, of("a.", "", ":1"), 1000),
    "base: hosts": (base, of("a@", "rtsp://"), 1000),
    # the camera: messages
    "rtsp: a line byte by byte": (read_rtsp(1), of(b"a", OK + b"X: "), 900),
    "rtsp: a header byte by byte": (read_rtsp(1), of(b"X: " + b"a" * 500 + b"\r\n", OK, b"\r\n"), 8000),
    "rtsp: a body byte by byte": (read_rtsp(1), of(b"a", OK + b"Content-Length: 65000\r\n\r\n"), 8000),
    "rtsp: folded lines": (read_rtsp(65536), of(b" " + b"b" * 400 + b"\r\n", OK + b"X: a\r\n", b"\r\n"), 6000),
    "rtsp: one header again and again": (read_rtsp(65536), of(b"X: b\r\n", OK, b"\r\n"), 90),
    "rtsp: lines of one form feed": (read_rtsp(65536), of(b"\x0c", OK + b"X: ", b"\r\n\r\n"), 900),
    "rtsp: short answers": (read_rtsp(65536), of(OK + b"CSeq: 1\r\n\r\n"), 8000),
    "rtsp: ends of lines": (read_rtsp(65536), of(b"\r\n"), 16_000),
    "rtsp: a status behind spaces": (read_rtsp(65536), of(b" ", b"RTSP/1.0 ", b"x\r\n\r\n"), 900),
    "rtsp: a request with spaces": (read_rtsp(65536), of(b" ", b"OPTIONS a", b"x\r\n\r\n"), 900),
    "rtsp: noise": (read_rtsp(64, playing=True), of(b"R"), 8000),
    "rtsp: noise of a foreign channel": (read_rtsp(64, playing=True), of(b"$\x05"), 40_000),
    "rtsp: empty frames": (read_rtsp(65536, playing=True), of(b"$\0\0\0"), 8000),
    "rtsp: a long frame byte by byte": (read_rtsp(1, playing=True), of(b"x", b"$\0\xff\xff"), 8000),
    "session: a session's parameters": (read_answers, of(b"; ", OK + b"CSeq: 1\r\nSession: 1", b"\r\n\r\n"), 900),
    "session: a timeout of spaces": (read_answers, of(b" ", OK + b"Session: 1;", b"timeout=\r\n\r\n"), 900),
    "session: an address of dots": (read_redirect, of("../", "rtsp://192.0.2.2/"), 8000),
    "session: an address of brackets": (read_redirect, of("[", "rtsp://"), 8000),
    "session: an address of at signs": (read_redirect, of("@", "rtsp://", "192.0.2.2/"), 8000),
    "session: an address of percent signs": (read_redirect, of("%", "/"), 8000),
    # the camera: descriptions
    "sdp: media": (read_description, of(b"m=video 0 RTP/AVP 97\r\na=rtpmap:97 JPEG/90000\r\n", b"v=0\r\n"), 6000),
    "sdp: formats": (read_description, of(b"96 ", b"v=0\r\nm=video 0 RTP/AVP "), 8000),
    "sdp: one format again and again, and its parameters": (
        read_description, of(b"a=b;", SDP.replace(b"96\r\n", b"96 " * 32 + b"\r\n", 1) + b"a=fmtp:96 "), 8000,
    ),
    "sdp: attributes": (read_description, of(b"a=fmtp:96 a=b;c=d\r\n", SDP), 4000),
    "sdp: parameter sets": (read_description, of(b"Z0IAH5WoFAFuQA==,", SDP + b"a=fmtp:96 sprop-parameter-sets="), 8000),
    "sdp: a control of slashes": (read_description, of(b"/", SDP + b"a=control:"), 8000),
    "sdp: a control of dots": (read_description, of(b"../", SDP + b"a=control:/"), 8000),
    # the camera: media
    "rtp: H.264, units": (read_packets(H264Depacketizer), of(b"\x65"), 30_000),
    "rtp: H.264, aggregates": (read_packets(H264Depacketizer), of(b"\x18\0\1\x65\0\1\x65\0\1\x65\0\0"), 30_000),
    "rtp: H.264, fragments without an end": (
        read_packets(H264Depacketizer), of(b"\x7c\x05" * 6, b"\x7c\x85" * 6), 30_000,
    ),
    "rtp: H.264, slices that begin pictures": (read_packets(H264Depacketizer), of(b"\x65\x88"), 30_000),
    "rtp: H.264, start codes in fragments": (
        read_packets(H264Depacketizer),
        of(b"\x7c\x05\0\0\1\x65\x88\0\0\1\x41\x9a", b"\x7c\x85" * 6, b"\x7c\x45" * 6),
        30_000,
    ),
    "rtp: H.264, parameter sets": (read_packets(H264Depacketizer), of(b"\x67\x68"), 30_000),
    "rtp: H.265, slices that begin pictures": (read_packets(H265Depacketizer), of(b"\x26\x01\x80"), 30_000),
    "rtp: sources over TCP": (read_sources(in_order=True), of(_MANY_SOURCES), 30_000),
    "rtp: sources over UDP": (read_sources(in_order=False), of(_MANY_SOURCES), 30_000),
    "rtp: H.265, units": (read_packets(H265Depacketizer), of(b"\x26\x01"), 30_000),
    "rtp: AAC": (read_aac, of(b"\xff"), 8000),
    "rtcp": (lambda data: list(rtcp.parse(data)), of(b"\x80\xc9\x00\x01aaaa"), 8000),
    "units: start codes": (read_units, of(b"\0\0\1"), 30_000),
    "units: joined": (read_joined, of(b"\0\0\1"), 30_000),
    "units: joined, zeros": (read_joined, of(b"\0"), 30_000),
    "units: zeros": (read_units, of(b"\0", SPS), 30_000),
    "units: parameter sets": (read_units, of(b"\0\0\1\x67a"), 8000),
    "units: escapes": (read_units, of(b"\0\0\3", SPS), 30_000),
    "units: codes of one bit": (read_codes, of(b"\xff"), 4_000),
    "units: one code of ones": (read_units, of(b"\xff", SPS), 30_000),
    "flv: tags": (read_pipe(FlvDemuxer, 65536), of(flv_tag(9, b"\x17\1\0\0\0"), FLV), 30_000),
    "flv: a tag in pieces": (read_pipe(FlvDemuxer, 64), of(b"x", FLV + b"\x09\x7f\xff\xff" + bytes(7)), 60_000),
    "flv: units in a tag": (
        read_pipe(FlvDemuxer, 65536),
        lambda size: FLV + flv_tag(9, b"\x17\1\0\0\0" + b"\0\0\0\1\x67" * (size // 5)),
        16_000,
    ),
    "flv: avcC": (parse_avcc, avcc, 30_000),
    "flv: hvcC": (parse_hvcc, of(b"\x40\0\1\0\2\x40\1", b"\1" + bytes(21) + b"\xff"), 200),
    "ogg: pages": (read_pipe(OggOpus, 65536), of(ogg_page(b"")), 30_000),
    "ogg: a packet over pages": (read_pipe(OggOpus, 65536), of(ogg_page(b"\xff" * 20)), 8000),
    "ogg: a page byte by byte": (read_pipe(OggOpus, 1), lambda size: ogg_page(b"\xff" * (size // 255)), 8000),
    # the viewer
    "offer: formats": (parse_offer, of("98 ", OFFER[:VIDEO_AT].rstrip() + " ", "\n" + OFFER[VIDEO_AT:]), 8000),
    "offer: feedback": (parse_offer, in_offer("a=rtcp-fb:* nack\n"), 2000),
    "offer: parameters": (parse_offer, in_offer("a=fmtp:96 " + "a=b;" * 10 + "\n"), 8000),
    "offer: one line of parameters": (
        parse_offer, of("a=;", OFFER[:VIDEO_AT] + "a=fmtp:96 ", "!\n" + OFFER[VIDEO_AT:]), 8000,
    ),
    "offer: candidates": (parse_offer, in_offer("a=candidate:1 1 udp 1 10.0.0.1 5 typ host\n"), 4000),
    "offer: a candidate with a tail": (
        parse_offer, of(" x", OFFER[:VIDEO_AT] + "a=candidate:1 1 udp 1 10.0.0.1 5 typ host", "\t\n"), 8000,
    ),
    "offer: sections": (parse_offer, of("m=audio 9 UDP/TLS/RTP/SAVPF 1\n", OFFER), 8000),
    "offer: a bundle": (
        parse_offer, of(" 0", OFFER.partition("a=group:")[0] + "a=group:BUNDLE", "\n" + OFFER[VIDEO_AT:]), 8000,
    ),
    "offer: extensions": (parse_offer, in_offer("a=extmap:15/a " + "x" * 50 + "\n"), 8000),
    "fragment": (parse_fragment, of("a=candidate:1 1 udp 1 a 5 typ host\n", "a=ice-ufrag:x\n"), 4000),
    "rooms: brackets": (read_request, of("[", '{"type":"Offer","to":'), 8000),
    "rooms: keys": (read_request, of('"a":1,', "{"), 8000),
    "rooms: escapes": (read_request, of("\\u0000", '{"type":"Offer","sdp":"', '"}'), 8000),
    "rooms: one long number": (read_request, of("9", '{"type":"Offer","to":', "}"), 8000),
    "query: a time": (lambda text: time_of("at", text), of("1", "2026-01-01T00:00:00."), 8000),
    "query: a time of points": (lambda text: time_of("at", text), of("."), 8000),
    # detectors
    "detection: brackets": (read_detection, of(b"[", b'{"box":'), 8000),
    "detection: keys": (read_detection, of(b'"a":1,', b'{"b":1,', b'"c":1}'), 8000),
    "detection: one long number": (read_detection, of(b"9", b'{"score":0.', b"}"), 8000),
    "detection: a box of many": (read_detection, of(b"0,", b'{"box":[', b"0]}"), 8000),
    # another program
    "go2rtc: brackets": (_rtsp_port, of(b"[", b'{"rtsp":'), 8000),
    "go2rtc: one long number": (_rtsp_port, of(b"9", b'{"rtsp":{"listen":":', b'"}}'), 8000),
    "go2rtc: colons": (_rtsp_port, of(b":", b'{"rtsp":{"listen":"', b'"}}'), 8000),
    # words of children
    "redact: schemes": (redact, of("a."), 8000),
    "redact: users without an end": (redact, of("a://b:"), 8000),
    "redact: users with one end": (redact, of("a://b:", after="@"), 8000),
    "redact: addresses in a row": (redact, of("a://b@"), 8000),
    "redact: at signs": (redact, of("@"), 8000),
    "redact: slashes": (redact, of(":/", after="@"), 8000),
    "redact: a long name": (redact, of("pass", "?"), 8000),
    "redact: names": (redact, of("?pass"), 8000),
    "redact: underscores": (redact, of("_", "?", "pass"), 8000),
    "redact: a long option": (redact, of("password", "--"), 8000),
    "redact: a long option of another kind": (redact, of("srtp_", "-"), 8000),
    "redact: options": (redact, of("-a "), 8000),
    "redact: headers": (redact, of("authorization:"), 8000),
    "redact: beginnings of headers": (redact, of("proxy-"), 8000),
    "redact: a header and spaces": (redact, of(" ", "cookie", "x"), 8000),
    "redact: spaces": (redact, of(" "), 8000),
    "words: controls": (clean, of("\x9b"), 8000),
    # files
    "config: variables without an end": (read_config, of("${", "cameras: {a: '", "'}"), 900),
    "config: variables": (read_config, of("${A}", "cameras: {a: 'test:", "'}"), 900),
    "config: a chain of substreams": (
        read_config, numbered("  c{0}: {{source: 'test:', substream: c{1}}}\n", "cameras:\n"), 8000,
    ),
    "config: a circle of substreams": (
        read_config,
        lambda size: numbered("  c{0}: {{source: 'test:', substream: c{1}}}\n", "cameras:\n")(size)
        + f"  c{size // 42}: {{source: 'test:', substream: c0}}\n",
        8000,
    ),
    "config: substreams that are none": (
        read_config, numbered("  c{0}: {{source: 'test:', substream: x}}\n", "cameras:\n"), 8000,
    ),
    "config: labels": (read_config, numbered("l{0}, ", "detections: {labels: [", "]}"), 4000),
    "config: devices": (
        read_config,
        lambda size: numbered("  c{0}: {{source: 'test:', device: d{0}}}\n", "cameras:\n")(size)
        + numbered("  d{0}: {{max_connections: 1}}\n", "devices:\n")(size),
        4000,
    ),
    "config: one list for all": (
        read_config,
        lambda size: numbered("  c{0}: {{ffmpeg: *a}}\n", f"x: &a [{'x, ' * (size // 3)}]\ncameras:\n")(size),
        4000,
    ),
    "config: one text for all": (
        read_config,
        lambda size: numbered("  c{0}: {{source: *a}}\n", f"x: &a '{'x' * size}'\ncameras:\n")(size),
        8000,
    ),
    "config: one mapping for all": (
        read_config,
        lambda size: numbered("  c{0}: *a\n", "x: &a {" + numbered("k{0}: 1, ")(size) + "}\ncameras:\n")(size),
        4000,
    ),
    "config: one wrong mode for all": (
        read_config,
        lambda size: numbered("  d{0}: {{max_connections: *a}}\n", f"x: &a '{'x' * size}'\ndevices:\n")(size),
        8000,
    ),
    "config: brackets": (read_config, of("[", "cameras: "), 8000),
    "config: dashes": (read_config, of("- "), 8000),
    "config: anchors": (read_config, numbered("a{0}: &a{0} x\n"), 8000),
    "config: a duration": (read_config, of("1", "leases: {ttl: ", "x}"), 8000),
    "config: a size": (read_config, of("1", "journal: {max_size: ", "GiB}"), 8000),
    "config: an address": (read_config, of("@", "cameras: {a: 'rtsp://", "'}"), 900),
    "command line: a time": (parse_time, of("1", after="x"), 8000),
    "command line: a time ago": (parse_time, of("1", after="m"), 500),
    "journal: an event": (read_row, of("[", '{"reason":'), 8000),
    "journal: an event's text": (read_row, of("\\u0000", '{"reason":{"code":"', '"}}'), 8000),
    "journal: a checkpoint": (checkpoint.unpack, lambda size: zlib.compress(b"[" * size), 30_000),
}  # fmt: skip


def read(parser: Callable[[Any], object], data: Any) -> None:
    with suppress(*REFUSALS):
        parser(data)


@pytest.mark.parametrize("name", CASES, ids=lambda name: name.replace(": ", "-").replace(" ", "_"))
def test_parser_of_an_input_that_doubles_takes_at_most_2_2_times_as_long(name: str) -> None:
    """R14, over three doublings."""
    parser, make, size = CASES[name]
    assert growth(lambda size: partial(read, parser, make(size)), size) <= MOST


def test_growth_of_quadratic_work_is_seen() -> None:
    """The measure itself: 64 times as long is no accident of a slow machine."""

    def work(size: int) -> Callable[[], object]:
        return lambda: [text.count("b") for text in ["a" * size] * size]

    assert growth(work, 300) > MOST
