"""Audio frames from RTP packets."""

from itertools import product

import pytest

from actors.media.media import SourceLoss
from actors.media.oddities import Oddity
from actors.sources.rtsp.audio import (
    MAX_FRAMES,
    MAX_JOINED,
    SAMPLES,
    AacFrames,
    JoinedFrames,
    LatmElements,
    MpegFrames,
    WholeFrames,
)

Frames = list[tuple[bytes, int]]


def aac(*packets: tuple[bytes, int], gap_before: int = -1) -> tuple[Frames, SourceLoss]:
    frames: Frames = []
    loss = SourceLoss()
    reader = AacFrames(lambda frame, timestamp: frames.append((frame, timestamp)), loss)
    for index, (payload, timestamp) in enumerate(packets):
        if index == gap_before:
            reader.gap()
        reader.take(b"xx" + payload, 2, 2 + len(payload), timestamp, True)
    return frames, loss


def headed(*sizes: int) -> bytes:
    return (16 * len(sizes)).to_bytes(2) + b"".join((size << 3).to_bytes(2) for size in sizes)


def test_a_packet_of_g711_or_opus_is_a_frame() -> None:
    """The payload between its start and its end is passed on with the packet's time stamp."""
    frames: Frames = []
    WholeFrames(lambda frame, timestamp: frames.append((frame, timestamp))).take(b"..abc", 2, 5, 7, False)
    assert frames == [(b"abc", 7)]


def test_several_frames_of_aac_in_a_packet_each_have_their_time() -> None:
    """The second frame is one frame's samples later."""
    frames, _ = aac((headed(2, 3) + b"aabbb", 500))
    assert frames == [(b"aa", 500), (b"bbb", 500 + SAMPLES)]


def test_a_frame_of_aac_in_pieces_is_put_together() -> None:
    """Two packets with one time stamp and the full size in each give one frame."""
    frames, _ = aac((headed(6) + b"aaa", 1), (headed(6) + b"bbb", 1), (headed(1) + b"c", 2))
    assert frames == [(b"aaabbb", 1), (b"c", 2)]


def test_a_frame_of_which_a_piece_is_missing_is_not_heard() -> None:
    """The frame before the gap is discarded, and the next one is complete."""
    frames, _ = aac((headed(6) + b"aaa", 1), (headed(2) + b"cc", 2), gap_before=1)
    assert frames == [(b"cc", 2)]


def test_malformed_aac_payload_is_counted() -> None:
    """Each malformed payload counts, and the next packet is read; a packet has at most 64 frames."""
    for payload in (b"", b"\x00", headed(), headed(2, 9) + b"aabb", b"\xff\xff\x00", headed(3)):
        frames, loss = aac((payload, 1), (headed(1) + b"c", 2))
        assert loss.malformed
        assert frames[-1:] == [(b"c", 2)]
    assert len(aac((headed(*[1] * 500) + b"c" * 500, 1))[0]) == MAX_FRAMES


def take(packets: list[tuple[bytes, int, bool]], gap_before: int = -1) -> tuple[Frames, SourceLoss]:
    """Take payloads of AAC with their time stamps and markers."""
    frames: Frames = []
    loss = SourceLoss()
    reader = AacFrames(lambda frame, timestamp: frames.append((frame, timestamp)), loss)
    for index, (payload, timestamp, marker) in enumerate(packets):
        if index == gap_before:
            reader.gap()
        reader.take(payload, 0, len(payload), timestamp, marker)
    return frames, loss


def test_fragments_of_aac_that_name_their_own_size_are_joined() -> None:
    """They end with the marker; a gap discards them; the next frame is whole."""
    pieces = [(headed(3) + b"aaa", 1, False), (headed(2) + b"bb", 1, False), (headed(1) + b"c", 1, True)]
    after = (headed(2) + b"dd", 2, True)
    frames, loss = take([*pieces, after])
    assert frames == [(b"aaabbc", 1), (b"dd", 2)]
    assert loss.oddities == {Oddity.AAC_FRAGMENTS: 1}
    assert take([*pieces[:2], after], gap_before=2)[0] == [(b"dd", 2)]


def test_frame_after_an_incomplete_one_in_fragments_is_whole() -> None:
    """Whether its first, second or last fragment is missing, it costs no other frame; nor if nobody noticed."""
    pieces = [(headed(9) + piece, 1, piece == b"ghi") for piece in (b"abc", b"def", b"ghi")]
    short, long = [(headed(4) + b"next", 2, True)], [(headed(8) + b"next", 2, False), (headed(8) + b"next", 2, True)]
    for missing, after in product(range(3), (short, long)):
        for gap in (missing, -1):
            frames, loss = take(pieces[:missing] + pieces[missing + 1 :] + after, gap_before=gap)
            assert frames == [(b"next" * len(after), 2)]
            assert loss.malformed or missing == gap == 2


def test_fragments_of_aac_with_a_marker_on_each_are_joined() -> None:
    """The size in front of each is that of the frame."""
    pieces = [(headed(6) + b"abc", at, True) for at in (1, 1, 2, 2)]
    assert take(pieces)[0] == [(b"abcabc", 1), (b"abcabc", 2)]


