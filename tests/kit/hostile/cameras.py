"""Targets for camera input: a whole conversation, a description, RTP packets of every codec."""

import base64
import random
from collections.abc import Sequence
from functools import cache, partial
from itertools import product

from actors.media.bitstream import MAX_ACCESS_UNIT, BitstreamError
from actors.media.h264 import H264
from actors.media.h265 import H265
from actors.media.hub import Hub
from actors.media.media import SourceLoss, VideoCodec
from actors.sources.rtsp.address import parse_target, redirected, resolve
from actors.sources.rtsp.audio import AacFrames
from actors.sources.rtsp.choice import choose_audio, choose_videos
from actors.sources.rtsp.messages import MAX_BODY, MAX_HEADER, ProtocolError
from actors.sources.rtsp.reasons import Ended, Moved
from actors.sources.rtsp.reorder import WINDOW, Reorder
from actors.sources.rtsp.rtp import MAX_RIVALS, PROOF, Depacketizer, Track
from actors.sources.rtsp.sdp import DescriptionError, parse
from actors.sources.rtsp.session import RtspSession
from actors.sources.rtsp.timeline import TrackTimeline
from actors.sources.rtsp.video import Markers
from actors.sources.rtsp.video_h264 import H264Depacketizer
from actors.sources.rtsp.video_h265 import H265Depacketizer
from supervisor.base.clock import SystemClock

from ..media import access_units, h265_units
from ..mutations import mutate
from ..packets import fragments, framed, packet, packets
from ..rtp import Codec, describe
from ..slices import PPS, h264_slice, h264_sps, h265_slice
from .judge import Wrong

URL = "rtsp://viewer:pa55@192.0.2.1/main"
ENDS = (Ended, Moved, ProtocolError, DescriptionError, BitstreamError)
"""Exceptions that the I/O code around a session handles."""
PIECE = 700


class Player:
    """A session, the hub behind it, and what came of both."""

    def __init__(self) -> None:
        self.hub = Hub(SystemClock())
        self.session = RtspSession(parse_target(URL), self.hub, self.hub.loss)
        self.session.begin(0.0)

    def play(self, pieces: Sequence[bytes]) -> Exception | None:
        """Feed the pieces; returns the exception that ended the session, if any."""
        try:
            for piece in pieces:
                self.session.feed(piece, 0.0)
                while self.session.step():
                    pass
                if self.session._parser._size > MAX_HEADER + MAX_BODY + 2 * PIECE:
                    raise Wrong(f"{self.session._parser._size} bytes are kept of what was not understood")
        except ENDS as end:
            return end
        return None

    def outcome(self) -> tuple[object, ...]:
        """By which two ways of reading the same are compared."""
        hub, loss = self.hub, self.hub.loss
        return hub.picture, hub.audio, hub.units.end, hub.audio_frames.end, loss, self.session.playing


def take_rtsp(data: bytes) -> None:
    """The same whether it comes whole or in pieces. At the end the session lets itself be left."""
    whole, pieces = Player(), Player()
    end = whole.play([data])
    other = pieces.play([data[at : at + PIECE] for at in range(0, len(data), PIECE)])
    if type(end) is not type(other) or whole.outcome() != pieces.outcome():
        raise Wrong(f"in pieces it was understood otherwise than whole: {end!r}, {other!r}")
    if b"pa55" in bytes(whole.session.outgoing):
        raise Wrong("the password was told")
    whole.session.leave(0.0)
    if isinstance(end, Moved):
        try:
            if redirected(parse_target(URL), end.location).host != "192.0.2.1":
                return
        except ValueError:
            return
    if end is not None:
        raise end


