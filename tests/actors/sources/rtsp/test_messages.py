"""Messages and frames of one RTSP connection, regardless of how the bytes are split."""

import random

import pytest

from actors.cpu_share import AT_ONCE
from actors.sources.rtsp import messages
from actors.sources.rtsp.messages import (
    MAX_BODY,
    MAX_HEADERS,
    MAX_LINE,
    MAX_NOISE,
    OF_MESSAGE,
    Parser,
    ProtocolError,
    Response,
    RtspRequest,
    encode_request,
)

Seen = list[object]


def read(*pieces: bytes, channels: tuple[int, ...] = ()) -> Seen:
    """Return all output in order: messages, and frames as (channel, payload)."""
    seen: Seen = []
    parser = Parser(seen.append)

    def taker(channel: int) -> messages.TakeFrame:
        return lambda data, start, stop: seen.append((channel, data[start:stop]))

    parser.channels = {channel: taker(channel) for channel in channels}
    for piece in pieces:
        parser.feed(piece)
        while parser.parse():
            pass
    return seen


def frame(channel: int, payload: bytes) -> bytes:
    return b"$" + bytes([channel]) + len(payload).to_bytes(2) + payload


STREAM = (
    b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS\r\n\r\n"
    + frame(0, b"one") + frame(7, b"nobody's") + frame(1, b"")
    + b"\r\nnoise $\x05 more $ noise RTSP RT " + frame(0, b"$" * 300)
    + b"RTSP/1.0 404 Not Found\r\nCSeq: 2\r\nContent-Length: 4\r\n\r\nbody"
    + b"OPTIONS * RTSP/1.0\nCSeq: 9\nX: a\n  b\n\n" + frame(1, b"last")
)  # fmt: skip
SEEN = [
    Response({"cseq": ("1",), "public": ("OPTIONS",)}, status=200, phrase="OK"),
    (0, b"one"),
    (1, b""),
    (0, b"$" * 300),
    Response({"cseq": ("2",), "content-length": ("4",)}, b"body", status=404, phrase="Not Found"),
    RtspRequest({"cseq": ("9",), "x": ("a b",)}, method="OPTIONS", url="*"),
    (1, b"last"),
]


def test_frames_and_messages_come_in_their_order() -> None:
    """One feed of the whole stream is the reference for the tests with cuts."""
    assert read(STREAM, channels=(0, 1)) == SEEN


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17])
def test_the_size_of_the_pieces_does_not_matter(size: int) -> None:
    """Pieces of 1 to 17 bytes cut through lines, lengths and bodies."""
    assert read(*(STREAM[at : at + size] for at in range(0, len(STREAM), size)), channels=(0, 1)) == SEEN


def test_no_cut_changes_anything() -> None:
    """300 times one to six random cuts, with a fixed seed."""
    rng = random.Random(1)
    for _ in range(300):
        cuts = sorted(rng.randrange(len(STREAM)) for _ in range(rng.randint(1, 6)))
        pieces = [STREAM[a:b] for a, b in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]
        assert read(*pieces, channels=(0, 1)) == SEEN


def test_a_header_that_comes_twice_has_both_its_values() -> None:
    """Two challenges are common; names match in any case, and a missing header is empty."""
    (seen,) = read(b"RTSP/1.0 401 x\r\nWWW-Authenticate: Basic\r\nwww-authenticate: Digest\r\n\r\n")
    assert isinstance(seen, Response)
    assert seen.headers["www-authenticate"] == ("Basic", "Digest")
    assert seen.header("nothing") == ""


@pytest.mark.parametrize(
    "line", [b"RTSP/1.0\t200 OK", b"RTSP/1.0 200OK", b" RTSP/1.0 200 OK", b"rtsp/1.0 200 OK", b"RTSP/1.0  200  OK"]
)
def test_odd_status_lines_are_read(line: bytes) -> None:
    """Tabs, missing and additional blanks, and lower case; also byte by byte."""
    data = line + b"\r\nCSeq: 1\r\n\r\n"
    seen = [Response({"cseq": ("1",)}, status=200, phrase="OK")]
    assert read(data) == seen
    assert read(*(data[at : at + 1] for at in range(len(data)))) == seen