def test_frame_of_aac_that_announces_too_many_bytes_is_discarded() -> None:
    """With a size field of 32 bits, it could be 4 GiB."""
    loss, frames = SourceLoss(), Frames()
    reader = AacFrames(lambda frame, timestamp: frames.append((frame, timestamp)), loss, (32, 0, 0))
    half = bytes(MAX_JOINED // 2 + 1)
    for size, piece, timestamp in ((2 * len(half), half, 1), (2 * len(half), half, 1), (3, b"abc", 2)):
        payload = (32).to_bytes(2) + size.to_bytes(4) + piece
        reader.take(payload, 0, len(payload), timestamp, True)
    assert frames == [(b"abc", 2)]
    assert loss.malformed == 2


def test_frames_of_a_camera_that_never_sets_the_marker_are_whole() -> None:
    """The first frame waits for the next time stamp, and no later one waits."""
    packets = [(headed(1) + bytes([at]), at, False) for at in range(5)]
    assert take(packets)[0] == [(bytes([at]), at) for at in range(5)]
    assert take([packets[0], (headed(1, 1) + b"ab", 1, True)])[0] == [(b"\0", 0), (b"a", 1), (b"b", 1 + SAMPLES)]


def adts(frame: bytes, crc: bool = False) -> bytes:
    size = len(frame) + (9 if crc else 7)
    head = bytes((0xFF, 0xF0 if crc else 0xF1, 0x60, 0x40 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC))
    return head + (b"cc" if crc else b"") + frame


@pytest.mark.parametrize("crc", [False, True])
def test_headers_of_files_are_left_out_of_aac(crc: bool) -> None:
    """In the place of a frame and of the whole payload, one or several."""
    one, two = adts(b"aaa", crc), adts(b"bb", crc)
    frames, loss = take([(headed(len(one)) + one, 1, True), (one + two, 9, True), (adts(b"x")[:-1], 10, True)])
    assert frames == [(b"aaa", 1), (b"aaa", 9), (b"bb", 9 + SAMPLES)]
    assert loss.oddities == {Oddity.ADTS: 3}


def test_a_frame_that_never_ends_is_discarded() -> None:
    """At most 64 KiB wait, and many empty packets are bounded as well."""
    for size, oddity in ((1000, None), (0, Oddity.AAC_FRAGMENTS)):
        loss, frames = SourceLoss(), list[int]()
        joined = JoinedFrames(lambda frame, timestamp, sizes=frames: sizes.append(len(frame)), loss, oddity)  # type: ignore[misc]
        for _ in range(2 * MAX_JOINED // (size + 64)):
            joined.take(bytes(size), 0, size, 1, False)
        joined.take(b"a", 0, 1, 1, True)
        assert loss.malformed == 1 or loss.malformed == 2
        assert sum(frames) <= MAX_JOINED


def test_elements_of_latm_that_loas_cannot_carry_are_left_out() -> None:
    """Its length has 13 bits."""
    frames: Frames = []
    loss = SourceLoss()
    reader = LatmElements(lambda frame, timestamp: frames.append((frame, timestamp)), loss)
    reader.take(bytes(8191), 0, 8191, 1, True)
    reader.take(bytes(8192), 0, 8192, 2, True)
    assert ([at for _, at in frames], loss.malformed) == ([1], 1)


FRAME = b"\xff\xfd\x14\xc4" + bytes(range(92)) * 1
"""Layer 2, 32 kbit/s, 48 kHz: 96 bytes, 1152 samples."""
HEAD = bytes(4)


def mpeg(*packets: tuple[bytes, int], gap_before: int = -1) -> tuple[Frames, SourceLoss]:
    frames: Frames = []
    loss = SourceLoss()
    reader = MpegFrames(lambda frame, timestamp: frames.append((frame, timestamp)), loss, 90_000)
    for index, (payload, timestamp) in enumerate(packets):
        if index == gap_before:
            reader.gap()
        reader.take(payload, 0, len(payload), timestamp, True)
    return frames, loss


def test_frames_of_mpeg_audio_are_separated() -> None:
    """Each has its time; the header of RFC 2250 may be missing."""
    assert mpeg((HEAD + FRAME * 2, 5))[0] == [(FRAME, 5), (FRAME, 5 + 2160)]
    assert mpeg((FRAME, 5), (FRAME, 6))[0] == [(FRAME, 5), (FRAME, 6)]


def test_fragments_of_mpeg_audio_are_joined() -> None:
    """With their offset in the header, without headers, and not across a gap."""
    parts = [(HEAD + FRAME[:50], 5), (b"\0\0\0\x32" + FRAME[50:], 5)]
    assert mpeg(*parts)[0] == [(FRAME, 5)]
    assert mpeg((FRAME[:50], 5), (FRAME[50:], 5))[0] == [(FRAME, 5)]
    frames, loss = mpeg(*parts, (HEAD + FRAME, 6), gap_before=1)
    assert frames == [(FRAME, 6)]
    assert loss.malformed == 1


@pytest.mark.parametrize("payload", [b"", b"\0", HEAD, b"abc", HEAD + b"\xff\xff\xff\xff", FRAME[:3]])
def test_malformed_mpeg_audio_is_counted(payload: bytes) -> None:
    """It counts, and the next packet is read."""
    frames, loss = mpeg((payload, 1), (HEAD + FRAME, 2))
    assert frames == [(FRAME, 2)]
    assert loss.malformed
