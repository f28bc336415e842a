"""The wire format between the daemon and its decoder: messages round-trip, and nothing else is accepted."""

import random
import tracemalloc
from time import process_time

import pytest

from actors.media.decoder.wire import (
    DONE,
    GREY_BYTES,
    HELLO,
    JPEG,
    LOOK,
    MOST_ANSWER,
    MOST_REQUEST,
    MOST_TEXT,
    UNDECODABLE,
    AnswerReader,
    DecoderAnswer,
    DecoderRequest,
    Looked,
    RequestReader,
    WireError,
    decode_looked,
    encode_answer,
    encode_looked,
    encode_request,
)

REQUESTS = [
    DecoderRequest(1, JPEG, "h264", b"key"),
    DecoderRequest(65535, JPEG, "h265", b"", 320, 180),
    DecoderRequest(0, LOOK, "h264", bytes(70_000), before=bytes(range(256)) * 9),
]
ANSWERS = [
    DecoderAnswer(0, HELLO, b"seccomp: no"),
    DecoderAnswer(65535, DONE, bytes(70_000), 2**40, 4096, 2048),
    DecoderAnswer(7, UNDECODABLE, b"why"),
]


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_frames_survive_any_cut_of_the_stream(size: int) -> None:
    """Requests and answers round-trip for every size of the chunks."""
    stream = b"".join(part for request in REQUESTS for part in encode_request(request))
    reader, seen = RequestReader(), list[DecoderRequest]()
    for at in range(0, len(stream), size):
        seen += reader.feed(stream[at : at + size])
    assert seen == REQUESTS
    answers = AnswerReader()
    for answer in ANSWERS:
        data = encode_answer(answer)
        found = [answers.feed(data[at : at + size]) for at in range(0, len(data), size)]
        assert [each for each in found if each is not None] == [answer]


def test_frames_above_their_limit_are_refused_by_the_header_alone() -> None:
    """Both sides refuse them before buffering, and do not write them either."""
    largest = encode_answer(DecoderAnswer(1, DONE, b"x" * 10))[:-10]
    for status, size in ((DONE, MOST_ANSWER + 1), (UNDECODABLE, MOST_TEXT + 1), (HELLO, MOST_TEXT + 1), (9, 0)):
        head = bytes([status]) + largest[1:-4] + size.to_bytes(4)
        with pytest.raises(WireError):
            AnswerReader().feed(head)
    head = b"".join(encode_request(REQUESTS[0]))[:-3]
    for broken in (head[:-4] + (MOST_REQUEST + 1).to_bytes(4), b"\x09" + head[1:], head[:1] + b"\x07" + head[2:]):
        with pytest.raises(WireError):
            RequestReader().feed(broken)
    with pytest.raises(WireError):
        encode_request(DecoderRequest(1, JPEG, "h264", bytes(MOST_REQUEST + 1)))
    with pytest.raises(WireError):
        encode_request(DecoderRequest(1, JPEG, "av1", b""))
    with pytest.raises(WireError):
        encode_request(DecoderRequest(1, LOOK, "h264", b"", before=bytes(GREY_BYTES - 1)))
    with pytest.raises(WireError):
        encode_answer(DecoderAnswer(1, DONE, bytes(MOST_ANSWER + 1)))


def test_large_answer_is_copied_once() -> None:
    """It is copied into one buffer, a chunk at a time, because the daemon's loop reads it."""
    data, reader, size = encode_answer(DecoderAnswer(1, DONE, bytes(MOST_ANSWER))), AnswerReader(), 1 << 16
    tracemalloc.start()
    try:
        found = [reader.feed(data[at : at + size]) for at in range(0, len(data), size)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    answer = found[-1]
    assert answer is not None
    assert len(answer.body) == MOST_ANSWER
    assert peak <= 1.25 * MOST_ANSWER


def test_more_than_one_answer_at_once_is_refused() -> None:
    """One request is in flight at a time; data after its answer was not requested."""
    data = encode_answer(ANSWERS[2])
    for more in (data, b"x"):
        with pytest.raises(WireError):
            AnswerReader().feed(data + more)


def test_look_survives_and_one_outside_of_the_picture_is_refused() -> None:
    """Shares are from 0 to 1, and the number of grey pixels is fixed."""
    looked = Looked(0.5, (0.25, 0.0, 0.5, 1.0), bytes(GREY_BYTES))
    assert decode_looked(encode_looked(looked)) == looked
    for share in (-0.1, 1.5, float("nan"), float("inf")):
        with pytest.raises(WireError):
            decode_looked(encode_looked(looked._replace(share=share)))
    with pytest.raises(WireError):
        decode_looked(encode_looked(looked)[:-1])


def test_random_bytes_are_refused_or_wait_for_more() -> None:
    """No other error occurs, and at most one message is buffered."""
    chance = random.Random(7)
    for _ in range(2000):
        for reader in (RequestReader(), AnswerReader()):
            try:
                for _ in range(4):
                    reader.feed(chance.randbytes(chance.randrange(1, 60)))
            except WireError:
                pass


def test_reading_takes_time_that_is_linear_in_the_bytes() -> None:
    """Twice as many small chunks take about twice the time."""

    def seconds(size: int) -> float:
        data, reader, began = encode_answer(DecoderAnswer(1, DONE, bytes(size))), AnswerReader(), process_time()
        for at in range(0, len(data), 512):
            reader.feed(data[at : at + 512])
        return process_time() - began

    seconds(1 << 20)
    best = [min(seconds(size) for _ in range(3)) for size in (1 << 21, 1 << 22, 1 << 23)]
    assert best[2] < 8 * best[0] + 0.02, best