def take_description(data: bytes) -> None:
    """Check that the selected media can be set up and read."""
    description = parse(data)
    hub, loss = Hub(SystemClock()), SourceLoss()
    (video, *_), (audio, _) = choose_videos(description), choose_audio(description)
    for media in description.media:
        try:
            address = resolve(resolve("rtsp://192.0.2.1/main", description.control), media.control)
        except ValueError:
            continue
        if not address.isascii() or any(character.isspace() for character in address):
            raise Wrong(f"{address!r} fits into no request line")
    if audio is not None:
        audio.depacketizer(hub.publish_audio, loss).take(bytes(20), 0, 20, 0, True)
        hub.set_audio(audio.audio)
    tell = partial(hub.set_parameter_sets, codec=video.codec)
    video.depacketizer(partial(hub.publish, codec=video.codec), tell, loss, lambda _: None)
    tell(video.parameter_sets())


def take_rtp(data: bytes) -> None:
    """Each frame a packet, in the order in which they come, to each of the depacketizers, over UDP and over TCP."""
    found = [frame[4:] for frame in frames(data)]
    for codec, in_order in product(("h264", "h265", "aac"), (False, True)):
        hub, loss = Hub(SystemClock()), SourceLoss()
        reader = _reader(codec, hub, loss)
        track = Track(96, reader, TrackTimeline(90_000), loss, in_order)
        reorder = Reorder(track, lambda: 0)
        try:
            for index, packet in enumerate(found):
                track.timeline.now = index / 1000
                if in_order:
                    track.receive(packet, 0, len(packet))
                else:
                    reorder.receive(packet, index / 1000)
                _check_bounds(reader, reorder)
        except BitstreamError:
            continue
        if sum(unit.size for unit in hub.units.read_nowait(hub.units.start, 10_000)) > 2 * len(data) + 100_000:
            raise Wrong("there is more than came")


def _reader(codec: str, hub: Hub, loss: SourceLoss) -> Depacketizer:
    if codec == "aac":
        return AacFrames(hub.publish_audio, loss)
    kind = H264Depacketizer if codec == "h264" else H265Depacketizer
    tell = partial(hub.set_parameter_sets, codec=kind.codec)
    return kind(lambda units, at: hub.publish(units, at, kind.codec), tell, loss, lambda _: None, Markers.UNKNOWN)


def _check_bounds(reader: Depacketizer, reorder: Reorder) -> None:
    if isinstance(reader, H264Depacketizer | H265Depacketizer):
        held = sum(map(len, (*reader._units, *reader._fragments)))
        if held > MAX_ACCESS_UNIT:
            raise Wrong(f"{held} bytes are kept of one picture")
    if sum(len(rival.held) for rival in reorder.track._rivals.values()) > PROOF * MAX_RIVALS:
        raise Wrong("packets of other sources are held without a limit")
    if len(reorder._held) > WINDOW:
        raise Wrong(f"{len(reorder._held)} packets wait for one that is late")


def make_conversation(rng: random.Random) -> bytes:
    """Twice as long as the longest header: what there is to be understood stands at its beginning."""
    return mutate(rng, conversations(), frames)[: 2 * MAX_HEADER]


# ── what they send when they are well ───────────────────────────────────────────────────────────────────────────────


def frames(data: bytes) -> list[bytes]:
    """Interleaved frames and what lies between them; joined, they are the input."""
    parts, at = list[bytes](), 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at + 2 : at + 4]) if data[at] == 0x24 else data.find(b"\r\n\r\n", at) + 4
        end = end if at < end else len(data)
        parts.append(data[at:end])
        at = end
    return parts


def _answer(number: int, *headers: str, status: str = "200 OK", body: str = "") -> bytes:
    lines = (f"RTSP/1.0 {status}", f"CSeq: {number}", *headers, f"Content-Length: {len(body)}", "", body)
    return "\r\n".join(lines).encode()


@cache
def descriptions() -> tuple[bytes, ...]:
    h264 = describe(Codec.H264, 64, 64, 10)
    sets = [base64.b64encode(unit).decode() for unit in h265_units(64, 64)[0][:3]]
    h265 = (
        "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\na=control:track1\r\n"
        f"a=fmtp:96 sprop-vps={sets[0]};sprop-sps={sets[1]};sprop-pps={sets[2]}\r\n"
    )
    aac = (
        "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/2\r\na=control:rtsp://192.0.2.1/main/track2\r\n"
        "a=fmtp:97 mode=AAC-hbr;config=1410;sizelength=13;indexlength=3;indexdeltalength=3\r\n"
    )
    pcma, back = "m=audio 0 RTP/AVP 8\r\na=control:track2\r\n", "m=audio 0 RTP/AVP 0\r\na=sendonly\r\n"
    opus = "m=audio 0 RTP/AVP 98\r\na=rtpmap:98 opus/48000/2\r\na=control:track2\r\n"
    return tuple(text.encode() for text in (h264, h264 + pcma, h264 + back + opus, h265 + aac, h265 + pcma))


