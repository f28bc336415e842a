"""What comes over one RTSP connection, in whatever pieces it comes."""

import random

import pytest

from actors.share import AT_ONCE
from actors.sources.rtsp import messages
from actors.sources.rtsp.messages import (
    MAX_BODY,
    MAX_HEADERS,
    MAX_LINE,
    MAX_NOISE,
    OF_MESSAGE,
    Parser,
    ProtocolError,
    Request,
    Response,
    encode_request,
)

Seen = list[object]


def read(*pieces: bytes, channels: tuple[int, ...] = ()) -> Seen:
    """Everything that comes out, in order: messages, and frames as (channel, payload)."""
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
    Request({"cseq": ("9",), "x": ("a b",)}, method="OPTIONS", url="*"),
    (1, b"last"),
]


def test_frames_and_messages_come_in_their_order() -> None:
    assert read(STREAM, channels=(0, 1)) == SEEN


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17])
def test_the_size_of_the_pieces_does_not_matter(size: int) -> None:
    assert read(*(STREAM[at : at + size] for at in range(0, len(STREAM), size)), channels=(0, 1)) == SEEN


def test_no_cut_changes_anything() -> None:
    rng = random.Random(1)
    for _ in range(300):
        cuts = sorted(rng.randrange(len(STREAM)) for _ in range(rng.randint(1, 6)))
        pieces = [STREAM[a:b] for a, b in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]
        assert read(*pieces, channels=(0, 1)) == SEEN


def test_a_header_that_comes_twice_has_both_its_values() -> None:
    (seen,) = read(b"RTSP/1.0 401 x\r\nWWW-Authenticate: Basic\r\nwww-authenticate: Digest\r\n\r\n")
    assert isinstance(seen, Response)
    assert seen.headers["www-authenticate"] == ("Basic", "Digest")
    assert seen.header("nothing") == ""


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"RTSP/1.0 200 OK\r\nServer: " + bytes(MAX_LINE), "a header line of more than 8 KiB"),
        (b"RTSP/1.0 200 OK\r\n" + (b"a: " + bytes(1000) + b"\r\n") * 66, "a header of more than 64 KiB"),
        (b"RTSP/1.0 200 OK\r\n" + b"a: b\r\n" * (MAX_HEADERS + 1) + b"\r\n", "more than 128 headers"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), "a body of"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", "a body of"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: geheim\r\n\r\n", "a body of"),
        (b"OPTIONS geheim\r\n\r\n", "neither a request nor a response"),
        (b"RTSP/1.0 2000 OK\r\n\r\n", "neither a request nor a response"),
        (b"OPTIONS\r\n\r\n", "no RTSP"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "no RTSP"),
        (b"\x00\x01nonsense\xff\r\n\r\n", "no RTSP"),
    ],
)
def test_what_is_no_rtsp_or_too_much_is_an_error(data: bytes, text: str) -> None:
    """The error does not quote it: a camera may answer with the password that it was given."""
    with pytest.raises(ProtocolError, match=text) as raised:
        read(data)
    assert "geheim" not in str(raised.value)


def test_noise_between_frames_is_borne_to_a_point() -> None:
    assert read(frame(0, b"a"), bytes(MAX_NOISE), frame(0, b"b"), bytes(1000), channels=(0,)) == [(0, b"a"), (0, b"b")]
    with pytest.raises(ProtocolError, match="64 KiB that are no RTSP"):
        read(frame(0, b"a"), bytes(MAX_NOISE + 1), channels=(0,))


def test_a_frame_behind_noise_does_not_wait_for_what_follows() -> None:
    """Also where the noise ended with the bytes that were there."""
    assert read(frame(0, b"a"), b"noise", frame(0, b"b"), channels=(0,)) == [(0, b"a"), (0, b"b")]


def test_many_small_frames_let_others_have_their_turn() -> None:
    seen: Seen = []
    parser = Parser(seen.append)
    parser.channels = {0: lambda data, start, stop: seen.append(start)}
    parser.feed(frame(0, b"") * (AT_ONCE + 1))
    assert parser.parse()
    assert len(seen) == AT_ONCE
    assert not parser.parse()
    assert len(seen) == AT_ONCE + 1


def test_frames_that_make_more_work_give_the_loop_back_sooner() -> None:
    """A taker says how much more than one frame's it was."""
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
    """A turn takes `AT_ONCE` frames, and of messages as many as cost the same."""
    seen: Seen = []
    parser = Parser(seen.append)
    parser.feed(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" * AT_ONCE)
    turns = 1
    while parser.parse():
        turns += 1
    assert (len(seen), parser.messages) == (AT_ONCE, AT_ONCE)
    assert turns >= OF_MESSAGE


def test_a_request_reads_as_it_was_meant() -> None:
    data = encode_request("SETUP", "rtsp://h/a", {"CSeq": "3", "Transport": "RTP/AVP"})
    assert read(data) == [Request({"cseq": ("3",), "transport": ("RTP/AVP",)}, method="SETUP", url="rtsp://h/a")]
