"""Sound out of packets."""

from actors.media import SourceLoss
from actors.sources.rtsp.audio import MAX_FRAMES, SAMPLES, AacFrames, WholeFrames

Frames = list[tuple[bytes, int]]


def aac(*packets: tuple[bytes, int], gap_before: int = -1) -> tuple[Frames, SourceLoss]:
    frames: Frames = []
    loss = SourceLoss()
    reader = AacFrames(lambda frame, timestamp: frames.append((frame, timestamp)), loss, 13, 3, 3)
    for index, (payload, timestamp) in enumerate(packets):
        if index == gap_before:
            reader.gap()
        reader.take(b"xx" + payload, 2, 2 + len(payload), timestamp, True)
    return frames, loss


def headed(*sizes: int) -> bytes:
    return (16 * len(sizes)).to_bytes(2) + b"".join((size << 3).to_bytes(2) for size in sizes)


def test_a_packet_of_g711_or_opus_is_a_frame() -> None:
    frames: Frames = []
    WholeFrames(lambda frame, timestamp: frames.append((frame, timestamp))).take(b"..abc", 2, 5, 7, False)
    assert frames == [(b"abc", 7)]


def test_several_frames_of_aac_in_a_packet_each_have_their_time() -> None:
    frames, _ = aac((headed(2, 3) + b"aabbb", 500))
    assert frames == [(b"aa", 500), (b"bbb", 500 + SAMPLES)]


def test_a_frame_of_aac_in_pieces_is_put_together() -> None:
    frames, _ = aac((headed(6) + b"aaa", 1), (headed(6) + b"bbb", 1), (headed(1) + b"c", 2))
    assert frames == [(b"aaabbb", 1), (b"c", 2)]


def test_a_frame_of_which_a_piece_is_missing_is_not_heard() -> None:
    frames, _ = aac((headed(6) + b"aaa", 1), (headed(2) + b"cc", 2), gap_before=1)
    assert frames == [(b"cc", 2)]


def test_what_is_no_aac_is_counted() -> None:
    for payload in (b"", b"\x00", headed(), headed(2, 9) + b"aabb", b"\xff\xff\x00", headed(3)):
        frames, loss = aac((payload, 1), (headed(1) + b"c", 2))
        assert loss.malformed
        assert frames[-1:] == [(b"c", 2)]
    assert len(aac((headed(*[1] * 500) + b"c" * 500, 1))[0]) == MAX_FRAMES