@cache
def rtp_streams() -> tuple[bytes, ...]:
    """Return packets of each codec; audio with several frames per packet, and one frame in several packets."""
    h264, h265 = access_units(64, 64, 4), h265_units(64, 64)
    aggregated = b"\x78" + b"".join(len(unit).to_bytes(2) + unit for unit in h264[0])
    fitting = b"\x00\x20\x00\x20\x00\x20" + bytes(8)
    large = b"\x00\x10\x03\x20" + bytes(50)
    sound = [packet(payload, n, n * 1024, True) for n, payload in enumerate((fitting, large, large, fitting))]
    made = (
        packets(h264, 300),
        packets(h265, 200, codec=H265),
        [packet(aggregated, 1, 0, True), *packets(h264[1:], sequence=2)],
        sound,
        *(unusual_stream(codec, codes) for codec in (H264, H265) for codes in (False, True)),
    )
    return tuple(b"".join(map(framed, each)) for each in made)


def unusual_stream(codec: VideoCodec, codes: bool) -> list[bytes]:
    """Pictures of two fields or slices, with the marker on each packet; with `codes`, joined by start codes."""
    if codec is H264:
        sets: tuple[bytes, ...] = (h264_sps(fields=True), PPS)
        pictures = [[h264_slice(n, key=n == 0, order=f, field=f, fields=True) for f in (0, 1)] for n in range(4)]
    else:
        sets = h265_units(64, 64)[0][:3]
        pictures = [[h265_slice(f, first=f == 0, key=n == 0) for f in (0, 1)] for n in range(4)]
    made = list[bytes]()
    for number, units in enumerate(pictures):
        every = [*sets, *units] if number == 0 else units
        joined = [b"\x00\x00\x00\x01".join(every) + b"\x00"] if codes else every
        made += [
            packet(payload, len(made) + at, number // 2, True)
            for at, payload in enumerate(part for unit in joined for part in fragments(unit, 30, codec))
        ]
    return made


@cache
def conversations() -> tuple[bytes, ...]:
    """All that a camera says, from the answer to OPTIONS to the pictures; and ways in which it refuses."""
    public, playing = "Public: OPTIONS, DESCRIBE, GET_PARAMETER", "Session: 12;timeout=30"
    digest = 'WWW-Authenticate: Digest realm="camera", nonce="{}", algorithm=SHA-256, qop="auth"'
    made = []
    for described, stream in zip(descriptions()[::3], rtp_streams(), strict=False):
        body = described.decode()
        head = _answer(1, public) + _answer(2, "Content-Base: rtsp://192.0.2.1/main/", body=body)
        setups = b"".join(
            _answer(n, playing, f"Transport: RTP/AVP/TCP;unicast;interleaved={2 * n - 6}-{2 * n - 5}")
            for n in range(3, 3 + body.count("m="))
        )
        last = _answer(3 + body.count("m="), playing, "RTP-Info: url=track1;seq=0")
        asked = b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n"
        made.append(head + setups + last + stream + asked + framed(bytes(28), 1) + stream)
    refused = _answer(1, public) + _answer(2, digest.format("one"), status="401 Unauthorized")
    return (
        *made,
        refused + _answer(3, digest.format("two"), status="401 Unauthorized"),
        refused + _answer(3, body=descriptions()[0].decode()) + _answer(4, status="453 Not Enough Bandwidth"),
        _answer(1) + _answer(2, "Location: rtsps://192.0.2.1:8554/other", status="302 Found"),
    )