def test_headers_beyond_the_limit_are_ignored() -> None:
    """Cameras with many headers are read: the first ones count, and the head as a whole is bounded."""
    (seen,) = read(b"RTSP/1.0 200 OK\r\n" + b"".join(b"a%d: b\r\n" % n for n in range(MAX_HEADERS + 1)) + b"\r\n")
    assert isinstance(seen, Response)
    assert list(seen.headers) == [f"a{n}" for n in range(MAX_HEADERS)]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"RTSP/1.0 200 OK\r\nServer: " + bytes(MAX_LINE), "a header line of more than 16 KiB"),
        (b"RTSP/1.0 200 OK\r\n" + (b"a: " + bytes(1000) + b"\r\n") * 66, "a header of more than 64 KiB"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), "a body of"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", "a body of"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: geheim\r\n\r\n", "a body of"),
        (b"OPTIONS geheim\r\n\r\n", "neither a request nor a response"),
        (b"RTSP/1.0 2000 OK\r\n\r\n", "neither a request nor a response"),
        (b"OPTIONS\r\n\r\n", "not RTSP"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "not RTSP"),
        (b"\x00\x01nonsense\xff\r\n\r\n", "not RTSP"),
    ],
)
def test_input_that_is_not_rtsp_or_too_large_is_an_error(data: bytes, text: str) -> None:
    """The error does not quote the input: a camera may answer with the password that it received."""
    with pytest.raises(ProtocolError, match=text) as raised:
        read(data)
    assert "geheim" not in str(raised.value)


def test_noise_between_frames_is_borne_to_a_point() -> None:
    """64 KiB in a row are skipped, and each frame starts the count again; one byte more is an error."""
    assert read(frame(0, b"a"), bytes(MAX_NOISE), frame(0, b"b"), bytes(1000), channels=(0,)) == [(0, b"a"), (0, b"b")]
    with pytest.raises(ProtocolError, match="64 KiB that are no RTSP"):
        read(frame(0, b"a"), bytes(MAX_NOISE + 1), channels=(0,))


@pytest.mark.parametrize(
    "answer",
    [
        b"RTSP/1.0 \r\nCSeq: 5\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n",
    ],
    ids=["status", "length"],
)
def test_unreadable_message_between_frames_counts_as_noise(answer: bytes) -> None:
    """It is left out; more than 64 KiB in a row, or one while no media is expected, are an error."""
    assert read(frame(0, b"a"), answer, frame(0, b"b"), channels=(0,)) == [(0, b"a"), (0, b"b")]
    with pytest.raises(ProtocolError):
        read(answer)
    with pytest.raises(ProtocolError, match="64 KiB"):
        read(answer * (MAX_NOISE // len(answer) + 1), channels=(0,))


def test_a_frame_behind_noise_does_not_wait_for_what_follows() -> None:
    """This also holds where the noise ended with the available bytes."""
    assert read(frame(0, b"a"), b"noise", frame(0, b"b"), channels=(0,)) == [(0, b"a"), (0, b"b")]


def test_many_small_frames_let_others_have_their_turn() -> None:
    """After 256 frames the parser returns that more is waiting."""
    seen: Seen = []
    parser = Parser(seen.append)
    parser.channels = {0: lambda data, start, stop: seen.append(start)}
    parser.feed(frame(0, b"") * (AT_ONCE + 1))
    assert parser.parse()
    assert len(seen) == AT_ONCE
    assert not parser.parse()
    assert len(seen) == AT_ONCE + 1


def test_frames_that_make_more_work_give_the_loop_back_sooner() -> None:
    """A taker reports the work beyond that of one frame."""
    seen: Seen = []
    parser = Parser(seen.append)

    def take(data: bytes, start: int, stop: int) -> None:
        parser.spent += 99
        seen.append(start)

    parser.channels = {0: take}
    parser.feed(frame(0, b"") * AT_ONCE)
    turns = 1
    while parser.parse():
        turns += 1
    assert len(seen) == AT_ONCE
    assert turns >= AT_ONCE * 100 / (AT_ONCE + 100)


def test_messages_give_the_loop_back_sooner_than_frames() -> None:
    """One call takes `AT_ONCE` frames, or messages of the same work."""
    seen: Seen = []
    parser = Parser(seen.append)
    parser.feed(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" * AT_ONCE)
    turns = 1
    while parser.parse():
        turns += 1
    assert (len(seen), parser.messages) == (AT_ONCE, AT_ONCE)
    assert turns >= OF_MESSAGE


def test_a_request_reads_as_it_was_meant() -> None:
    """The parser reads the method, URL and headers that `encode_request` wrote."""
    data = encode_request("SETUP", "rtsp://h/a", {"CSeq": "3", "Transport": "RTP/AVP"})
    assert read(data) == [RtspRequest({"cseq": ("3",), "transport": ("RTP/AVP",)}, method="SETUP", url="rtsp://h/a")]
