"""Packets from the tests of two other clients, retina and gortsplib: banken makes the same frames of them.

The values are in `foreign/*.json`: payloads in hexadecimal, where `0001*3` is `000100010001`, and the frames that the
other client expects. Where banken makes others, `gives` has them, and `because` has the reason.

Source: the tests of the depacketizers of H.264, H.265 and AAC in retina (6972ac4) and gortsplib (9b93574).
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from actors.media.h264 import H264
from actors.media.media import SourceLoss
from actors.sources.rtsp.choice import choose_audio, choose_videos
from actors.sources.rtsp.rtp import Depacketizer, Track
from actors.sources.rtsp.sdp import parse
from actors.sources.rtsp.timeline import TrackTimeline
from tests.kit.packets import packet
from tests.kit.slices import h264_slice, h265_slice

FOLDER = Path(__file__).parent / "foreign"
FILES = ("h264", "h265", "aac")
EXPECTED, ALL = 54, 62
RTPMAP = {"h264": "H264/90000", "h265": "H265/90000", "aac": "mpeg4-generic/48000"}
AFTER = 3000
"""Ticks from the last packet to the packet that follows the input."""

Frames = list[tuple[list[bytes], int]]


class Packet(msgspec.Struct, array_like=True):
    """One RTP packet."""

    timestamp: int
    marker: bool
    payload: str
    lost: int = 0
    """The number of packets that are missing in front of it."""
    sequence: int | None = None
    """None for the number behind the packet before; over TCP, gortsplib takes any number."""


class Foreign(msgspec.Struct):
    """One input."""

    name: str
    origin: str
    frames: list[list[str]]
    """The NAL units of each picture, or one frame of audio each."""
    packets: list[Packet] = []
    cuts: str = ""
    """Instead of packets: a NAL unit that comes in two or three fragments, cut at every place."""
    fmtp: str = ""
    strips: bool = False
    """Whether the other client was asked to leave out parameter sets."""
    times: list[int] = []
    """The time stamps of the frames, where the other client expects some."""
    ends: bool = True
    """Whether the last frame is complete, so that the other client gives it."""
    gives: list[list[str]] | None = None
    because: str = ""


def read(name: str) -> list[Foreign]:
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=list[Foreign])


INPUTS = [(codec, foreign) for codec in FILES for foreign in read(codec)]


def unfold(text: str) -> bytes:
    """`1c85 0001*3` as bytes."""
    parts = (part.partition("*") for part in text.split())
    return b"".join(bytes.fromhex(digits) * int(times or 1) for digits, _, times in parts)


def streams(foreign: Foreign) -> Iterator[list[tuple[int, bool, bytes, int, int | None]]]:
    """Yield time stamp, marker, payload, missing packets and number of each packet, for each stream of an input."""
    if foreign.packets:
        yield [(one.timestamp, one.marker, unfold(one.payload), one.lost, one.sequence) for one in foreign.packets]
        return
    unit = unfold(foreign.cuts)
    indicator, kind = unit[0] & 0xE0 | 28, unit[0] & 0x1F
    for first in range(2, len(unit) - 1):
        for middle in range(4):
            if first + middle >= len(unit):
                continue
            pieces = [unit[1:first], unit[first : first + middle], unit[first + middle :]]
            fragments = [(kind | 0x80, pieces[0]), (kind, pieces[1]), (kind | 0x40, pieces[2])]
            yield [
                (0, bool(head & 0x40), bytes((indicator, head)) + piece, 0, None) for head, piece in fragments if piece
            ]


class Receiver:
    """The depacketizer of one stream behind RTP, as a session makes it from the description, and its frames."""

    def __init__(self, codec: str, foreign: Foreign) -> None:
        kind = "audio" if codec == "aac" else "video"
        lines = ["v=0", f"m={kind} 0 RTP/AVP 96", f"a=rtpmap:96 {RTPMAP[codec]}"]
        lines += [f"a=fmtp:96 {foreign.fmtp}"] * bool(foreign.fmtp)
        description = parse("\r\n".join(lines).encode())
        self.frames: Frames = []
        self._sets: list[bytes] = []
        loss = SourceLoss()
        self._depacketizer: Depacketizer
        if kind == "audio":
            audio, _ = choose_audio(description)
            assert audio is not None
            self._depacketizer = audio.depacketizer(lambda frame, at: self.frames.append(([frame], at)), loss)
        else:
            video = choose_videos(description)[0]
            self._depacketizer = video.depacketizer(self._show, self._sets.extend, loss, lambda work: None)
        self._track = Track(96, self._depacketizer, TrackTimeline(90_000), loss, in_order=foreign.origin == "gortsplib")
        self._next = 1

    def _show(self, units: list[bytes], timestamp: int) -> None:
        self.frames.append(([*self._sets, *units], timestamp))
        self._sets.clear()

    def send(self, timestamp: int, marker: bool, payload: bytes, lost: int = 0, sequence: int | None = None) -> None:
        if lost and self._next == 1:
            self._depacketizer.gap()
        number = self._next + lost if sequence is None else sequence
        data = packet(payload, number, timestamp, marker)
        self._track.receive(data, 0, len(data))
        self._next = number + 1

    def end(self) -> None:
        """Add what has come without a picture."""
        if self._sets:
            self._show([], -1)


def receive(codec: str, foreign: Foreign) -> Frames:
    """Return the frames of an input; those of all its streams must be the same."""
    results: list[Frames] = []
    for stream in streams(foreign):
        receiver = Receiver(codec, foreign)
        for each in stream:
            receiver.send(*each)
        if codec != "aac" and foreign.ends:  # the stream goes on
            following = h264_slice(key=True) if codec == "h264" else h265_slice(0, key=True)
            receiver.send(stream[-1][0] + AFTER, False, following)
        receiver.end()
        results.append(receiver.frames)
    assert all(frames == results[0] for frames in results)
    return results[0]


@pytest.mark.parametrize(
    ("codec", "foreign"), INPUTS, ids=[f"{each.origin}-{codec}-{each.name}" for codec, each in INPUTS]
)
def test_packets_of_other_clients_give_the_frames_that_those_expect(codec: str, foreign: Foreign) -> None:
    """All units, in order, in the same pictures, at the same time; or those of `gives`."""
    frames = receive(codec, foreign)
    found = [units for units, _ in frames]
    if foreign.strips:
        found = [[unit for unit in units if H264.nal_type(unit) not in H264.set_types] for units in found]
    expected = foreign.frames if foreign.gives is None else foreign.gives
    assert found == [[unfold(unit) for unit in units] for units in expected]
    if foreign.times and foreign.gives is None:
        assert [at for _, at in frames] == foreign.times


def test_most_packets_of_other_clients_give_the_frames_that_those_expect() -> None:
    """Each other one has its reason."""
    others = [foreign for _, foreign in INPUTS if foreign.gives is not None]
    assert len(INPUTS) == ALL
    assert ALL - len(others) >= EXPECTED
    assert all(foreign.because and foreign.gives != foreign.frames for foreign in others)
